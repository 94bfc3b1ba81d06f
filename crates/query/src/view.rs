//! The segments of a shard at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_env::MemoryHeld;
use cinclus_segment::Segment;
use cinclus_types::{PartitionId, SegmentEntry, SegmentId};

/// A segment that is in this process's memory.
#[derive(Clone)]
pub struct GrowingSegment {
    /// Its rows.
    pub segment: Arc<Segment>,
    /// Its partition.
    pub partition: PartitionId,
    /// Whether it takes no more rows.
    pub sealed: bool,
    /// What it takes of the memory budget, until the last reader has let go of it.
    pub held: Arc<MemoryHeld>,
}

/// The segments of a shard: each row is in exactly one of them (W8, Q1).
#[derive(Clone, Default)]
pub struct ShardView {
    /// In memory here.
    pub growing: BTreeMap<SegmentId, GrowingSegment>,
    /// On workers.
    pub sealed: BTreeMap<SegmentId, Arc<SegmentEntry>>,
}

impl ShardView {
    /// The segments in memory here of some partitions (none named: all), or only those of them that take no
    /// more rows.
    #[must_use]
    pub fn growing_of(&self, partitions: &[PartitionId], only_sealed: bool) -> Vec<Arc<Segment>> {
        let wanted = |partition| partitions.is_empty() || partitions.contains(&partition);
        let wanted = |g: &&GrowingSegment| wanted(g.partition) && (g.sealed || !only_sealed);
        self.growing.values().filter(wanted).map(|g| g.segment.clone()).collect()
    }

    /// The sealed segments of some partitions (none named: all).
    #[must_use]
    pub fn sealed_of(&self, partitions: &[PartitionId]) -> Vec<SegmentId> {
        let wanted = |partition| partitions.is_empty() || partitions.contains(&partition);
        self.sealed.values().filter(|entry| wanted(entry.partition)).map(|entry| entry.id).collect()
    }
}
