//! What the pump is told between two deliveries.

use std::sync::Arc;

use cinclus_query::ApplyError;
use cinclus_types::{MessageId, SegmentEntry, SegmentId, Tick, VChannel};
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
    /// From where the log is read again, and how much of it lies before the cut: open transactions hold it.
    pub held: (MessageId, u64),
    /// Whether it was committed; if not, why, and the next round does it again.
    pub committed: Result<(), Failure>,
}
