//! A server of our own, in a process of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

/// What a server logs before the address when it serves.
const READY: &str = "serves Milvus clients on ";
const READY_PATIENCE: Duration = Duration::from_secs(300);

/// A folder that is removed in the end.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    data: PathBuf,
    keep: bool,
}

impl Home {
    /// A new folder in `dir`, for `what`.
    pub(crate) fn create(dir: &Path, what: &str) -> anyhow::Result<Home> {
        let path = dir.join(format!("cinclus-{what}-{}", std::process::id()));
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Home { data: path.join("data"), path, keep: false })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The data directory of the server.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Has the data directory of the server elsewhere: there nothing is removed.
    pub(crate) fn put_data(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// It stays.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// A file beside it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct SpawnedServer {
    child: Child,
    /// Where it serves, as a URL.
    pub(crate) address: String,
    /// When its process was started.
    pub(crate) started: Instant,
    /// How long until it said that it serves.
    pub(crate) ready_after: Duration,
}

impl SpawnedServer {
    /// Starts this program's own server and waits until it serves.
    ///
    /// # Errors
    /// If it ends before, with the last that it logged.
    pub(crate) async fn start(home: &Home, config: Option<&Path>) -> anyhow::Result<SpawnedServer> {
        SpawnedServer::launch(home, Command::new(std::env::current_exe()?), config).await
    }

    /// As [`SpawnedServer::start`], in a process group of its own: when it is stopped, only it is, and nobody
    /// takes that for a stopped job of a shell.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn start_apart(home: &Home, config: Option<&Path>) -> anyhow::Result<SpawnedServer> {
        let mut command = Command::new(std::env::current_exe()?);
        command.process_group(0);
        SpawnedServer::launch(home, command, config).await
    }

    async fn launch(
        home: &Home,
        mut command: Command,
        config: Option<&Path>,
    ) -> anyhow::Result<SpawnedServer> {
        let log = File::options().create(true).append(true).open(home.file("server.log"))?;
        command.arg("standalone").arg("--data-dir").arg(home.data());
        command.args(["--listen", "127.0.0.1:0", "--management-listen", "127.0.0.1:0", "--log", "info"]);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().context("cannot start the server")?;
        let stderr = child.stderr.take().context("the server has no standard error")?;
        let (send, receive) = oneshot::channel();
        std::thread::spawn(move || follow(stderr, log, send));
        let mut server =
            SpawnedServer { child, address: String::new(), started, ready_after: Duration::ZERO };
        let Ok(said) = tokio::time::timeout(READY_PATIENCE, receive).await else {
            bail!("the server was not ready after {READY_PATIENCE:?}");
        };
        server.address = said.unwrap_or_else(|_| Err("it said nothing".to_owned())).map_err(|last| {
            anyhow::anyhow!("the server ended before it was ready; the last that it said: {last}")
        })?;
        server.ready_after = started.elapsed();
        Ok(server)
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// If it ended by itself: how, and the last that it logged.
    pub(crate) async fn last_words(&mut self, home: &Home) -> Option<String> {
        const LINES: usize = 5;
        // A connection breaks a little before its process is gone.
        let status = self.ended(Duration::from_secs(1)).await?;
        let log = std::fs::read_to_string(home.file("server.log")).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(LINES).collect();
        last.reverse();
        Some(format!("the server ended by itself ({status}); the last that it said:\n{}", last.join("\n")))
    }

    /// Ends it as kill -9 does.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl SpawnedServer {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("cannot send a signal to the server")
    }

    /// Waits until it has ended; [`None`] if it does not in time.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let ended = async {
            loop {
                match self.child.try_wait() {
                    Ok(Some(status)) => return status,
                    Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        tokio::time::timeout(patience, ended).await.ok()
    }
}

impl Drop for SpawnedServer {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Copies what the server logs, and tells its address once it serves.
fn follow(stderr: ChildStderr, mut log: File, ready: oneshot::Sender<Result<String, String>>) {
    let mut ready = Some(ready);
    let mut last = String::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let _ = writeln!(log, "{line}");
        if let Some(address) = address(&line)
            && let Some(ready) = ready.take()
        {
            let _ = ready.send(Ok(address));
        }
        last = line;
    }
    if let Some(ready) = ready {
        let _ = ready.send(Err(last));
    }
}

fn address(line: &str) -> Option<String> {
    let (_, behind) = line.split_once(READY)?;
    let (address, _) = behind.split_once(',')?;
    Some(format!("http://{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_in_the_line_of_a_ready_server() {
        let line =
            "INFO cinclus: Cinclus 0.1.0 serves Milvus clients on 127.0.0.1:4711, health and metrics …";
        assert_eq!(address(line).as_deref(), Some("http://127.0.0.1:4711"));
        assert_eq!(address("INFO cinclus: opening the log"), None);
    }

    #[test]
    fn a_home_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(dir.path(), "test").unwrap();
        std::fs::create_dir_all(home.data()).unwrap();
        assert!(Home::create(dir.path(), "test").is_err(), "two processes do not share one");
        drop(home);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
