//! A log on objects.

use std::sync::Arc;

use cinclus_env::Env;
use cinclus_log_storage::woodpecker::{ObjectsConfig, WoodpeckerObjects};
use cinclus_log_storage::{DynLogStorage, LogWriter};
use cinclus_meta::DynMetaStore;
use cinclus_types::PChannel;

use super::files::{first_open, memory_meta};
use super::slow_store::SlowStore;

/// What the names of its objects start with.
pub(super) const ROOT: &str = "bench";

/// A storage on objects. Its metadata is in memory: it is not part of what is measured.
pub(super) struct Objects {
    /// The object store.
    pub(super) store: Arc<SlowStore>,
    /// The log.
    pub(super) channel: PChannel,
    env: Env,
    meta: DynMetaStore,
    config: ObjectsConfig,
}

impl Objects {
    /// An empty one. Segments are not merged: that would be more work beside what is measured.
    pub(super) fn new(keeps_all: bool, set: impl FnOnce(&mut ObjectsConfig)) -> Objects {
        let env = Env::os();
        let meta = memory_meta(&env);
        let mut config = ObjectsConfig::new(ROOT);
        config.compact_bytes_max = 0;
        set(&mut config);
        let (store, channel) = (SlowStore::new(keeps_all), PChannel::numbered("bench", 0));
        Objects { store, channel, env, meta, config }
    }

    /// The storage as one more process sees it.
    pub(super) async fn process(&self) -> anyhow::Result<DynLogStorage> {
        let (store, meta) = (self.store.clone(), self.meta.clone());
        let opened = WoodpeckerObjects::open(self.config.clone(), store, self.env.clone(), meta).await?;
        Ok(Arc::new(opened))
    }

    /// Opens the log for writing.
    pub(super) async fn writer(&self, process: &DynLogStorage) -> anyhow::Result<Box<dyn LogWriter>> {
        Ok(process.open_writer(&self.channel, first_open()).await?)
    }
}
