//! What a query node does for the delegators: it holds sealed segments.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_types::{
    Advice, CollectionSchema, Keys, PartitionId, SegmentEntry, SegmentId, Tick, VChannelEntry,
};

use crate::{Hits, QueryAnswer, QueryPlan, SearchPlan};

/// A sealed segment to load.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentLoad {
    /// Its chunks.
    pub segment: Arc<SegmentEntry>,
    /// The delete files to apply.
    pub deletes: VChannelEntry,
    /// The schema to read it with.
    pub schema: Arc<CollectionSchema>,
}

/// Which segments a sub-plan reads, and at which tick.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentsRead {
    /// The segments.
    pub segments: Vec<SegmentId>,
    /// The partitions; empty: all.
    pub partitions: Vec<PartitionId>,
    /// The tick.
    pub at: Tick,
}

/// Why a worker could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The segment is not held here.
    #[error("segment not loaded[segment={0}]")]
    NotLoaded(SegmentId),
    /// The memory budget has no room.
    #[error("memory limit exceeded: need {need} bytes, limit {limit}")]
    OutOfMemory {
        /// Bytes needed.
        need: u64,
        /// The budget.
        limit: u64,
    },
    /// A file is corrupt.
    #[error("{0}")]
    Corrupt(String),
    /// The request does not fit the schema.
    #[error("{0}")]
    Invalid(String),
    /// The object storage did not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl WorkerError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            WorkerError::NotLoaded(_) => Advice::Reroute,
            WorkerError::OutOfMemory { .. } | WorkerError::Unavailable(_) => Advice::Retry,
            WorkerError::Corrupt(_) | WorkerError::Invalid(_) => Advice::Reject,
        }
    }
}

/// A query node.
#[async_trait]
pub trait WorkerApi: Send + Sync + 'static {
    /// Loads a segment and applies its delete files. Loading it again is a success.
    async fn load(&self, load: SegmentLoad) -> Result<(), WorkerError>;

    /// Lets go of a segment.
    async fn release(&self, segment: SegmentId);

    /// Hides rows from a tick on: deletes that came after those in the delete files. `tick` never goes back.
    async fn delete(&self, segments: &[SegmentId], keys: Arc<Keys>, tick: Tick) -> Result<(), WorkerError>;

    /// Searches segments; hits are merged over them, each key once (the newest row).
    async fn search(&self, read: SegmentsRead, plan: Arc<SearchPlan>) -> Result<Hits, WorkerError>;

    /// Queries segments; rows are merged over them, each key once (the newest row).
    async fn query(&self, read: SegmentsRead, plan: Arc<QueryPlan>) -> Result<QueryAnswer, WorkerError>;

    /// The tick of the newest row of each key that is visible at `read.at`, whatever its other values.
    async fn newest(&self, read: SegmentsRead, keys: Arc<Keys>) -> Result<Vec<Option<Tick>>, WorkerError>;
}
