//! Ending leases when their time is over.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{DynClock, TaskGroup};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::MetaError;
use crate::lease::LeaseId;
use crate::lease_table::LeaseTable;

/// After a sweep that failed, the next one comes this much later.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The leases of a store, with the clock that they are measured by.
pub(crate) struct Leases {
    clock: DynClock,
    state: Mutex<State>,
    /// A lease was granted (its end may be the next one), or the store was closed.
    changed: Notify,
}

struct State {
    table: LeaseTable,
    closed: bool,
}

/// Deletes the keys of ended leases.
#[async_trait]
pub(crate) trait Sweeper: Send + Sync + 'static {
    /// Ends the leases whose time is over and deletes the keys of all ended leases, or fails.
    async fn sweep(&self) -> Result<(), MetaError>;
}

impl Leases {
    pub(crate) fn new(clock: DynClock) -> Arc<Leases> {
        let state = Mutex::new(State { table: LeaseTable::default(), closed: false });
        Arc::new(Leases { clock, state, changed: Notify::new() })
    }

    /// Runs `act` on the table, with the clock's reading.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut LeaseTable, Duration) -> T) -> T {
        let mut state = self.state.lock();
        // Read under the lock: a reading of before it could let a keep-alive overtake the end of the lease.
        let now = self.clock.monotonic();
        act(&mut state.table, now)
    }

    pub(crate) fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        if ttl.is_zero() {
            return Err(MetaError::Invalid("a lease needs a time to live above zero".into()));
        }
        let lease = self.with(|table, now| table.grant(now, ttl));
        self.changed.notify_one();
        Ok(lease)
    }

    pub(crate) fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        if self.with(|table, now| table.keep_alive(now, lease)) {
            Ok(())
        } else {
            Err(MetaError::LeaseGone(lease))
        }
    }

    /// Refuses leases that have ended.
    pub(crate) fn check(&self, mut leases: impl Iterator<Item = LeaseId>) -> Result<(), MetaError> {
        self.with(|table, now| match leases.find(|lease| !table.is_live(now, *lease)) {
            Some(lease) => Err(MetaError::LeaseGone(lease)),
            None => Ok(()),
        })
    }

    /// Ends the task of [`Leases::start`].
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Starts the task that sweeps when a lease ends.
    pub(crate) fn start(self: &Arc<Leases>, sweeper: impl Sweeper, tasks: &TaskGroup) {
        let leases = self.clone();
        tasks.spawn_until_cancelled("meta-leases", async move { leases.run(&sweeper).await });
    }

    async fn run(&self, sweeper: &impl Sweeper) {
        loop {
            let (closed, orphans, deadline) = {
                let state = self.state.lock();
                (state.closed, state.table.has_orphans(), state.table.next_deadline())
            };
            if closed {
                return;
            }
            let due = orphans || deadline.is_some_and(|deadline| deadline <= self.clock.monotonic());
            if due {
                if let Err(error) = sweeper.sweep().await {
                    tracing::warn!(%error, "the keys of ended leases could not be deleted yet");
                    self.wait(Some(self.clock.monotonic().saturating_add(RETRY_AFTER))).await;
                }
            } else {
                self.wait(deadline).await;
            }
        }
    }

    async fn wait(&self, deadline: Option<Duration>) {
        let over = async {
            match deadline {
                Some(deadline) => self.clock.sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.changed.notified() => {}
            () = over => {}
        }
    }
}
