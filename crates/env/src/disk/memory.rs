//! A disk in memory that forgets, tears and fails as real ones do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::memory_faults::FaultOperation;
use super::memory_file::MemoryFile;
use super::memory_model::{Model, Node, parent};
use super::{DirEntry, Disk, DiskError, DiskFile, DiskLock, DiskMetadata, Fault, Keep, OpenMode};

/// A model of a disk. Clones are the same disk. Operations that change something are numbered from 1 and
/// traced; everything random about it comes from its seed.
///
/// A test runs a workload once, then again for each operation `n` with [`MemoryDisk::crash_at`], brings
/// the disk back with [`MemoryDisk::crash`] and checks what recovery makes of it. Or with
/// [`MemoryDisk::restart`] first: what a killed process left in the page cache is taken up by the next one,
/// which must not build on it before it is durable.
#[derive(Clone)]
pub struct MemoryDisk {
    pub(super) model: Arc<Mutex<Model>>,
    sync_delay: Arc<Mutex<Duration>>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> MemoryDisk {
        MemoryDisk { model: Arc::new(Mutex::new(Model::new(seed))), sync_delay: Arc::default() }
    }

    /// How many operations changed something so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.model.lock().operations()
    }

    /// What happened so far, one line an operation.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.model.lock().trace().to_vec()
    }

    /// Turns the power off in the middle of operation `n` (as [`MemoryDisk::operations`] counts): it and
    /// everything after it fails until [`MemoryDisk::crash`].
    pub fn crash_at(&self, n: u64) {
        self.model.lock().set_crash_at(Some(n));
    }

    /// Whether the power is still on.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.model.lock().is_powered()
    }

    /// Turns the power off and on. Open files are dead, locks are free, and of what was not synced only
    /// what `keep` says is left.
    pub fn crash(&self, keep: Keep) {
        self.model.lock().crash(keep);
    }

    /// Ends the process, not the machine: open files are dead and locks are free; everything that was seen is
    /// still seen, and nothing became durable by it. After [`MemoryDisk::crash_at`]: a kill in the middle of
    /// that operation.
    pub fn restart(&self) {
        self.model.lock().restart();
    }

    /// Plans a failure.
    pub fn inject(&self, fault: Fault) {
        self.model.lock().add_fault(fault);
    }

    /// Forgets all planned failures.
    pub fn clear_faults(&self) {
        self.model.lock().clear_faults();
    }

    /// Limits the bytes of all files together; writes beyond get [`DiskError::OutOfSpace`].
    pub fn set_capacity_bytes(&self, bytes: u64) {
        self.model.lock().capacity_bytes = bytes;
    }

    /// Makes each sync take this long on the tokio clock, so that work can pile up behind it.
    pub fn set_sync_delay(&self, delay: Duration) {
        *self.sync_delay.lock() = delay;
    }

    pub(super) fn sync_delay(&self) -> Duration {
        *self.sync_delay.lock()
    }

    /// Writes into a file behind everybody's back, durably, as a failing medium would.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn corrupt(&self, path: &Path, offset: u64, bytes: &[u8]) {
        let mut model = self.model.lock();
        let Some(Node::File(id)) = model.node(path) else { panic!("{} is not a file", path.display()) };
        model.write(id, offset, &bytes::Bytes::copy_from_slice(bytes));
        model.sync(id);
    }

    /// All files that are seen, by name, with their bytes.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.model.lock().contents()
    }

    /// Turns one bit of a file round behind everybody's back, as a failing medium would: in what is seen and in
    /// what is durable. Nothing becomes durable by it. `false` if there is no such bit.
    pub fn flip(&self, path: &Path, offset: u64, bit: u8) -> bool {
        self.model.lock().flip(path, offset, bit)
    }

    /// The same disk, on which syncs take no time: for who waits for them on the thread of everybody else.
    #[must_use]
    pub fn prompt(&self) -> MemoryDisk {
        MemoryDisk { model: self.model.clone(), sync_delay: Arc::default() }
    }
}

fn not_found(path: &Path) -> DiskError {
    DiskError::NotFound { path: path.to_owned() }
}

