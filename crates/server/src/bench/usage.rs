//! What `/proc` says of a process: its CPU time, its memory, what it wrote.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use crate::outside::spawned::SpawnedServer;

/// `USER_HZ`, the unit of CPU times in `/proc/<pid>/stat`: 100 on every Linux that we know of.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process(pub(super) u32);

/// What a process has used up to an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    at: Instant,
    cpu_seconds: f64,
    written_bytes: u64,
    memory: Memory,
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Memory {
    /// Resident now.
    pub(super) resident: u64,
    /// The most that was resident.
    pub(super) peak: u64,
}

/// What a process used between two instants.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Usage {
    /// The time between.
    pub(super) seconds: f64,
    /// CPU time, of all cores together.
    pub(super) cpu_seconds: f64,
    /// Bytes that it made the file systems write.
    pub(super) written_bytes: u64,
    /// Its memory at the end.
    pub(super) memory: Memory,
}

impl Process {
    /// This process.
    pub(super) fn own() -> Process {
        Process(std::process::id())
    }

    /// The process of a server of our own.
    pub(super) fn of(server: &SpawnedServer) -> Process {
        Process(server.pid())
    }

    fn file(self, name: &str) -> anyhow::Result<String> {
        let path = PathBuf::from(format!("/proc/{}/{name}", self.0));
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// What it has used up to now.
    ///
    /// # Errors
    /// If there is no such process.
    pub(super) fn snapshot(self) -> anyhow::Result<Snapshot> {
        let cpu_seconds = cpu_seconds(&self.file("stat")?).context("unexpected form of /proc/<pid>/stat")?;
        let memory = memory(&self.file("status")?).context("unexpected form of /proc/<pid>/status")?;
        // Only the owner of a process may read this file; then nothing is said of writes.
        let written_bytes = self.file("io").ok().and_then(|text| written_bytes(&text)).unwrap_or(0);
        Ok(Snapshot { at: Instant::now(), cpu_seconds, written_bytes, memory })
    }

    /// What it has used since `start`.
    ///
    /// # Errors
    /// If the process is gone.
    pub(super) fn since(self, start: &Snapshot) -> anyhow::Result<Usage> {
        let end = self.snapshot()?;
        Ok(Usage {
            seconds: end.at.duration_since(start.at).as_secs_f64(),
            cpu_seconds: end.cpu_seconds - start.cpu_seconds,
            written_bytes: end.written_bytes - start.written_bytes,
            memory: end.memory,
        })
    }
}

impl Snapshot {
    /// Its memory then.
    pub(super) fn memory(&self) -> Memory {
        self.memory
    }

    /// What it had written then.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }
}

impl Usage {
    /// How much of one core it used.
    pub(super) fn cores(&self) -> f64 {
        self.cpu_seconds / self.seconds
    }
}

/// CPU time of a `stat` line. The name of the program may hold spaces and parentheses: what counts begins
/// behind the last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SECOND)
}

fn memory(status: &str) -> Option<Memory> {
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some(Memory { resident: kibibytes("VmRSS:")? << 10, peak: kibibytes("VmHWM:")? << 10 })
}

fn written_bytes(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_an_odd_name() {
        let stat = "4242 (a (b) c) S 1 4242 4242 0 -1 4194560 9000 0 3 0 1234 566 0 0 20 0 9 0 88 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(18.0));
        assert_eq!(cpu_seconds("4242 (cut"), None);
        assert_eq!(cpu_seconds("4242 (x) S 1 2"), None);
    }

    #[test]
    fn memory_and_writes_are_read() {
        let status =
            "Name:\tcinclus\nVmPeak:\t  999 kB\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\nThreads:\t9\n";
        assert_eq!(memory(status), Some(Memory { resident: 1 << 20, peak: 2 << 20 }));
        assert_eq!(memory("Name:\tgone\n"), None);
        let io = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n";
        assert_eq!(written_bytes(io), Some(4096));
    }

    #[test]
    fn this_process_uses_something() {
        let own = Process::own();
        let start = own.snapshot().unwrap();
        let usage = loop {
            let sum = (0..1_000_000_u64).fold(0, |sum, x| std::hint::black_box(sum ^ x));
            let usage = own.since(&start).unwrap();
            if usage.cpu_seconds > 0.0 || usage.seconds > 60.0 {
                break std::hint::black_box((usage, sum)).0;
            }
        };
        assert!(usage.cpu_seconds > 0.0 && usage.memory.resident > 100_000, "{usage:?}");
        assert!(Process(u32::MAX).snapshot().is_err());
    }
}
