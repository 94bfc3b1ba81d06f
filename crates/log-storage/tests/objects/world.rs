//! An object store and metadata that several processes share, and what must be true of the log in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::{Env, OsClock, Random};
use cinclus_log_storage::conformance::{Backend, channel, read_from};
use cinclus_log_storage::woodpecker::metadata::{SegmentEntry, SegmentState, WoodpeckerMetadata};
use cinclus_log_storage::woodpecker::{ObjectsConfig, WoodpeckerObjects};
use cinclus_log_storage::{DynLogStorage, LogError, OpenOptions, StoredRecord};
use cinclus_meta::{
    Change, ChangeSource, CommitOutcome, DynMetaStore, Entry, LeaseId, MemoryMetaStore, MetaError, MetaStore,
    Revision, Txn, Watch, WatchError,
};
use cinclus_types::{MessageId, Term};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;

use crate::store::{FaultyStore, Plan};

pub struct World {
    pub store: FaultyStore,
    pub meta: Arc<FaultyMeta>,
    pub config: ObjectsConfig,
    pub env: Env,
    open: Mutex<Option<(DynLogStorage, Env)>>,
}

impl World {
    pub fn new(seed: u64, set: impl FnOnce(&mut ObjectsConfig)) -> World {
        let env = Env::test(seed);
        let inner = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
        let meta = FaultyMeta {
            inner: Arc::new(inner),
            fails: Mutex::default(),
            mute: AtomicBool::new(false),
            random: env.random.fork("meta"),
        };
        let mut config = ObjectsConfig::new("files/wp");
        config.retry_pause = Duration::from_millis(1);
        set(&mut config);
        World { store: FaultyStore::new(seed), meta: Arc::new(meta), config, env, open: Mutex::new(None) }
    }

    /// Another process that uses the same objects and metadata.
    pub async fn process(&self, seed: u64) -> DynLogStorage {
        Arc::new(self.try_process(Env::test(seed)).await.unwrap())
    }

    pub async fn try_process(&self, env: Env) -> Result<WoodpeckerObjects, LogError> {
        let store = Arc::new(self.store.clone());
        WoodpeckerObjects::open(self.config.clone(), store, env, self.meta.clone()).await
    }

    pub fn metadata(&self) -> WoodpeckerMetadata {
        let prefix = &self.config.metadata_prefix;
        let meta: DynMetaStore = self.meta.clone();
        WoodpeckerMetadata::new(meta, prefix, self.env.clock.clone(), self.env.random.clone())
    }

    pub fn path(name: &str) -> Path {
        Path::from(format!("files/wp/{name}"))
    }

    /// An object under the root; `None` if there is none.
    pub async fn object(&self, name: &str) -> Option<Bytes> {
        match self.store.inner.get(&Self::path(name)).await {
            Ok(found) => Some(found.bytes().await.unwrap()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        self.store.inner.put(&Self::path(name), bytes.into().into()).await.unwrap();
    }

    /// The names of all objects of logs, sorted.
    pub async fn names(&self) -> Vec<String> {
        let folder = Path::from("files/wp");
        let found: Vec<_> = self.store.inner.list(Some(&folder)).try_collect().await.unwrap();
        let name = |meta: object_store::ObjectMeta| meta.location.as_ref()["files/wp/".len()..].to_owned();
        let mut names: Vec<String> = found.into_iter().map(name).collect();
        names.sort();
        names
    }

    /// A log of which another program has made these segments, all active.
    pub async fn foreign_log(&self, segments: u64) {
        let metadata = self.metadata();
        metadata.init().await.unwrap();
        let fence = metadata.raise_fence(&channel(), Term(0)).await.unwrap();
        metadata.create_log(&channel(), &fence).await.unwrap();
        for segment in 0..segments {
            metadata.create_segment(&channel(), &fence, segment).await.unwrap();
        }
    }

    /// The states of the log's segments.
    pub async fn states(&self) -> Vec<(u64, SegmentState, i64)> {
        let entry = self.metadata().load(&channel()).await.unwrap().unwrap();
        let state =
            |(id, segment): (&u64, &SegmentEntry)| (*id, segment.meta.state(), segment.meta.last_entry_id);
        entry.segments.iter().map(state).collect()
    }

    /// With a first process and faults, as a backend of the conformance tests.
    pub async fn with_faults(self, plan: Plan) -> World {
        let env = Env::test(77);
        let storage: DynLogStorage = Arc::new(self.try_process(env.clone()).await.unwrap());
        *self.open.lock() = Some((storage, env));
        self.store.set(plan);
        self
    }
}

#[async_trait]
impl Backend for World {
    async fn storage(&self) -> DynLogStorage {
        self.open.lock().as_ref().unwrap().0.clone()
    }

    async fn restarted(&self) -> Option<DynLogStorage> {
        let (storage, env) = self.open.lock().take().unwrap();
        drop(storage);
        env.tasks.join(&OsClock, Duration::from_secs(10)).await.unwrap();
        let env = Env::test(78);
        // The probe does not insist: a start-up that fails is made again.
        let plan = self.store.plan();
        self.store.set(Plan::default());
        let storage: DynLogStorage = Arc::new(self.try_process(env.clone()).await.unwrap());
        self.store.set(plan);
        *self.open.lock() = Some((storage.clone(), env));
        Some(storage)
    }
}

/// Metadata whose commits fail: before they do anything, or with a lost answer.
pub struct FaultyMeta {
    pub inner: DynMetaStore,
    fails: Mutex<(f64, f64)>,
    mute: AtomicBool,
    random: Random,
}

impl FaultyMeta {
    /// The chances that a commit does nothing, and that its answer is lost.
    pub fn set(&self, before: f64, after: f64) {
        *self.fails.lock() = (before, after);
    }

    /// Watches say nothing from now on: nobody hears that a log was taken.
    pub fn mute(&self) {
        self.mute.store(true, Ordering::SeqCst);
    }
}

struct Silence;

#[async_trait]
impl ChangeSource for Silence {
    async fn next(&mut self) -> Result<Vec<Change>, WatchError> {
        std::future::pending().await
    }
}

#[async_trait]
impl MetaStore for FaultyMeta {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.inner.scan(prefix).await
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        // As etcd has it.
        assert!(txn.conditions.len() <= 128 && txn.writes.len() <= 128, "{txn:?}");
        let (before, after) = *self.fails.lock();
        if before > 0.0 && self.random.chance(before) {
            return Err(MetaError::Unavailable("injected".to_owned()));
        }
        let outcome = self.inner.commit(txn).await?;
        if after > 0.0 && self.random.chance(after) {
            return Err(MetaError::Unknown("injected".to_owned()));
        }
        Ok(outcome)
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        if self.mute.load(Ordering::SeqCst) {
            return Ok(Watch::new(Silence));
        }
        self.inner.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.inner.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.revoke(lease).await
    }
}

pub fn options(term: i64) -> OpenOptions {
    OpenOptions { term: Term(term), acknowledged: MessageId::EARLIEST }
}

/// Everything from an id on, as a process that does not write the log sees it.
pub async fn seen_by(world: &World, seed: u64, from: MessageId) -> Vec<StoredRecord> {
    let storage = world.process(seed).await;
    read_from(&storage, from).await
}
