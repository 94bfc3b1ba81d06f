//! Searches and queries of one shard.

use std::sync::Arc;
use std::time::Duration;

use cinclus_expr::Expr;
use cinclus_types::{Advice, CollectionId, FieldId, Key, Metric, PartitionId, Rows, Tick, VChannel};

/// How fresh the answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// All that was acknowledged before the call (Q3).
    Strong,
    /// All up to this tick at least.
    AtLeast(Tick),
    /// Exactly what was visible at this tick (iterators).
    Snapshot(Tick),
}

/// Which rows of which shard, how fresh.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardRead {
    /// The shard.
    pub vchannel: VChannel,
    /// Its collection.
    pub collection: CollectionId,
    /// The partitions; empty: all loaded ones.
    pub partitions: Vec<PartitionId>,
    /// How fresh.
    pub freshness: Freshness,
    /// Leave growing segments out.
    pub ignore_growing: bool,
    /// The longest wait for freshness.
    pub patience: Duration,
}

/// Only scores within these bounds, in the metric's own unit.
///
/// L2: `filter ≤ score < radius`; IP and COSINE: `radius < score ≤ filter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeBounds {
    /// The far bound, exclusive.
    pub radius: f32,
    /// The near bound, inclusive.
    pub filter: Option<f32>,
}

/// What to search for.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchPlan {
    /// The vector field.
    pub field: FieldId,
    /// The metric.
    pub metric: Metric,
    /// Floats in one query.
    pub dim: usize,
    /// The queries one behind another: `nq × dim` floats.
    pub queries: Arc<[f32]>,
    /// Hits for each query, at most.
    pub k: usize,
    /// Only rows that match.
    pub filter: Option<Arc<Expr>>,
    /// Only scores within.
    pub range: Option<RangeBounds>,
    /// Only hits strictly beyond this score and, at the same score, this key (search iterator).
    pub beyond: Option<f32>,
    /// Fields to answer for each hit.
    pub output: Vec<FieldId>,
    /// One group for each value of this field, …
    pub group_by: Option<FieldId>,
    /// … with so many hits each.
    pub group_size: usize,
}

impl SearchPlan {
    /// The number of queries.
    #[must_use]
    pub fn nq(&self) -> usize {
        self.queries.len() / self.dim.max(1)
    }
}

/// Hits of several queries, best first within each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hits {
    /// Hits of each query.
    pub counts: Vec<usize>,
    /// The keys, one query behind another.
    pub keys: Vec<Key>,
    /// The scores, alike.
    pub scores: Vec<f32>,
    /// The effective ticks of the rows, alike.
    pub ticks: Vec<Tick>,
    /// The output fields, alike: one row for each hit.
    pub rows: Rows,
}

/// The answer to a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchAnswer {
    /// The tick at which the shard was read.
    pub at: Tick,
    /// What was found.
    pub hits: Hits,
}

/// What to query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryPlan {
    /// Only rows that match; `None`: all.
    pub filter: Option<Arc<Expr>>,
    /// The least keys, so many; `None`: all.
    pub limit: Option<usize>,
    /// Count rows and answer none.
    pub count_only: bool,
    /// Fields to answer.
    pub output: Vec<FieldId>,
}

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryAnswer {
    /// The tick at which the shard was read.
    pub at: Tick,
    /// Rows that matched (each inserted row counts); set for `count_only`.
    pub count: u64,
    /// The keys in ascending order, each once.
    pub keys: Vec<Key>,
    /// The effective ticks of the rows.
    pub ticks: Vec<Tick>,
    /// The output fields.
    pub rows: Rows,
}

/// A search of one shard.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardSearch {
    /// Where and how fresh.
    pub read: ShardRead,
    /// What for.
    pub plan: Arc<SearchPlan>,
}

/// A query of one shard.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardQuery {
    /// Where and how fresh.
    pub read: ShardRead,
    /// What for.
    pub plan: Arc<QueryPlan>,
}

/// Why a shard could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The shard is not served here.
    #[error("channel not available[channel={0}]")]
    NotServed(VChannel),
    /// The collection is not loaded.
    #[error("collection not loaded[collection={0}]")]
    NotLoaded(CollectionId),
    /// Loading is under way.
    #[error("collection not fully loaded[collection={0}]")]
    NotFullyLoaded(CollectionId),
    /// A partition is not loaded.
    #[error("partition not loaded[partition={0}]")]
    PartitionNotLoaded(PartitionId),
    /// The asked tick is too far ahead.
    #[error("guarantee timestamp {asked} is more than 10 s ahead of {now}")]
    TooFarAhead {
        /// The asked tick.
        asked: Tick,
        /// The newest tick.
        now: Tick,
    },
    /// The asked snapshot is older than what is kept.
    #[error("snapshot {asked} is older than the oldest that is kept, {oldest}")]
    SnapshotGone {
        /// The asked tick.
        asked: Tick,
        /// The oldest that can be read.
        oldest: Tick,
    },
    /// Freshness did not come in time.
    #[error("timed out while waiting for tick {asked}: the channel stands at {tsafe}")]
    TimedOut {
        /// The asked tick.
        asked: Tick,
        /// How far the shard is.
        tsafe: Tick,
    },
    /// The memory budget has no room.
    #[error("memory limit exceeded: need {need} bytes, limit {limit}")]
    OutOfMemory {
        /// Bytes needed.
        need: u64,
        /// The budget.
        limit: u64,
    },
    /// The request does not fit the schema.
    #[error("{0}")]
    Invalid(String),
    /// The log or a segment file is corrupt.
    #[error("{0}")]
    Corrupt(String),
    /// A part that is needed did not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl ReadError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            ReadError::NotServed(_) => Advice::Reroute,
            ReadError::NotFullyLoaded(_)
            | ReadError::TimedOut { .. }
            | ReadError::OutOfMemory { .. }
            | ReadError::Unavailable(_) => Advice::Retry,
            ReadError::NotLoaded(_)
            | ReadError::PartitionNotLoaded(_)
            | ReadError::TooFarAhead { .. }
            | ReadError::SnapshotGone { .. }
            | ReadError::Invalid(_)
            | ReadError::Corrupt(_) => Advice::Reject,
        }
    }
}
