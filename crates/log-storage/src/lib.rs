//! Durable, ordered records of one PChannel.
//!
//! [`LogStorage`] is the seam and its page lists the rules L1–L7 that every backend keeps. A record is a
//! payload and string properties; what they mean is not this crate's business (invariant A4).
//!
//! | backend | where records are | for |
//! | --- | --- | --- |
//! | [`MemoryLogStorage`] | in memory | tests, simulation |
//! | [`WoodpeckerLocal`](woodpecker::WoodpeckerLocal) | files in Woodpecker's local layout | standalone |
//! | [`WoodpeckerObjects`](woodpecker::WoodpeckerObjects) | objects in Woodpecker's object layout | no disk at all |
//! | [`FaultyLogStorage`] | wraps any of them, and fails as told | tests, simulation |
//!
//! [`conformance`] has one function for each rule, which every backend runs.

mod ack;
pub mod conformance;
mod error;
mod faulty;
mod memory;
mod record;
mod storage;
pub mod woodpecker;

pub use ack::{AckSender, AppendAck};
pub use error::LogError;
pub use faulty::{FaultPlan, FaultyLogStorage};
pub use memory::MemoryLogStorage;
pub use record::{Record, StoredRecord};
pub use storage::{DynLogStorage, LogReader, LogStorage, LogWriter, OpenOptions};
