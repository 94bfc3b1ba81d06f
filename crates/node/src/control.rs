//! What the pump is told between two deliveries.

use std::sync::Arc;

use cinclus_types::{SegmentEntry, SegmentId, Tick, VChannel};
use tokio::sync::oneshot;

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
        /// Dropped when it is done.
        done: oneshot::Sender<()>,
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
    /// Rows in chunks, of each growing segment.
    pub rows: Vec<(VChannel, SegmentId, u32)>,
    /// VChannels that left the catalog with this round.
    pub dropped_vchannels: Vec<VChannel>,
    /// Segments that left the catalog with this round.
    pub dropped_segments: Vec<(VChannel, SegmentId)>,
    /// Told when the round is noted: those who asked for it.
    pub waiting: Vec<oneshot::Sender<()>>,
    /// Whether it was committed; if not, the next round does it again.
    pub committed: bool,
}
