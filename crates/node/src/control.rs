//! What the pump is told between two deliveries.

use std::sync::Arc;

use cinclus_query::ApplyError;
use cinclus_types::{SegmentEntry, SegmentId, Tick, VChannel};
use cinclus_wal::Held;
use tokio::sync::oneshot;

use crate::failure::Failure;

/// A message to the pump, which alone changes delegators.
pub enum Control {
    /// A worker holds this sealed segment with all deletes up to `applied`.
    HandOver {
        /// The shard.
        vchannel: VChannel,
        /// The segment.
        entry: Arc<SegmentEntry>,
        /// The deletes that the worker has.
        applied: Tick,
        /// Told whether reads use the worker's copy now; if not, nobody needs it.
        done: oneshot::Sender<Result<bool, ApplyError>>,
    },
    /// These sealed segments are not to be read any more.
    Retire {
        /// The shard.
        vchannel: VChannel,
        /// The segments.
        segments: Vec<SegmentId>,
        /// Dropped when no new read takes them.
        done: oneshot::Sender<()>,
    },
    /// A round of persisting ended.
    Persisted(PersistedRound),
    /// Persist now; the sender is dropped when everything applied so far is in files.
    Persist(oneshot::Sender<()>),
    /// Transactions were rolled back so that they hold no log: a round is to forget it.
    LetGo,
}

/// What a round of persisting achieved.
pub struct PersistedRound {
    /// Everything up to here is in files.
    pub tick: Tick,
    /// VChannels that left the catalog with this round.
    pub dropped_vchannels: Vec<VChannel>,
    /// Segments that left the catalog with this round.
    pub dropped_segments: Vec<(VChannel, SegmentId)>,
    /// Told when the round is noted: those who asked for it.
    pub waiting: Vec<oneshot::Sender<()>>,
    /// What of the log before the cut is read again: open transactions hold it.
    pub held: Vec<Held>,
    /// Whether it was committed; if not, why, and the next round does it again.
    pub committed: Result<(), Failure>,
}
