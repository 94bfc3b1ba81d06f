//! An open file of the memory disk.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::memory_faults::FaultOperation;
use super::memory_model::{Inode, Model, powered_off};
use super::{DiskError, DiskFile, MemoryDisk, WriteDone};

#[derive(Clone)]
pub(super) struct MemoryFile {
    pub(super) disk: MemoryDisk,
    pub(super) path: PathBuf,
    pub(super) id: u64,
    pub(super) age: u64,
    pub(super) writable: bool,
}

impl MemoryFile {
    fn check(&self, model: &Model, operation: &'static str) -> Result<(), DiskError> {
        if model.age == self.age {
            model.check_power(operation, &self.path)
        } else {
            Err(powered_off(operation, &self.path))
        }
    }

    fn check_writable(&self, model: &Model, operation: &'static str) -> Result<(), DiskError> {
        self.check(model, operation)?;
        if self.writable {
            return Ok(());
        }
        Err(DiskError::Failed {
            operation,
            path: self.path.clone(),
            kind: std::io::ErrorKind::PermissionDenied,
            message: "the file is open for reading".to_owned(),
        })
    }

    /// A removed file lives on for those who have it open, as an empty one here.
    fn inode<T>(&self, model: &Model, look: impl FnOnce(&Inode) -> T) -> T {
        match model.file(self.id) {
            Some(file) => look(file),
            None => look(&Inode::default()),
        }
    }

    fn write(&self, offset: u64, parts: &[Bytes]) -> Result<(), DiskError> {
        let mut bytes = BytesMut::new();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let mut bytes = bytes.freeze();
        let mut model = self.disk.model.lock();
        self.check_writable(&model, "write")?;
        model.begin("write", &self.path, &format!(" at {offset}, {} bytes", bytes.len()))?;
        let mut failed = model.fault(FaultOperation::Write, "write", &self.path);
        let len = self.inode(&model, |file| file.cache.len() as u64);
        let growth = (offset + bytes.len() as u64).saturating_sub(len);
        if failed.is_ok() && model.used_bytes().saturating_add(growth) > model.capacity_bytes {
            failed = Err(DiskError::OutOfSpace { operation: "write", path: self.path.clone() });
        }
        if failed.is_err() {
            let room = model.capacity_bytes.saturating_sub(model.used_bytes()).min(bytes.len() as u64);
            bytes.truncate(model.torn_len(room) as usize);
        }
        model.write(self.id, offset, &bytes);
        failed.and_then(|()| model.finish("write", &self.path))
    }

    fn sync(&self) -> Result<(), DiskError> {
        let mut model = self.disk.model.lock();
        self.check_writable(&model, "fdatasync")?;
        model.begin("fdatasync", &self.path, "")?;
        if let Err(error) = model.fault(FaultOperation::Sync, "fdatasync", &self.path) {
            model.sync_failed(self.id);
            return Err(error);
        }
        model.finish("fdatasync", &self.path)?;
        model.sync(self.id);
        Ok(())
    }

    async fn delay(&self) {
        let delay = self.disk.sync_delay();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

#[async_trait]
impl DiskFile for MemoryFile {
    async fn length(&self) -> Result<u64, DiskError> {
        let model = self.disk.model.lock();
        self.check(&model, "length")?;
        Ok(self.inode(&model, |file| file.cache.len() as u64))
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, DiskError> {
        let mut model = self.disk.model.lock();
        self.check(&model, "read")?;
        model.fault(FaultOperation::Read, "read", &self.path)?;
        Ok(self.inode(&model, |file| {
            let start = (offset as usize).min(file.cache.len());
            let end = start.saturating_add(len).min(file.cache.len());
            Bytes::copy_from_slice(&file.cache[start..end])
        }))
    }

    async fn write_at(&self, offset: u64, parts: Vec<Bytes>) -> Result<(), DiskError> {
        self.write(offset, &parts)
    }

    async fn sync_data(&self) -> Result<(), DiskError> {
        self.delay().await;
        self.sync()
    }

    async fn set_len(&self, len: u64) -> Result<(), DiskError> {
        let mut model = self.disk.model.lock();
        self.check_writable(&model, "set length")?;
        model.begin("set length", &self.path, &format!(" {len}"))?;
        model.fault(FaultOperation::Write, "set length", &self.path)?;
        model.set_len(self.id, len);
        model.finish("set length", &self.path)
    }

    fn start_write_and_sync(&self, offset: u64, parts: Vec<Bytes>, done: WriteDone) {
        let written = self.write(offset, &parts);
        if self.disk.sync_delay().is_zero() {
            done(written.and_then(|()| self.sync()));
            return;
        }
        let file = self.clone();
        tokio::spawn(async move {
            file.delay().await;
            done(written.and_then(|()| file.sync()));
        });
    }
}
