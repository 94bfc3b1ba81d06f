//! Which growing segment takes rows, and which ones are to be closed.

use std::collections::BTreeSet;

use cinclus_env::mutated;
use cinclus_types::{PartitionId, SegmentId, Tick, VChannel};

use super::seal_policy::{SealPolicy, SealReason};
use super::state::ShardState;
use crate::txn::TxnTable;

/// Where rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// Into this growing segment.
    Into(SegmentId),
    /// Into a new one, which has to be created first.
    New,
}

/// Decides for the live instance; what it decided is then in the messages (W8). Pure.
#[derive(Clone, Debug)]
pub struct SegmentAssigner {
    policy: SealPolicy,
    closing: BTreeSet<SegmentId>,
    growing_bytes: u64,
    next_check: Option<Tick>,
}

impl SegmentAssigner {
    /// An assigner for a state.
    #[must_use]
    pub fn new(policy: SealPolicy, state: &ShardState) -> SegmentAssigner {
        let next_check = (!state.growing().is_empty()).then_some(Tick::ZERO);
        SegmentAssigner { policy, closing: BTreeSet::new(), growing_bytes: state.growing_bytes(), next_check }
    }

    /// The segment for so many rows and bytes of a partition. A segment that they do not fit into any
    /// more is closed as soon as it can be.
    pub fn assign(
        &mut self,
        state: &ShardState,
        at: (&VChannel, PartitionId),
        rows: u64,
        bytes: u64,
    ) -> Assignment {
        let (vchannel, partition) = at;
        let segments = state.shard(vchannel).and_then(|shard| shard.partitions.get(&partition));
        for id in segments.into_iter().flatten() {
            let Some(segment) = state.growing().get(id).filter(|_| !self.closing.contains(id)) else {
                continue;
            };
            if self.policy.fits(segment, rows, bytes) && self.policy.full(segment).is_none() {
                return Assignment::Into(*id);
            }
            self.close(*id, SealReason::Bytes);
        }
        Assignment::New
    }

    /// A segment was created at `tick`.
    pub fn created(&mut self, tick: Tick) {
        if self.next_check.is_none() {
            self.next_check = Some(tick.plus(self.policy.idle.min(self.policy.age_max)));
        }
    }

    /// Rows went into a segment: it may be full now, or all segments together too large.
    pub fn grew(&mut self, state: &ShardState, segment: SegmentId, bytes: u64) {
        if let Some(reason) = state.growing().get(&segment).and_then(|growing| self.policy.full(growing)) {
            self.close(segment, reason);
        }
        self.growing_bytes += bytes;
        if self.growing_bytes > self.policy.growing_bytes_max {
            self.close_largest(state);
        }
    }

    /// When [`SegmentAssigner::check`] is to be called, if at all.
    #[must_use]
    pub fn next_check(&self) -> Option<Tick> {
        self.next_check
    }

    /// Closes what age and idleness close at `now`.
    pub fn check(&mut self, state: &ShardState, now: Tick) {
        self.growing_bytes = state.growing_bytes();
        let mut next: Option<Tick> = None;
        for (id, segment) in state.growing() {
            if let Some(reason) = self.policy.timed_out(segment, now) {
                self.close(*id, reason);
            } else {
                let check = self.policy.next_check(segment, now);
                next = Some(next.map_or(check, |next| next.min(check)));
            }
        }
        self.next_check = next;
    }

    /// The segments whose Flush may be stored now.
    #[must_use]
    pub fn due(&self, txns: &TxnTable) -> Vec<SegmentId> {
        // Invariant W11.
        self.closing
            .iter()
            .copied()
            .filter(|id| mutated("FlushesUnderTransactions") || !txns.holds(*id))
            .collect()
    }

    /// Whether any segment waits for its Flush.
    #[must_use]
    pub fn has_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// The segment takes no rows any more: its Flush, or the message that closes it, was placed, or it
    /// was dropped.
    pub fn closed(&mut self, segment: SegmentId, bytes: u64) {
        self.closing.remove(&segment);
        self.growing_bytes = self.growing_bytes.saturating_sub(bytes);
    }

    /// Forgets segments that are not growing any more.
    pub fn retain_growing(&mut self, state: &ShardState) {
        self.closing.retain(|id| state.growing().contains_key(id));
        self.growing_bytes = state.growing_bytes();
    }

    fn close(&mut self, segment: SegmentId, reason: SealReason) {
        if self.closing.insert(segment) {
            tracing::debug!(%segment, ?reason, "a growing segment is to be closed");
        }
    }

    fn close_largest(&mut self, state: &ShardState) {
        self.growing_bytes = state.growing_bytes();
        let mut left = self.growing_bytes;
        if left <= self.policy.growing_bytes_max {
            return;
        }
        let mut largest: Vec<_> = state.growing().iter().map(|(id, segment)| (segment.bytes, *id)).collect();
        largest.sort_unstable();
        for (bytes, id) in largest.into_iter().rev() {
            if left <= self.policy.growing_bytes_max / 2 {
                break;
            }
            left -= bytes;
            self.close(id, SealReason::GrowingBytes);
        }
    }
}
