//! The query node: holds sealed segments in memory, answers sub-plans on them, applies forwarded deletes.
//!
//! It obeys: which segments it holds is decided by the placement, told by the delegators.

pub mod worker;

pub use worker::Worker;
