//! Metadata: the small facts that must never be lost or disagreed upon, such as who owns which channel under
//! which term, which collections there are and which files hold a segment.
//!
//! [`MetaStore`] is the seam: versioned keys, compare-and-set transactions, watches and leases, under the
//! rules M1–M5 that its page lists. Callers hold a [`DynMetaStore`].
//!
//! | store | where it keeps things | for |
//! | --- | --- | --- |
//! | [`MemoryMetaStore`] | memory | tests and simulation |
//! | [`EmbeddedMetaStore`] | one file | standalone |
//! | [`ObjectMetaStore`] | objects of an object storage | one process without a disk |
//! | [`EtcdMetaStore`] | an etcd | several processes |
//!
//! `plan` judges transactions for all of them but etcd, so they cannot differ; `history` feeds their watches;
//! `lease_table` and `sweep` end their leases. etcd does all of that itself. `conformance` (a feature of that name) holds one test
//! function per rule, which every store runs.
//!
//! Who waits on whom: commits of the embedded store wait for a place in its writer's queue
//! ([`Config::queue_max`]) and then for the sync; reads and watches wait for nobody. A watcher that is slower
//! than the changes is told `Compacted` and holds up nobody.

mod config;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod contents;
mod embedded;
mod entry;
mod error;
mod etcd;
mod history;
mod lease;
mod lease_table;
mod memory;
#[cfg(test)]
mod memory_tests;
mod object;
mod plan;
mod probe;
mod store;
mod sweep;
mod txn;
mod watch;

pub use config::Config;
pub use embedded::EmbeddedMetaStore;
pub use entry::{Entry, Revision};
pub use error::{MetaError, OpenError, WatchError};
pub use etcd::{EtcdConfig, EtcdMetaStore, EtcdTls, EtcdUser, TlsIdentity, TlsVersion};
pub use lease::{HeldLease, LeaseId};
pub use memory::MemoryMetaStore;
pub use object::{ObjectConfig, ObjectMetaStore};
pub use probe::{ProbeError, probe_conditional_puts};
pub use store::{DynMetaStore, MetaStore};
pub use txn::{CommitOutcome, Condition, Txn, Write};
pub use watch::{Change, ChangeKind, ChangeSource, Watch};
