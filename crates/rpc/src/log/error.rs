//! Why a subscription ends.

use cinclus_types::{Advice, MessageId};

/// Why a log is not read, or not read any further. What was delivered before stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// The log is not served here, or under another term.
    #[error("the log is not served here")]
    NotOwner,
    /// The log was closed here: it moves, or the node stops.
    #[error("the log is closed here: {0}")]
    Closed(String),
    /// The log starts later than asked: the reader comes too late (W7).
    #[error("the log is truncated: the earliest record is {earliest}")]
    Truncated {
        /// The first id that can be read.
        earliest: MessageId,
    },
    /// The log's records are corrupt.
    #[error("the log is corrupt: {0}")]
    Corrupt(String),
    /// There are as many subscriptions as allowed.
    #[error("there are {limit} subscriptions already, the limit")]
    TooMany {
        /// The most that a node serves.
        limit: usize,
    },
    /// The owner cannot be reached.
    #[error("service unavailable: {0}")]
    Unavailable(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl ConsumeError {
    /// What the caller should do; in every case from the checkpoint of the last delivery on.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            ConsumeError::NotOwner | ConsumeError::Closed(_) => Advice::Reroute,
            ConsumeError::TooMany { .. } | ConsumeError::Unavailable(_) => Advice::Retry,
            ConsumeError::Truncated { .. } | ConsumeError::Corrupt(_) | ConsumeError::Invalid(_) => {
                Advice::Reject
            }
        }
    }
}
