//! The store that keeps everything in memory: for tests and simulation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{DynClock, TaskGroup};
use parking_lot::Mutex;

use crate::config::Config;
use crate::contents::{self, Contents};
use crate::entry::{Entry, Revision};
use crate::error::MetaError;
use crate::history::History;
use crate::lease::LeaseId;
use crate::plan::{self, Fates, Plan, State};
use crate::store::MetaStore;
use crate::sweep::{Leases, Sweeper};
use crate::txn::{CommitOutcome, Txn};
use crate::watch::Watch;

/// A [`MetaStore`] in memory. "Durable" means here: as long as the store lives.
pub struct MemoryMetaStore {
    shared: Arc<Shared>,
}

struct Shared {
    contents: Mutex<Contents>,
    leases: Arc<Leases>,
    history: Arc<History>,
}

impl MemoryMetaStore {
    /// An empty store. Its leases are measured by `clock` and end in a task of `tasks`.
    #[must_use]
    pub fn new(config: &Config, clock: DynClock, tasks: &TaskGroup) -> MemoryMetaStore {
        let leases = Leases::new(clock);
        let shared = Arc::new(Shared {
            contents: Mutex::default(),
            leases: leases.clone(),
            history: Arc::new(History::new(Revision(0), config.history_bytes_max)),
        });
        leases.start(Sweep(Arc::downgrade(&shared)), tasks);
        MemoryMetaStore { shared }
    }
}

impl Drop for MemoryMetaStore {
    fn drop(&mut self) {
        self.shared.leases.close();
    }
}

struct Sweep(std::sync::Weak<Shared>);

#[async_trait]
impl Sweeper for Sweep {
    async fn sweep(&self) -> Result<(), MetaError> {
        if let Some(shared) = self.0.upgrade() {
            shared.end(None);
        }
        Ok(())
    }
}

impl Shared {
    fn write(&self, contents: &mut Contents, fates: Fates) -> Revision {
        if fates.is_empty() {
            return contents.revision;
        }
        // Invariant M1.
        let revision = contents.revision.next();
        contents.apply(revision, &fates);
        contents::publish(revision, fates, &self.leases, &self.history);
        revision
    }

    /// Ends `lease`, and every lease whose time is over, and deletes their keys in one commit.
    fn end(&self, lease: Option<LeaseId>) {
        let mut contents = self.contents.lock();
        let fates = contents::ended(&self.leases, lease);
        self.write(&mut contents, fates);
    }
}

#[async_trait]
impl MetaStore for MemoryMetaStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.shared.contents.lock().entry(key)
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        // Invariant M4.
        let contents = self.shared.contents.lock();
        Ok((contents.revision, contents.under(prefix).cloned().collect()))
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        plan::check(&txn)?;
        let mut contents = self.shared.contents.lock();
        self.shared.leases.check(plan::leases(&txn))?;
        let revision = contents.revision.next();
        Ok(match plan::plan(txn, revision, &*contents)? {
            Plan::Conflict(failed) => CommitOutcome::Conflict(failed),
            Plan::Write(fates) => CommitOutcome::Committed(self.shared.write(&mut contents, fates)),
        })
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        Ok(self.shared.history.watch(prefix, after))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.shared.leases.grant(ttl)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.shared.leases.keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.shared.end(Some(lease));
        Ok(())
    }
}
