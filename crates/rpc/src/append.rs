//! Appending to a log.

use cinclus_types::{Advice, CollectionId, MessageId, PartitionId, SegmentId, Tick, TxnId};

/// A batch was appended and is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The ids of the batch's own messages, in order (begin and commit of its transaction not counted).
    pub ids: Vec<MessageId>,
    /// The effective tick of the batch: its message's, or its transaction's commit tick.
    pub tick: Tick,
    /// The segments that a flushing message sealed.
    pub sealed: Vec<SegmentId>,
    /// From here a reader gets everything with a greater tick. The log's beginning if that is not known.
    pub last_confirmed: MessageId,
}

/// Why a batch was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log is not served here, or under another term.
    #[error("the log is not served here")]
    NotOwner,
    /// The log is closing.
    #[error("the log is closing")]
    Closing,
    /// The log is being re-opened after a failure; nothing of this batch was stored.
    #[error("the log is not ready: {0}")]
    NotReady(String),
    /// The storage of the log fails and could not be opened again so far; nothing of this batch was stored.
    #[error("service unavailable: {0}")]
    Unavailable(String),
    /// The writer died with the batch in flight: it may or may not be stored.
    #[error("it is not known whether the batch was stored: {0}")]
    Unknown(String),
    /// More is in flight than allowed.
    #[error("rate limit exceeded: {0}")]
    Overloaded(String),
    /// A batch larger than a log takes.
    #[error("message too large: {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the batch.
        bytes: u64,
        /// The most that is taken.
        limit: u64,
    },
    /// The storage has no room.
    #[error("disk limit exceeded: need {need} bytes, {available} available beyond the reserve")]
    OutOfSpace {
        /// Bytes of the batch.
        need: u64,
        /// Bytes left beyond the reserve.
        available: u64,
    },
    /// The log may have room, but what has to be written beside it has none.
    #[error("disk limit exceeded: {0}")]
    DiskFull(String),
    /// The memory budget has no room.
    #[error("memory limit exceeded: need {need} bytes, used {used} of {limit}")]
    OutOfMemory {
        /// Bytes of the batch.
        need: u64,
        /// Bytes in use.
        used: u64,
        /// The budget.
        limit: u64,
    },
    /// The collection is not in this VChannel (dropped, or never created).
    #[error("collection {0} not found in the channel")]
    CollectionNotFound(CollectionId),
    /// The partition is not in this VChannel.
    #[error("partition {1} of collection {0} not found in the channel")]
    PartitionNotFound(CollectionId, PartitionId),
    /// The batch was built with another schema version.
    #[error("schema version {given} does not match {current}")]
    SchemaMismatch {
        /// The batch's.
        given: i32,
        /// The one in force.
        current: i32,
    },
    /// The transaction is not open: expired, ended, or never begun. None of it becomes visible by this call.
    #[error("transaction {0} expired or not found")]
    TxnExpired(TxnId),
    /// The log rolled the transaction back. None of it becomes visible; its client may begin another one. An owner
    /// that came later, or opened the log again, says [`AppendError::TxnExpired`].
    #[error("transaction {0} was rolled back: {1}")]
    TxnRolledBack(TxnId, RollbackCause),
    /// The log's records are corrupt; it stays closed.
    #[error("the log is corrupt: {0}")]
    Corrupt(String),
    /// The batch can never be appended.
    #[error("{0}")]
    Invalid(String),
}

/// Why a log rolls a transaction back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackCause {
    /// Too much log lies behind its begin.
    #[error(
        "more log was written since it began than open transactions may hold (cinclus.recovery.logBytesMax)"
    )]
    HoldsLog,
    /// A message closed the segments that its rows are in.
    #[error("its collection was changed or flushed")]
    Changed,
}

impl AppendError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            AppendError::NotOwner | AppendError::Closing => Advice::Reroute,
            AppendError::NotReady(_)
            | AppendError::Unavailable(_)
            | AppendError::Overloaded(_)
            | AppendError::OutOfSpace { .. }
            | AppendError::DiskFull(_)
            | AppendError::OutOfMemory { .. } => Advice::Retry,
            AppendError::Unknown(_) => Advice::Unknown,
            AppendError::TooLarge { .. }
            | AppendError::CollectionNotFound(_)
            | AppendError::PartitionNotFound(..)
            | AppendError::SchemaMismatch { .. }
            | AppendError::TxnExpired(_)
            | AppendError::TxnRolledBack(..)
            | AppendError::Corrupt(_)
            | AppendError::Invalid(_) => Advice::Reject,
        }
    }
}
