//! A file that leaves nobody else any space.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// A file system with more free space is not one that is there to be filled.
const FREE_BYTES_MAX: u64 = 4 << 30;
/// With less the server does not get beyond its own reserve.
const FREE_BYTES_MIN: u64 = 160 << 20;

/// The file, beside the data of a server.
#[derive(Debug)]
pub(super) struct Ballast(PathBuf);

impl Ballast {
    /// A file in `dir`; it is not there yet.
    ///
    /// # Errors
    /// If the file system is too large to be filled, or too small.
    pub(super) fn new(dir: &Path) -> anyhow::Result<Ballast> {
        let free = free_bytes(dir)?;
        ensure!(
            (FREE_BYTES_MIN..=FREE_BYTES_MAX).contains(&free),
            "the file system of {} has {} MiB free: the fault disk fills it, so it should be one of its own with {} \
             to {} MiB",
            dir.display(),
            free >> 20,
            FREE_BYTES_MIN >> 20,
            FREE_BYTES_MAX >> 20
        );
        Ok(Ballast(dir.join("ballast")))
    }

    /// Takes all space that there is.
    pub(super) fn fill(&mut self) -> anyhow::Result<()> {
        let mut file = File::create(&self.0).with_context(|| format!("cannot write {}", self.0.display()))?;
        let zeros = vec![0; 1 << 20];
        for size in [zeros.len(), 4096] {
            while let Ok(written) = file.write(&zeros[..size])
                && written == size
            {}
        }
        Ok(())
    }

    /// Gives it back.
    pub(super) fn empty(&mut self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.0).with_context(|| format!("cannot remove {}", self.0.display()))
    }
}

fn free_bytes(dir: &Path) -> anyhow::Result<u64> {
    let found = rustix::fs::statvfs(dir);
    let found = found.with_context(|| format!("cannot see how much is free in {}", dir.display()))?;
    Ok(found.f_bavail * found.f_frsize)
}
