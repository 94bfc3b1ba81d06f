//! A process that outlives the command that started it, remembered by a file with its id.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a service may take to end when it is asked to.
const END_MAX: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The process of one service.
pub(super) struct Process {
    folder: PathBuf,
    program: PathBuf,
}

impl Process {
    /// The process of the service that lives in this folder.
    pub(super) fn of(folder: &Path, program: &str) -> Self {
        Self { folder: folder.to_owned(), program: folder.join(program) }
    }

    /// Where its output goes.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Starts it in a process group of its own and remembers its id.
    pub(super) fn spawn(&self, arguments: &[String]) -> Result<u32> {
        let log = File::create(self.log())?;
        let mut child = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        std::fs::write(self.pid_file(), child.id().to_string())?;
        // For a moment the system does not yet know it under its command line.
        while self.running()?.is_none() {
            if let Some(status) = child.try_wait()? {
                bail!("{} ended with {status}; its log is {}", self.program.display(), self.log().display());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(child.id())
    }

    /// The id of the process if it runs. An id that the system gave to another program meanwhile does not count.
    pub(super) fn running(&self) -> Result<Option<u32>> {
        let Ok(text) = std::fs::read_to_string(self.pid_file()) else { return Ok(None) };
        let pid: u32 =
            text.trim().parse().with_context(|| format!("bad id in {}", self.pid_file().display()))?;
        // A process that ended but was not waited for has an empty command line.
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let name = self.program.to_string_lossy();
        let is_ours = words.split(|byte| *byte == 0).any(|word| word == name.as_bytes());
        Ok(is_ours.then_some(pid))
    }

    /// Asks it to end, and makes it end if it does not. Gives back the id that it had.
    pub(super) fn stop(&self) -> Result<Option<u32>> {
        let Some(pid) = self.running()? else { return Ok(None) };
        for signal in ["-TERM", "-KILL"] {
            // It may end by itself in this moment: whether it is gone is asked below.
            let _ = Command::new("kill").arg(signal).arg(pid.to_string()).stderr(Stdio::null()).status();
            let begin = Instant::now();
            while begin.elapsed() < END_MAX {
                if self.running()?.is_none() {
                    std::fs::remove_file(self.pid_file())?;
                    return Ok(Some(pid));
                }
                std::thread::sleep(PAUSE);
            }
        }
        bail!("process {pid} does not end")
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }
}
