//! One PChannel: everything between the records of its log and the messages that take effect.
//!
//! [`open()`] gives a [`Wal`] and its [`Feed`]. The Wal appends: one task puts every message into one order
//! of time and of the log, decides where rows go, and answers when the log storage has them durably
//! ([`append`]). The feed reads: it replays the log from the last checkpoint, brings each (re-)opened
//! writer up to date, then follows; whoever owns the PChannel pumps it into segments and the catalog.
//! Any number of [`Scanner`]s read beside it ([`scan`]).
//!
//! | folder | what |
//! | --- | --- |
//! | [`append`] | the write path: admit, stamp, place, store, publish |
//! | [`buffer`] | the newest messages in memory |
//! | [`recovery`] | cuts and their snapshots |
//! | [`scan`] | readers: catch-up, tail, feed |
//! | [`shard`] | the state machine, segment assignment, seal policies, remembered requests |
//! | [`tick`] | ranges of ticks, when a TimeTick is due |
//! | [`txn`] | open transactions at the writer, assembly at readers |
//!
//! A [`WalConfig`] shapes it. Row bytes are never looked into (W9).

pub mod append;
pub mod buffer;
pub mod config;
pub mod error;
mod metrics;
pub mod open;
pub mod proof;
pub mod recovery;
pub mod scan;
pub mod shard;
mod shared;
pub mod tick;
pub mod txn;
pub mod wal;

pub use buffer::BufferBudget;
pub use config::WalConfig;
pub use error::{FeedError, OpenError, ScanError, TruncateError};
pub use open::{WalParts, open};
pub use proof::OwnershipProof;
pub use recovery::RecoveryCut;
pub use scan::{Delivery, DeliveryKind, Feed, ScanFilter, ScanFrom, Scanner};
pub use shard::ShardState;
pub use txn::Held;
pub use wal::Wal;
