//! The store on objects.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::Env;
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};

use super::objects::Objects;
use super::open::{self, Owned};
use super::snapshots::Snapshots;
use super::writer::{Job, Reply, Writer};
use crate::config::Config;
use crate::entry::{Entry, Revision};
use crate::error::{MetaError, OpenError};
use crate::history::History;
use crate::lease::LeaseId;
use crate::plan::{self, State};
use crate::store::MetaStore;
use crate::sweep::{Leases, Sweeper};
use crate::txn::{CommitOutcome, Txn};
use crate::watch::Watch;

/// Settings of a store on objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectConfig {
    /// What it has in common with the other stores of this process.
    pub common: Config,
    /// A snapshot is written after so many bytes of commits, and not before they are as many as the last
    /// snapshot has. Default 256 KiB.
    pub snapshot_bytes_min: u64,
}

impl Default for ObjectConfig {
    fn default() -> ObjectConfig {
        ObjectConfig { common: Config::default(), snapshot_bytes_min: 256 << 10 }
    }
}

/// A [`MetaStore`] in an object storage, for one process at a time.
///
/// Commits that wait together go into one object. Reads are answered from memory. Leases live in the process,
/// as they do in [`EmbeddedMetaStore`](crate::EmbeddedMetaStore). If another process opens the same objects,
/// this one gets no further answer to a commit: every call fails from then on, see
/// [`superseded`](ObjectMetaStore::superseded).
pub struct ObjectMetaStore {
    owned: Arc<RwLock<Owned>>,
    leases: Arc<Leases>,
    history: Arc<History>,
    jobs: mpsc::Sender<Job>,
    over: watch::Receiver<Option<String>>,
}

impl ObjectMetaStore {
    /// Opens the store whose objects have names under `prefix`; makes it if there is none. Shuts out whoever
    /// had it open.
    ///
    /// # Errors
    /// See [`OpenError`]; each names the object. A storage that does not keep to `If-None-Match` is refused.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        config: &ObjectConfig,
        env: &Env,
    ) -> Result<ObjectMetaStore, OpenError> {
        let objects = Objects::new(store, prefix, env.clock.clone());
        let owned = open::open(&objects, &env.random).await?;
        let history = Arc::new(History::new(open::revision(&owned), config.common.history_bytes_max));
        let leases = Leases::new(env.clock.clone());
        let (jobs, queue) = mpsc::channel(config.common.queue_max.max(1));
        let (over, is_over) = watch::channel(None);
        let owned = Arc::new(RwLock::new(owned));
        let writer = Writer {
            snapshots: Snapshots::new(objects.clone(), config.snapshot_bytes_min),
            objects,
            owned: owned.clone(),
            leases: leases.clone(),
            history: history.clone(),
            tasks: env.tasks.clone(),
            group_max: config.common.group_max.max(1),
            over,
            unsettled: None,
        };
        env.tasks.spawn("meta-objects", writer.run(queue));
        leases.start(Sweep(jobs.downgrade()), &env.tasks);
        Ok(ObjectMetaStore { owned, leases, history, jobs, over: is_over })
    }

    /// Waits until another process has taken the objects over; says so in words. A process that serves should
    /// end then.
    pub async fn superseded(&self) -> String {
        let mut over = self.over.clone();
        match over.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(reason)) => reason.clone(),
            Ok(None) | Err(_) => "the metadata store was closed".to_owned(),
        }
    }

    fn check_open(&self) -> Result<(), MetaError> {
        match &*self.over.borrow() {
            Some(reason) => Err(MetaError::Unavailable(reason.clone())),
            None => Ok(()),
        }
    }

    async fn ask(&self, job: impl FnOnce(Reply) -> Job) -> Result<CommitOutcome, MetaError> {
        let (reply, answer) = oneshot::channel();
        let closed = || MetaError::Unavailable("the metadata store is being closed".into());
        self.jobs.send(job(reply)).await.map_err(|_| closed())?;
        // Invariant M2.
        answer.await.unwrap_or_else(|_| Err(MetaError::Unknown("the writer ended without an answer".into())))
    }
}

impl Drop for ObjectMetaStore {
    fn drop(&mut self) {
        self.leases.close();
    }
}

struct Sweep(mpsc::WeakSender<Job>);

#[async_trait]
impl Sweeper for Sweep {
    async fn sweep(&self) -> Result<(), MetaError> {
        let (reply, answer) = oneshot::channel();
        {
            let Some(jobs) = self.0.upgrade() else { return Ok(()) };
            jobs.try_send(Job::End(None, reply))
                .map_err(|error| MetaError::Unavailable(error.to_string()))?;
        }
        let ended = answer.await;
        ended
            .unwrap_or_else(|_| Err(MetaError::Unavailable("the metadata store was closed".into())))
            .map(drop)
    }
}

#[async_trait]
impl MetaStore for ObjectMetaStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.check_open()?;
        self.owned.read().contents.entry(key)
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.check_open()?;
        // Invariant M4.
        let owned = self.owned.read();
        Ok((owned.contents.revision, owned.contents.under(prefix).cloned().collect()))
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        plan::check(&txn)?;
        self.ask(|reply| Job::Commit(txn, reply)).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        self.check_open()?;
        Ok(self.history.watch(prefix, after))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.check_open()?;
        self.leases.grant(ttl)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.check_open()?;
        self.leases.keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.ask(|reply| Job::End(Some(lease), reply)).await.map(drop)
    }
}
