//! What survives of a Wal beside its log: the snapshot of its shard state, kept with the checkpoint.
//!
//! A checkpoint says from where the log is read again; the snapshot is what all messages with an
//! effective tick up to the checkpoint's made of the PChannel. Both are committed to the catalog in one
//! transaction by the owner of the log, together with the chunks that hold the rows (W6).

pub mod cut;
pub mod snapshot;

pub use cut::RecoveryCut;
