//! The file of a redb database, on the disk of the environment.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cinclus_env::disk::OpenMode;
use cinclus_env::{DiskError, DiskFile, DynDisk};
use redb::StorageBackend;
use tokio::runtime::Handle;

/// Waits for the disk on the thread of the caller. redb calls its file synchronously; the disk's own threads
/// do the work, so this holds up nobody but the caller, and only for one operation.
#[derive(Clone)]
pub(super) struct Blocking {
    pub(super) disk: DynDisk,
    pub(super) runtime: Handle,
}

impl Blocking {
    pub(super) fn on<T>(&self, operation: impl Future<Output = T>) -> T {
        let _runtime = self.runtime.enter();
        // Unconstrained: inside a task, tokio would wait for the task to yield, which it cannot here.
        futures::executor::block_on(tokio::task::unconstrained(operation))
    }
}

/// A file as redb wants it.
pub(super) struct DiskBackend {
    blocking: Blocking,
    file: Arc<dyn DiskFile>,
    /// Set when a sync fails: from then on the page cache of the file is not believed.
    sync_failed: Arc<AtomicBool>,
}

impl DiskBackend {
    /// Opens the file, or makes it.
    pub(super) fn open(
        blocking: &Blocking,
        path: &Path,
        sync_failed: &Arc<AtomicBool>,
    ) -> Result<DiskBackend, DiskError> {
        let file = blocking.on(async { blocking.disk.open(path, OpenMode::OpenOrCreate).await })?;
        Ok(DiskBackend { blocking: blocking.clone(), file, sync_failed: sync_failed.clone() })
    }
}

impl fmt::Debug for DiskBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskBackend")
    }
}

fn io_error(error: DiskError) -> io::Error {
    let kind = match &error {
        DiskError::OutOfSpace { .. } => io::ErrorKind::StorageFull,
        DiskError::NotFound { .. } => io::ErrorKind::NotFound,
        DiskError::Failed { kind, .. } => *kind,
        DiskError::AlreadyExists { .. } | DiskError::Locked { .. } => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl StorageBackend for DiskBackend {
    fn len(&self) -> Result<u64, io::Error> {
        self.blocking.on(self.file.length()).map_err(io_error)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let bytes = self.blocking.on(self.file.read_at(offset, out.len())).map_err(io_error)?;
        if bytes.len() < out.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.copy_from_slice(&bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.blocking.on(self.file.set_len(len)).map_err(io_error)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let synced = self.blocking.on(self.file.sync_data());
        if synced.is_err() {
            self.sync_failed.store(true, Ordering::SeqCst);
        }
        synced.map_err(io_error)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let part = Bytes::copy_from_slice(data);
        self.blocking.on(self.file.write_at(offset, vec![part])).map_err(io_error)
    }
}
