//! A log on files, as a server keeps it.

use std::path::Path;
use std::sync::Arc;

use cinclus_env::Env;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_log_storage::{DynLogStorage, LogWriter, OpenOptions};
use cinclus_meta::{DynMetaStore, MemoryMetaStore};
use cinclus_types::{MessageId, PChannel, Term};

use crate::outside::spawned::Home;

/// A storage on files. Its metadata is in memory: it is not part of what is measured.
pub(super) struct Files {
    /// What it works with.
    pub(super) env: Env,
    /// Metadata of the log.
    pub(super) meta: DynMetaStore,
    /// The storage.
    pub(super) storage: DynLogStorage,
    /// Where it is; removed in the end.
    _home: Home,
}

impl Files {
    /// An empty storage in a folder of its own in `dir`.
    pub(super) async fn create(dir: &Path) -> anyhow::Result<Files> {
        let (env, home) = (Env::os(), Home::create(dir, "wal")?);
        let meta = memory_meta(&env);
        let config = LocalConfig::new(home.data());
        let storage = Arc::new(WoodpeckerLocal::open(config, env.clone(), meta.clone()).await?);
        Ok(Files { env, meta, storage, _home: home })
    }

    /// Opens a log for writing.
    pub(super) async fn writer(&self, channel: &PChannel) -> anyhow::Result<Box<dyn LogWriter>> {
        Ok(self.storage.open_writer(channel, first_open()).await?)
    }

    /// Syncs of a log so far.
    pub(super) fn syncs(&self, channel: &PChannel) -> u64 {
        let labels = [("channel", channel.name())];
        self.env.telemetry.counter("cinclus_log_blocks", "", &labels).get()
    }
}

/// Metadata that costs nothing.
pub(super) fn memory_meta(env: &Env) -> DynMetaStore {
    Arc::new(MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks))
}

/// The first open of a log.
pub(super) fn first_open() -> OpenOptions {
    OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST }
}
