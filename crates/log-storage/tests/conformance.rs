//! Every backend keeps L1–L7.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::disk::{Keep, MemoryDisk, OsDisk};
use cinclus_env::{Env, OsClock};
use cinclus_log_storage::conformance::Backend;
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, ObjectsConfig, WoodpeckerLocal, WoodpeckerObjects};
use cinclus_log_storage::{DynLogStorage, FaultPlan, FaultyLogStorage, MemoryLogStorage};
use cinclus_meta::{DynMetaStore, MemoryMetaStore};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parking_lot::Mutex;

struct Fixed(DynLogStorage);

#[async_trait]
impl Backend for Fixed {
    async fn storage(&self) -> DynLogStorage {
        self.0.clone()
    }
}

/// Files on some disk; metadata that outlives restarts.
struct Files {
    env: Env,
    disk: Option<MemoryDisk>,
    config: LocalConfig,
    meta: DynMetaStore,
    open: Mutex<Option<DynLogStorage>>,
    _dir: Option<tempfile::TempDir>,
}

impl Files {
    async fn new(env: Env, disk: Option<MemoryDisk>, root: &Path, segment_bytes: u64) -> Files {
        let mut config = LocalConfig::new(root);
        config.roll = RollPolicy { bytes_max: segment_bytes, age_max: Duration::from_secs(600) };
        let meta = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
        let files = Files { env, disk, config, meta: Arc::new(meta), open: Mutex::new(None), _dir: None };
        files.start().await;
        files
    }

    async fn start(&self) -> DynLogStorage {
        let open = WoodpeckerLocal::open(self.config.clone(), self.env.clone(), self.meta.clone()).await;
        let storage: DynLogStorage = Arc::new(open.unwrap());
        *self.open.lock() = Some(storage.clone());
        storage
    }
}

#[async_trait]
impl Backend for Files {
    async fn storage(&self) -> DynLogStorage {
        self.open.lock().clone().unwrap()
    }

    async fn restarted(&self) -> Option<DynLogStorage> {
        *self.open.lock() = None;
        // The keepers of the old storage end by themselves once nobody has it.
        let bound = Duration::from_secs(10);
        if let Some(disk) = &self.disk {
            disk.crash(Keep::Nothing);
        } else {
            self.env.tasks.join(&OsClock, bound).await.unwrap();
        }
        let mut fresh = Env::test(1);
        fresh.disk = self.env.disk.clone();
        let open = WoodpeckerLocal::open(self.config.clone(), fresh, self.meta.clone()).await;
        Some(Arc::new(open.unwrap()))
    }
}

async fn on_memory_disk(segment_bytes: u64, sync: Duration) -> Files {
    let (env, disk) = Env::test_with_disk(7);
    disk.set_sync_delay(sync);
    Files::new(env, Some(disk), Path::new("/data/wp"), segment_bytes).await
}

async fn on_files(segment_bytes: u64) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let mut env = Env::test(7);
    env.disk = Arc::new(OsDisk::new());
    let mut files = Files::new(env, None, &dir.path().join("wp"), segment_bytes).await;
    files._dir = Some(dir);
    files
}

/// Objects in a store, and metadata, that outlive restarts.
struct Objects {
    config: ObjectsConfig,
    store: Arc<dyn ObjectStore>,
    meta: DynMetaStore,
    open: Mutex<Option<(DynLogStorage, Env)>>,
}

impl Objects {
    async fn new(store: Arc<dyn ObjectStore>, set: impl FnOnce(&mut ObjectsConfig)) -> Objects {
        let mut config = ObjectsConfig::new("files/wp");
        set(&mut config);
        let env = Env::test(7);
        let meta = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
        let objects = Objects { config, store, meta: Arc::new(meta), open: Mutex::new(None) };
        objects.start(env).await;
        objects
    }

    async fn start(&self, env: Env) -> DynLogStorage {
        let (store, meta) = (self.store.clone(), self.meta.clone());
        let open = WoodpeckerObjects::open(self.config.clone(), store, env.clone(), meta).await;
        let storage: DynLogStorage = Arc::new(open.unwrap());
        *self.open.lock() = Some((storage.clone(), env));
        storage
    }
}

#[async_trait]
impl Backend for Objects {
    async fn storage(&self) -> DynLogStorage {
        self.open.lock().as_ref().unwrap().0.clone()
    }

    async fn restarted(&self) -> Option<DynLogStorage> {
        let (storage, env) = self.open.lock().take().unwrap();
        drop(storage);
        env.tasks.join(&OsClock, Duration::from_secs(10)).await.unwrap();
        Some(self.start(Env::test(8)).await)
    }
}

async fn slow_acks() -> Fixed {
    let env = Env::test(3);
    let faulty = FaultyLogStorage::new(Arc::new(MemoryLogStorage::new()), &env);
    faulty.set_plan(FaultPlan { ack_delay_max: Duration::from_micros(300), ..FaultPlan::default() });
    Fixed(Arc::new(faulty))
}

mod memory {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(async { Fixed(Arc::new(MemoryLogStorage::new())) });
}

mod faulty_without_faults {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(slow_acks());
}

mod woodpecker_local_on_a_memory_disk {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(on_memory_disk(256_000_000, Duration::ZERO));
}

mod woodpecker_local_with_tiny_segments {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(on_memory_disk(300, Duration::ZERO));
}

mod woodpecker_local_with_slow_syncs {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(on_memory_disk(2_000, Duration::from_millis(1)));
}

mod woodpecker_local_on_files {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(on_files(256_000_000));
}

mod woodpecker_local_on_files_with_tiny_segments {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(on_files(1_000));
}

mod woodpecker_objects {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Objects::new(Arc::new(InMemory::new()), |_| {}));
}

mod woodpecker_objects_with_tiny_segments_and_blocks {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Objects::new(Arc::new(InMemory::new()), |config| {
        config.roll.bytes_max = 300;
        config.block_bytes_max = 100;
        config.uploads_max = 4;
        config.reads_max = 2;
    }));
}
