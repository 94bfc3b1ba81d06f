//! The trait that every metadata store implements.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::entry::{Entry, Revision};
use crate::error::MetaError;
use crate::lease::LeaseId;
use crate::txn::{CommitOutcome, Txn};
use crate::watch::Watch;

/// A store as it is handed around.
pub type DynMetaStore = Arc<dyn MetaStore>;

/// Versioned keys with compare-and-set transactions, watches and leases.
///
/// Every implementation keeps these rules; `conformance` has a function for each.
///
/// 1. **M1** A commit that returned is durable. Its conditions and its writes hold at one revision. Revisions
///    only grow, also over deletes and over restarts.
/// 2. **M2** A lost answer is [`MetaError::Unknown`], never a guess. The caller reads again: each write of
///    ownership carries its term, so that a reader can tell whose it is.
/// 3. **M3** [`watch`](MetaStore::watch) gives every change after the named revision once and in order, the
///    changes of one commit together, or says `Compacted`.
/// 4. **M4** [`scan`](MetaStore::scan) is one revision, in key order.
/// 5. **M5** The holder of a lease counts its time from *sending* the keep-alive, the store from *answering*
///    it. So the holder always knows first that a lease has ended. See [`HeldLease`](crate::HeldLease).
#[async_trait]
pub trait MetaStore: Send + Sync + 'static {
    /// The entry of `key`, or `None`.
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError>;

    /// Every entry whose key starts with `prefix`, in key order, and the revision at which all of them held
    /// (rule M4). A [`watch`](MetaStore::watch) after that revision goes on without a gap.
    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError>;

    /// Writes all of `txn` if all its conditions hold, else nothing (rule M1).
    ///
    /// # Errors
    /// `Unknown` if it may have happened (rule M2); with every other error nothing happened.
    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError>;

    /// Every change of keys that start with `prefix`, after revision `after` (rule M3). If those changes are
    /// no longer kept, the watch says so in its first answer.
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError>;

    /// A new lease that ends `ttl` after it was last kept alive. Keys put with it are deleted when it ends.
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError>;

    /// Gives the lease its whole time again, from the answer on (rule M5).
    ///
    /// # Errors
    /// `LeaseGone` if it has ended: it never comes back.
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError>;

    /// Ends the lease now and deletes its keys, durably. Nothing if it has already ended.
    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError>;
}
