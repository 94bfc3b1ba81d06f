//! What a streaming node does for the others.

use std::collections::BTreeMap;

use async_trait::async_trait;
use cinclus_types::{Advice, BroadcastId, PChannel, PartitionId, Term, Tick, VChannel};

use crate::{LogApi, QueryAnswer, ReadError, SearchAnswer, ShardQuery, ShardSearch};

/// Why a node could not open or close a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A newer term is known.
    #[error("term {given} of {channel} is over: {known} is known")]
    OldTerm {
        /// The log.
        channel: PChannel,
        /// The asked term.
        given: Term,
        /// The newest known.
        known: Term,
    },
    /// The log's records are corrupt; it stays closed.
    #[error("{channel} is corrupt: {reason}")]
    Corrupt {
        /// The log.
        channel: PChannel,
        /// File, segment and block.
        reason: String,
    },
    /// The storage or the metadata did not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl NodeError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            NodeError::OldTerm { .. } | NodeError::Corrupt { .. } => Advice::Reject,
            NodeError::Unavailable(_) => Advice::Retry,
        }
    }
}

/// How a log stands at its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStatus {
    /// The log.
    pub channel: PChannel,
    /// Its term.
    pub term: Term,
    /// Everything up to here is acknowledged.
    pub frontier: Tick,
    /// Everything up to here can be searched.
    pub tsafe: Tick,
}

/// Rows of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStatistics {
    /// Rows ever inserted and not dropped with their partition, deleted ones included, by partition.
    pub rows: BTreeMap<PartitionId, u64>,
    /// Whether searches of the shard are served as loaded.
    pub serving: bool,
}

/// A streaming node: owns logs, and answers for the shards in them.
#[async_trait]
pub trait NodeApi: LogApi {
    /// Opens a log under a term; returns when it serves. Opening it again under the same term is a success.
    async fn open_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError>;

    /// Closes a log; reads stopped before this returns (Q3).
    async fn close_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError>;

    /// Every target of these broadcasts has acknowledged, and the coordinator has persisted that: the log
    /// need not remember them any more (C2). Nothing if it is not served here under that term: a log that
    /// does not hear of it forgets them by age.
    async fn forget_broadcasts(&self, channel: &PChannel, term: Term, broadcasts: &[BroadcastId]);

    /// Persists what the log of a shard holds up to a tick: when this returns, the rows and deletes are in object storage
    /// and the segments that were sealed up to there are known as such.
    async fn persist(&self, vchannel: &VChannel, upto: Tick) -> Result<(), ReadError>;

    /// Searches one shard.
    async fn search(&self, search: ShardSearch) -> Result<SearchAnswer, ReadError>;

    /// Queries one shard.
    async fn query(&self, query: ShardQuery) -> Result<QueryAnswer, ReadError>;

    /// Counts the rows of one shard.
    async fn statistics(&self, vchannel: &VChannel) -> Result<ShardStatistics, ReadError>;

    /// How the logs stand that this node serves.
    async fn status(&self) -> Vec<ChannelStatus>;
}
