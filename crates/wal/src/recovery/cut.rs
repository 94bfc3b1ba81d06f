//! A point at which a Wal can be opened again.

use bytes::Bytes;
use cinclus_types::{Checkpoint, Tick};

/// Everything that is needed to go on after the last delivery, consistent with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryCut {
    /// From where the log is read again.
    pub checkpoint: Checkpoint,
    /// The snapshot, for the catalog.
    pub state: Bytes,
    /// Bytes of log that were read since the cut before.
    pub log_bytes_since_last_cut: u64,
    /// Bytes of log before the cut that are read again all the same, because transactions are open since then.
    pub held_bytes: u64,
    /// The effective tick of the last delivery.
    pub tick: Tick,
}
