//! The embedded store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{DynClock, Env};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::backend::Blocking;
use super::file::MetaFile;
use super::writer::{Job, Writer};
use crate::config::Config;
use crate::entry::{Entry, Revision};
use crate::error::{MetaError, OpenError};
use crate::history::History;
use crate::lease::LeaseId;
use crate::plan;
use crate::store::MetaStore;
use crate::sweep::{Leases, Sweeper};
use crate::txn::{CommitOutcome, Txn};
use crate::watch::Watch;

/// A [`MetaStore`] in the file `meta.redb` of a directory, for one process at a time.
///
/// Leases live in the process: their holders do too, since nobody else can reach the store. So every lease
/// ends with the process, and opening the file deletes the keys that still hang on one.
///
/// Dropping the store waits for the commit that is being synced and releases the file.
pub struct EmbeddedMetaStore {
    file: Arc<MetaFile>,
    leases: Arc<Leases>,
    history: Arc<History>,
    /// `None` only while the store is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    /// `None` if it is a task.
    writer: Option<std::thread::JoinHandle<Option<()>>>,
}

impl EmbeddedMetaStore {
    /// Opens the store in `directory`, which must exist; makes it if there is none.
    ///
    /// # Errors
    /// See [`OpenError`]; each names the file.
    pub async fn open(directory: &Path, config: &Config, env: &Env) -> Result<EmbeddedMetaStore, OpenError> {
        let (jobs, queue) = mpsc::channel(config.queue_max.max(1));
        let (opened, open) = oneshot::channel();
        let blocking = Blocking { disk: env.disk.clone(), runtime: Handle::current() };
        let (directory, of_writer, clock) = (directory.to_owned(), config.clone(), env.clock.clone());
        let begin = move || match start(blocking, &directory, &of_writer, clock) {
            Ok(writer) => {
                let parts = (writer.file.clone(), writer.leases.clone(), writer.history.clone());
                let _ = opened.send(Ok(parts));
                Some(writer)
            }
            Err(error) => {
                drop(opened.send(Err(error)));
                None
            }
        };
        let writer = if config.writer_thread {
            Some(env.tasks.spawn_thread("meta-writer", move || {
                if let Some(writer) = begin() {
                    writer.run(queue);
                }
            }))
        } else {
            if let Some(writer) = begin() {
                env.tasks.spawn("meta-writer", writer.run_as_task(queue));
            }
            None
        };
        let ended = || OpenError::Io { file: PathBuf::new(), reason: "the writer ended".into() };
        let (file, leases, history) = open.await.unwrap_or_else(|_| Err(ended()))?;
        leases.start(Sweep(jobs.downgrade()), &env.tasks);
        Ok(EmbeddedMetaStore { file, leases, history, jobs: Some(jobs), writer })
    }

    async fn ask(&self, job: impl FnOnce(super::writer::Reply) -> Job) -> Result<CommitOutcome, MetaError> {
        let gone = || MetaError::Unavailable("the metadata store is being closed".into());
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        let (reply, answer) = oneshot::channel();
        jobs.send(job(reply)).await.map_err(|_| gone())?;
        // Invariant M2.
        answer.await.unwrap_or_else(|_| Err(MetaError::Unknown("the writer ended without an answer".into())))
    }

    /// Has the writer try again to open a file that had to be closed after an error. Without this only a commit
    /// would, and who must read before it commits would never come so far.
    async fn opened(&self) -> Result<&MetaFile, MetaError> {
        if self.file.is_closed() {
            self.ask(|reply| Job::Commit(Txn::new(), reply)).await?;
        }
        Ok(&self.file)
    }
}

impl Drop for EmbeddedMetaStore {
    fn drop(&mut self) {
        self.leases.close();
        // The writer works off its queue and ends: the sweeper never holds a sender while it waits.
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn start(
    blocking: Blocking,
    directory: &Path,
    config: &Config,
    clock: DynClock,
) -> Result<Writer, OpenError> {
    let file = Arc::new(MetaFile::open(blocking, directory, config.cache_bytes_max)?);
    file.drop_leased()?;
    let revision = file.revision().map_err(|error| file.unreadable(&error))?;
    let history = Arc::new(History::new(revision, config.history_bytes_max));
    Ok(Writer::new(file, Leases::new(clock), history, config.group_max.max(1)))
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
impl MetaStore for EmbeddedMetaStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.opened().await?.get(key)
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.opened().await?.scan(prefix)
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        plan::check(&txn)?;
        self.ask(|reply| Job::Commit(txn, reply)).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        Ok(self.history.watch(prefix, after))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.leases.grant(ttl)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.leases.keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.ask(|reply| Job::End(Some(lease), reply)).await.map(drop)
    }
}