#[async_trait]
impl Disk for MemoryDisk {
    async fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut model = self.model.lock();
        model.check_power("open", path)?;
        let creates = matches!(mode, OpenMode::CreateNew | OpenMode::OpenOrCreate);
        let id = match model.node(path) {
            Some(_) if mode == OpenMode::CreateNew => {
                return Err(DiskError::AlreadyExists { path: path.to_owned() });
            }
            Some(Node::File(id)) => id,
            None if creates && model.node(parent(path)) == Some(Node::Dir) => {
                model.begin("create", path, "")?;
                model.fault(FaultOperation::Create, "create", path)?;
                let id = model.create_file(path);
                model.finish("create", path)?;
                id
            }
            Some(Node::Dir) | None => return Err(not_found(path)),
        };
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(MemoryFile { disk: self.clone(), path: path.to_owned(), id, age: model.age, writable }))
    }

    async fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let model = self.model.lock();
        model.check_power("list", dir)?;
        if model.node(dir) != Some(Node::Dir) {
            return Err(not_found(dir));
        }
        let entry = |(path, node): (&Path, Node)| DirEntry {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            is_dir: node == Node::Dir,
        };
        let mut entries: Vec<DirEntry> = model.children(dir).map(entry).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    async fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        let mut model = self.model.lock();
        model.check_power("create directory", dir)?;
        let mut missing: Vec<&Path> = dir.ancestors().take_while(|path| model.node(path).is_none()).collect();
        while let Some(path) = missing.pop() {
            model.begin("create directory", path, "")?;
            model.link(path, Node::Dir);
            model.finish("create directory", path)?;
        }
        Ok(())
    }

    async fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        let mut model = self.model.lock();
        model.check_power("remove", path)?;
        if !matches!(model.node(path), Some(Node::File(_))) {
            return Err(not_found(path));
        }
        model.begin("remove", path, "")?;
        model.fault(FaultOperation::Remove, "remove", path)?;
        model.unlink(path);
        model.finish("remove", path)
    }

    async fn remove_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        let mut model = self.model.lock();
        model.check_power("remove directory", dir)?;
        if model.node(dir) != Some(Node::Dir) {
            return Err(not_found(dir));
        }
        model.begin("remove directory", dir, "")?;
        model.fault(FaultOperation::Remove, "remove directory", dir)?;
        model.unlink(dir);
        model.finish("remove directory", dir)
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let mut model = self.model.lock();
        model.check_power("rename", from)?;
        if model.node(from).is_none() || model.node(parent(to)) != Some(Node::Dir) {
            return Err(not_found(from));
        }
        model.begin("rename", from, &format!(" to {}", to.display()))?;
        model.fault(FaultOperation::Rename, "rename", from)?;
        model.rename(from, to);
        model.finish("rename", from)
    }

    async fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let mut model = self.model.lock();
        model.check_power("sync directory", dir)?;
        if model.node(dir) != Some(Node::Dir) {
            return Err(not_found(dir));
        }
        model.begin("sync directory", dir, "")?;
        model.fault(FaultOperation::SyncDir, "sync directory", dir)?;
        model.finish("sync directory", dir)?;
        model.sync_names(dir);
        Ok(())
    }

    async fn metadata(&self, path: &Path) -> Result<DiskMetadata, DiskError> {
        let model = self.model.lock();
        model.check_power("metadata", path)?;
        let (len, is_dir) = match model.node(path).ok_or_else(|| not_found(path))? {
            Node::Dir => (0, true),
            Node::File(id) => (model.file(id).map_or(0, |file| file.cache.len() as u64), false),
        };
        Ok(DiskMetadata { len, is_dir, modified_unix_ms: 0 })
    }

    async fn lock(&self, path: &Path) -> Result<DiskLock, DiskError> {
        let _file = self.open(path, OpenMode::OpenOrCreate).await?;
        let mut model = self.model.lock();
        if model.locks.contains_key(path) {
            let holder = "another user of this memory disk".to_owned();
            return Err(DiskError::Locked { path: path.to_owned(), holder });
        }
        let age = model.age;
        model.locks.insert(path.to_owned(), age);
        let guard = MemoryLock { disk: self.clone(), path: path.to_owned(), age };
        Ok(DiskLock { _guard: Box::new(guard) })
    }

    async fn available_bytes(&self, dir: &Path) -> Result<u64, DiskError> {
        let model = self.model.lock();
        model.check_power("statvfs", dir)?;
        Ok(model.capacity_bytes.saturating_sub(model.used_bytes()))
    }
}

struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
    age: u64,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut model = self.disk.model.lock();
        if model.locks.get(&self.path) == Some(&self.age) {
            model.locks.remove(&self.path);
        }
    }
}
