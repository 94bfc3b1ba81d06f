//! A point at which a Wal can be opened again.

use bytes::Bytes;
use cinclus_types::{Checkpoint, Tick};

use crate::txn::Held;

/// Everything that is needed to go on after the last delivery, consistent with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryCut {
    /// From where the log is read again.
    pub checkpoint: Checkpoint,
    /// The snapshot, for the catalog.
    pub state: Bytes,
    /// Bytes of log that were read since the cut before.
    pub log_bytes_since_last_cut: u64,
    /// What of the log before the cut is read again all the same: the open transactions, oldest first.
    pub held: Vec<Held>,
    /// The effective tick of the last delivery.
    pub tick: Tick,
}

impl RecoveryCut {
    /// Bytes of log before the cut that are read again.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held.first().map_or(0, |oldest| oldest.bytes)
    }
}
