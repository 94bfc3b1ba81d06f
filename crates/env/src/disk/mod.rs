//! Files as the log, the metadata and the segments need them: positioned writes, syncs of data and of
//! directories, locks.
//!
//! The rules every implementation keeps, and [`MemoryDisk`] tests its users on:
//! 1. A write is in the page cache: a reader sees it at once, a crash may lose it, or parts of it.
//! 2. After [`DiskFile::sync_data`] returned, everything written to the file before the call is durable.
//! 3. A new, renamed or removed *name* is durable after [`Disk::sync_dir`] of its directory.
//! 4. After a failed sync nothing is known about what was written since the last good one: the page cache
//!    is not believed, not even by a later sync that succeeds.

mod error;
mod helpers;
mod memory;
mod memory_faults;
mod memory_file;
mod memory_model;
#[cfg(test)]
mod memory_tests;
mod os;
mod os_file;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use error::DiskError;
pub use helpers::{create_dir_synced, read_file, replace_file};
pub use memory::MemoryDisk;
pub use memory_faults::{Fault, FaultError, FaultOperation, Keep};
pub use os::OsDisk;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    ReadWrite,
    /// A file that must not exist yet, for reading and writing.
    CreateNew,
    /// An existing file or a new one, for reading and writing. Nothing is cut.
    OpenOrCreate,
}

/// What is known of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskMetadata {
    /// Bytes, for a file.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// When it was last written, in Unix milliseconds; 0 on the memory disk.
    pub modified_unix_ms: u64,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The last part of the path.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Called once with the outcome of a write, on the disk's own thread.
pub type WriteDone = Box<dyn FnOnce(Result<(), DiskError>) + Send>;

/// A file system that can be replaced.
#[async_trait]
pub trait Disk: Send + Sync + 'static {
    /// Opens a file. The name of a new one is durable after [`Disk::sync_dir`] of its directory.
    async fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// The names in a directory, sorted.
    async fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError>;

    /// Creates a directory and those above it. [`create_dir_synced`] also makes them durable.
    async fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError>;

    /// Removes a file.
    async fn remove_file(&self, path: &Path) -> Result<(), DiskError>;

    /// Removes a directory and everything in it.
    async fn remove_dir_all(&self, dir: &Path) -> Result<(), DiskError>;

    /// Renames a file; an existing one of the new name is replaced.
    async fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Makes the names in a directory durable.
    async fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// What is known of a path; [`DiskError::NotFound`] if there is nothing.
    async fn metadata(&self, path: &Path) -> Result<DiskMetadata, DiskError>;

    /// Takes the exclusive, advisory lock of a file, creating it if needed, and writes this process' id
    /// into it. Does not wait: [`DiskError::Locked`] says who holds it.
    async fn lock(&self, path: &Path) -> Result<DiskLock, DiskError>;

    /// Bytes that can still be written under a directory.
    async fn available_bytes(&self, dir: &Path) -> Result<u64, DiskError>;

    /// Whether there is something at a path.
    async fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        match self.metadata(path).await {
            Ok(_) => Ok(true),
            Err(DiskError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A shared file system.
pub type DynDisk = Arc<dyn Disk>;

/// An open file. Handles can be shared; writers agree among themselves who writes where.
#[async_trait]
pub trait DiskFile: Send + Sync + 'static {
    /// Its length in bytes.
    async fn length(&self) -> Result<u64, DiskError>;

    /// Up to `len` bytes from `offset`; fewer only at the end of the file.
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, DiskError>;

    /// Writes the parts one after the other from `offset` on. After an error some of them may be there.
    async fn write_at(&self, offset: u64, parts: Vec<Bytes>) -> Result<(), DiskError>;

    /// Makes everything written so far durable, and the length (fdatasync).
    async fn sync_data(&self) -> Result<(), DiskError>;

    /// Cuts or extends the file.
    async fn set_len(&self, len: u64) -> Result<(), DiskError>;

    /// Writes, then syncs, with one hop to the file's own thread; calls run in the order in which they
    /// were started. `done` is called there with the outcome; it must be quick, and may start the next.
    fn start_write_and_sync(&self, offset: u64, parts: Vec<Bytes>, done: WriteDone);

    /// Writes, then syncs.
    async fn write_and_sync(&self, offset: u64, parts: Vec<Bytes>) -> Result<(), DiskError> {
        let (send, receive) = tokio::sync::oneshot::channel();
        let done: WriteDone = Box::new(move |outcome| {
            let _ = send.send(outcome);
        });
        self.start_write_and_sync(offset, parts, done);
        receive.await.unwrap_or_else(|_| Err(DiskError::stopped("write and sync")))
    }
}

/// Holds a lock until it is dropped.
pub struct DiskLock {
    _guard: Box<dyn std::any::Any + Send + Sync>,
}

impl std::fmt::Debug for DiskLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DiskLock")
    }
}
