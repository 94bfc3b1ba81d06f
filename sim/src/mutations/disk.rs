//! A disk that lies about syncs.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::disk::{DirEntry, DiskFile, DiskLock, DiskMetadata, OpenMode, WriteDone};
use cinclus_env::{Disk, DiskError};
use futures::FutureExt;

/// A disk whose files are not synced when they say so.
pub struct LyingDisk<D>(pub D);

#[async_trait]
impl<D: Disk> Disk for LyingDisk<D> {
    async fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        Ok(Arc::new(LyingFile(self.0.open(path, mode).await?)))
    }

    async fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.0.list(dir).await
    }

    async fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        self.0.create_dir_all(dir).await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.0.remove_file(path).await
    }

    async fn remove_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        self.0.remove_dir_all(dir).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.0.rename(from, to).await
    }

    async fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.0.sync_dir(dir).await
    }

    async fn metadata(&self, path: &Path) -> Result<DiskMetadata, DiskError> {
        self.0.metadata(path).await
    }

    async fn lock(&self, path: &Path) -> Result<DiskLock, DiskError> {
        self.0.lock(path).await
    }

    async fn available_bytes(&self, dir: &Path) -> Result<u64, DiskError> {
        self.0.available_bytes(dir).await
    }
}

struct LyingFile(Arc<dyn DiskFile>);

#[async_trait]
impl DiskFile for LyingFile {
    async fn length(&self) -> Result<u64, DiskError> {
        self.0.length().await
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, DiskError> {
        self.0.read_at(offset, len).await
    }

    async fn write_at(&self, offset: u64, parts: Vec<Bytes>) -> Result<(), DiskError> {
        self.0.write_at(offset, parts).await
    }

    async fn sync_data(&self) -> Result<(), DiskError> {
        Ok(())
    }

    async fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.0.set_len(len).await
    }

    fn start_write_and_sync(&self, offset: u64, parts: Vec<Bytes>, done: WriteDone) {
        // A write into the memory of a memory disk waits for nothing.
        done(self.0.write_at(offset, parts).now_or_never().unwrap_or(Ok(())));
    }
}
