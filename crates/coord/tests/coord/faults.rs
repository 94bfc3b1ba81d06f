//! What goes wrong, and when: operations on metadata and logs are counted together, and one of them fails.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_meta::{CommitOutcome, DynMetaStore, Entry, LeaseId, MetaError, MetaStore, Revision, Txn, Watch};
use parking_lot::Mutex;
use tokio::sync::watch;

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies before the operation has an effect.
    CrashBefore,
    /// The process dies when it has had its effect.
    CrashAfter,
    /// It has no effect, and its answer is lost.
    LostBefore,
    /// It has its effect, and its answer is lost.
    LostAfter,
    /// A commit whose answer is lost, and which the store takes up when everything is over.
    Late,
    /// It is refused.
    Refused,
}

/// Counts operations and lets one fail. Clones are the same.
#[derive(Clone)]
pub(crate) struct Faults(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    crashed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    seen: usize,
    armed: Option<(usize, Fault)>,
    log: Vec<String>,
    late: Vec<Txn>,
}

impl Faults {
    pub(crate) fn new() -> Faults {
        Faults(Arc::new(Shared { state: Mutex::default(), crashed: watch::Sender::new(false) }))
    }

    /// The operation that comes after `skip` others goes wrong.
    pub(crate) fn arm(&self, skip: usize, fault: Fault) {
        let mut state = self.0.state.lock();
        (state.seen, state.armed) = (0, Some((skip, fault)));
    }

    /// Nothing goes wrong any more, and the next process lives.
    pub(crate) fn disarm(&self) {
        self.0.state.lock().armed = None;
        self.0.crashed.send_replace(false);
    }

    /// Whether the armed operation has come.
    pub(crate) fn struck(&self) -> bool {
        let state = self.0.state.lock();
        state.armed.is_some_and(|(skip, _)| state.seen > skip)
    }

    /// Waits until the process dies.
    pub(crate) async fn crashed(&self) {
        let mut crashed = self.0.crashed.subscribe();
        crashed.wait_for(|crashed| *crashed).await.unwrap();
    }

    pub(crate) fn is_crashed(&self) -> bool {
        *self.0.crashed.borrow()
    }

    /// Every operation that had its effect, in order.
    pub(crate) fn log(&self) -> Vec<String> {
        self.0.state.lock().log.clone()
    }

    /// Runs an operation, or lets it fail: `lost` and `refused` make its error.
    pub(crate) async fn run<T, E>(
        &self,
        what: String,
        operation: impl Future<Output = Result<T, E>>,
        lost: impl FnOnce() -> E,
        refused: impl FnOnce() -> E,
    ) -> Result<T, E> {
        if self.is_crashed() {
            std::future::pending::<()>().await;
        }
        let fault = {
            let mut state = self.0.state.lock();
            let at = state.seen;
            state.seen += 1;
            state.armed.filter(|(skip, _)| *skip == at).map(|(_, fault)| fault)
        };
        match fault {
            Some(Fault::CrashBefore) => self.die().await,
            Some(Fault::LostBefore | Fault::Late) => return Err(lost()),
            Some(Fault::Refused) => return Err(refused()),
            Some(Fault::CrashAfter | Fault::LostAfter) | None => {}
        }
        let done = operation.await;
        self.0.state.lock().log.push(what);
        match fault {
            Some(Fault::CrashAfter) => self.die().await,
            Some(Fault::LostAfter) => Err(lost()),
            Some(Fault::CrashBefore | Fault::LostBefore | Fault::Late | Fault::Refused) | None => done,
        }
    }

    /// The armed operation is the next one, and comes late.
    fn is_next_late(&self) -> bool {
        let state = self.0.state.lock();
        state.armed == Some((state.seen, Fault::Late))
    }

    /// Lets a store take up what comes late; says whether there was something.
    pub(crate) async fn deliver_late(&self, store: &DynMetaStore) -> bool {
        let late = std::mem::take(&mut self.0.state.lock().late);
        let any = !late.is_empty();
        for txn in late {
            store.commit(txn).await.unwrap();
        }
        any
    }

    async fn die<T>(&self) -> T {
        self.0.crashed.send_replace(true);
        std::future::pending().await
    }
}

/// A metadata store in which the faults happen.
pub(crate) struct FaultyStore {
    pub(crate) inner: DynMetaStore,
    pub(crate) faults: Faults,
}

fn lost() -> MetaError {
    MetaError::Unknown("lost by the test".to_owned())
}

fn refused() -> MetaError {
    MetaError::Unavailable("refused by the test".to_owned())
}

#[async_trait]
impl MetaStore for FaultyStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.faults.run(format!("get {key}"), self.inner.get(key), refused, refused).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.faults.run(format!("scan {prefix}"), self.inner.scan(prefix), refused, refused).await
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        if self.faults.is_next_late() {
            self.faults.0.state.lock().late.push(txn.clone());
        }
        let keys: Vec<String> = txn.writes.iter().map(|write| format!("{write:?}")).collect();
        self.faults.run(format!("commit {}", keys.join(", ")), self.inner.commit(txn), lost, refused).await
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
