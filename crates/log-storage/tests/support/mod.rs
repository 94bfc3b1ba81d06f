//! A storage on a memory disk whose power can go, together with its metadata.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::disk::{DiskError, Keep, MemoryDisk};
use cinclus_env::{Disk, DynDisk, Env};
use cinclus_log_storage::woodpecker::metadata::WoodpeckerMetadata;
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_log_storage::{DynLogStorage, LogError};
use cinclus_meta::{
    CommitOutcome, DynMetaStore, Entry, LeaseId, MemoryMetaStore, MetaError, MetaStore, Revision, Txn, Watch,
};

pub const ROOT: &str = "/data/wp";

/// The machine of a test: it can be switched off in the middle of any write, sync or metadata commit.
pub struct Machine {
    pub disk: MemoryDisk,
    pub env: Env,
    pub meta: DynMetaStore,
    pub config: LocalConfig,
}

impl Machine {
    pub fn new(seed: u64, segment_bytes: u64) -> Machine {
        let (env, disk) = Env::test_with_disk(seed);
        let mut config = LocalConfig::new(ROOT);
        config.roll = RollPolicy { bytes_max: segment_bytes, age_max: Duration::from_secs(600) };
        let inner = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
        let meta = Arc::new(PoweredMeta { inner: Arc::new(inner), disk: disk.clone() });
        Machine { disk, env, meta, config }
    }

    pub async fn start(&self) -> Result<DynLogStorage, LogError> {
        let open = WoodpeckerLocal::open(self.config.clone(), self.env.clone(), self.meta.clone()).await?;
        Ok(Arc::new(open))
    }

    /// The power goes and comes back; every task of before is gone.
    pub async fn crash(&mut self, keep: Keep) {
        self.end_tasks().await;
        self.disk.crash(keep);
        self.renew_env();
    }

    /// The process is killed: every task of before is gone, the page cache stays.
    pub async fn kill(&mut self) {
        self.end_tasks().await;
        self.disk.restart();
        self.renew_env();
    }

    async fn end_tasks(&self) {
        let clock = self.env.clock.clone();
        let _ = self.env.tasks.join(&*clock, Duration::from_secs(60)).await;
    }

    fn renew_env(&mut self) {
        let mut env = Env::test(self.env.random.u64());
        env.disk = self.env.disk.clone();
        self.env = env;
    }

    pub fn segment_file(&self, segment: u64) -> PathBuf {
        PathBuf::from(format!("{ROOT}/1/{segment}/data.log"))
    }

    pub fn dyn_disk(&self) -> DynDisk {
        self.env.disk.clone()
    }

    pub fn metadata(&self) -> WoodpeckerMetadata {
        let prefix = &self.config.metadata_prefix;
        WoodpeckerMetadata::new(self.meta.clone(), prefix, self.env.clock.clone(), self.env.random.clone())
    }
}

/// Metadata that is durable at once, and that the power takes along. An operation of the disk before and
/// one behind each commit let a crash come before it, and after it but before its answer. They make nothing
/// durable that belongs to the storage.
struct PoweredMeta {
    inner: DynMetaStore,
    disk: MemoryDisk,
}

impl PoweredMeta {
    async fn mark(&self) -> Result<(), MetaError> {
        let own = Path::new("/metadata");
        let lost = |error: DiskError| MetaError::Unknown(error.to_string());
        self.disk.create_dir_all(own).await.map_err(lost)?;
        self.disk.sync_dir(own).await.map_err(lost)
    }
}

#[async_trait]
impl MetaStore for PoweredMeta {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.inner.scan(prefix).await
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        self.mark().await?;
        let outcome = self.inner.commit(txn).await?;
        self.mark().await?;
        Ok(outcome)
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
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
