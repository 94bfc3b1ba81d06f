//! The operating system's file system.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::os_file::OsFile;
use super::{DirEntry, Disk, DiskError, DiskFile, DiskLock, DiskMetadata, OpenMode};

/// Real files. Calls that may block run off the async threads; writes that are synced run on one thread
/// for each file (see [`DiskFile::start_write_and_sync`]).
#[derive(Clone, Debug, Default)]
pub struct OsDisk {
    _private: (),
}

impl OsDisk {
    /// The file system of this machine.
    #[must_use]
    pub fn new() -> OsDisk {
        OsDisk::default()
    }
}

/// Runs a blocking call off the async threads and puts the operation and path into its error.
pub(super) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    path: &Path,
    call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, DiskError> {
    let path = path.to_owned();
    let run = move || call(&path).map_err(|error| DiskError::from_io(operation, &path, &error));
    match tokio::task::spawn_blocking(run).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(DiskError::stopped(operation)),
    }
}

#[async_trait]
impl Disk for OsDisk {
    async fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let file = blocking("open", path, move |path| {
            let mut options = OpenOptions::new();
            match mode {
                OpenMode::Read => options.read(true),
                OpenMode::ReadWrite => options.read(true).write(true),
                OpenMode::CreateNew => options.read(true).write(true).create_new(true),
                OpenMode::OpenOrCreate => options.read(true).write(true).create(true).truncate(false),
            };
            options.open(path)
        })
        .await?;
        Ok(Arc::new(OsFile::new(path.to_owned(), file)))
    }

    async fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        blocking("list", dir, |dir| {
            let mut entries = Vec::new();
            for entry in std::fs::read_dir(dir)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
            }
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(entries)
        })
        .await
    }

    async fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        blocking("create directory", dir, |dir| std::fs::create_dir_all(dir)).await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        blocking("remove", path, |path| std::fs::remove_file(path)).await
    }

    async fn remove_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        blocking("remove directory", dir, |dir| std::fs::remove_dir_all(dir)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let to = to.to_owned();
        blocking("rename", from, move |from| std::fs::rename(from, to)).await
    }

    async fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        blocking("sync directory", dir, |dir| File::open(dir)?.sync_all()).await
    }

    async fn metadata(&self, path: &Path) -> Result<DiskMetadata, DiskError> {
        blocking("metadata", path, |path| {
            let metadata = std::fs::metadata(path)?;
            let modified = metadata.modified().ok().and_then(|at| at.duration_since(io_epoch()).ok());
            Ok(DiskMetadata {
                len: metadata.len(),
                is_dir: metadata.is_dir(),
                modified_unix_ms: modified.map_or(0, |since| since.as_millis() as u64),
            })
        })
        .await
    }

    async fn lock(&self, path: &Path) -> Result<DiskLock, DiskError> {
        let guard = blocking("lock", path, take_lock).await??;
        Ok(DiskLock { _guard: Box::new(guard) })
    }

    async fn available_bytes(&self, dir: &Path) -> Result<u64, DiskError> {
        blocking("statvfs", dir, |dir| {
            let stat = rustix::fs::statvfs(dir)?;
            Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
        })
        .await
    }
}

fn io_epoch() -> std::time::SystemTime {
    std::time::UNIX_EPOCH
}

fn take_lock(path: &Path) -> io::Result<Result<File, DiskError>> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            writeln!(file, "process {}", std::process::id())?;
            Ok(Ok(file))
        }
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            let holder = text.lines().next().filter(|line| !line.is_empty());
            let holder = holder.unwrap_or("a process that did not write its id").to_owned();
            Ok(Err(DiskError::Locked { path: PathBuf::from(path), holder }))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}
