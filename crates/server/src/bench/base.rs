//! What this machine can do at best: the other side of every comparison.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::latencies::Latencies;
use crate::outside::rows::Noise;

/// Bytes of the chunks with which the bandwidth is tried.
pub(super) const CHUNKS: [usize; 3] = [1 << 20, 4 << 20, 16 << 20];

/// A file that only grows; removed in the end.
struct Growing {
    file: File,
    path: PathBuf,
}

impl Growing {
    fn create(dir: &Path) -> anyhow::Result<Growing> {
        let path = dir.join(format!("cinclus-bench-{}.base", std::process::id()));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path);
        Ok(Growing { file: file.with_context(|| format!("cannot write {}", path.display()))?, path })
    }

    /// Appends and syncs, and says how long that took.
    fn append(&mut self, bytes: &[u8]) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        Ok(start.elapsed())
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Appends of the same number of bytes to one file, each followed by fdatasync, on one thread.
pub(super) struct SyncedAppends {
    file: Growing,
    content: Vec<u8>,
}

impl SyncedAppends {
    /// Begins a file in `dir`.
    pub(super) fn create(dir: &Path, bytes: usize) -> anyhow::Result<SyncedAppends> {
        let mut file = Growing::create(dir)?;
        let content = Noise::new(7).bytes(bytes);
        // The first append also makes the name of the file durable in some journals: it does not count.
        file.append(&content)?;
        Ok(SyncedAppends { file, content })
    }

    /// Does so many, and adds how long each took.
    pub(super) fn run(&mut self, count: u64, latencies: &mut Latencies) -> anyhow::Result<()> {
        for _ in 0..count {
            latencies.record(self.file.append(&self.content)?);
        }
        Ok(())
    }
}

/// Bytes a second of appends of one chunk each, each followed by fdatasync, until `total` bytes are written.
pub(super) fn bandwidth(dir: &Path, chunk: usize, total: u64) -> anyhow::Result<f64> {
    let content = Noise::new(11).bytes(chunk);
    let mut file = Growing::create(dir)?;
    let chunks = total.div_ceil(chunk as u64).max(1);
    let mut took = Duration::ZERO;
    for _ in 0..chunks {
        took += file.append(&content)?;
    }
    Ok((chunks * chunk as u64) as f64 / took.as_secs_f64())
}

/// The best bandwidth of all [`CHUNKS`].
pub(super) fn best_bandwidth(dir: &Path, total: u64) -> anyhow::Result<f64> {
    let mut best = 0.0_f64;
    for chunk in CHUNKS {
        best = best.max(bandwidth(dir, chunk, total)?);
    }
    Ok(best)
}

/// The sum of floats as fast as one core makes it: many sums side by side.
pub(super) fn sum(floats: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 64];
    let (blocks, rest) = floats.as_chunks::<64>();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// Reads all files under `dir` in pieces, and says how many bytes there were and how long it took.
pub(super) fn read_files(dir: &Path) -> anyhow::Result<(u64, Duration)> {
    let start = Instant::now();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    for path in files(dir)? {
        let mut file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        loop {
            match std::io::Read::read(&mut file, &mut buffer)? {
                0 => break,
                read => bytes += read as u64,
            }
        }
    }
    Ok((bytes, start.elapsed()))
}

/// Bytes of all files under `dir`; 0 if there is no such directory.
pub(super) fn bytes_under(dir: &Path) -> u64 {
    let files = files(dir).unwrap_or_default();
    files.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_are_counted_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut latencies = Latencies::new();
        SyncedAppends::create(dir.path(), 100).unwrap().run(5, &mut latencies).unwrap();
        assert_eq!(latencies.count(), 5);
        assert!(best_bandwidth(dir.path(), 1 << 20).unwrap() > 0.0);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(SyncedAppends::create(&dir.path().join("missing"), 1).is_err());
    }

    #[test]
    fn files_are_found_in_all_directories() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), vec![1; 3_000_000]).unwrap();
        std::fs::write(dir.path().join("d"), [2; 7]).unwrap();
        assert_eq!(bytes_under(dir.path()), 3_000_007);
        assert_eq!(read_files(dir.path()).unwrap().0, 3_000_007);
        assert_eq!(bytes_under(&dir.path().join("missing")), 0);
    }

    #[test]
    fn the_sum_is_the_sum() {
        let floats: Vec<f32> = (0..1000).map(|x| x as f32).collect();
        assert_eq!(sum(&floats), 499_500.0);
        assert_eq!(sum(&[]), 0.0);
    }
}
