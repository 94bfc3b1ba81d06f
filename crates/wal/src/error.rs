//! Errors of opening, reading and truncating a Wal. Those of appending are [`cinclus_rpc::AppendError`].

use cinclus_types::{Advice, MessageId, Term};

/// Why a Wal was not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer term owns the log.
    #[error("term {0} is over: a newer owner opened the log")]
    Fenced(Term),
    /// Records or the checkpoint cannot be read.
    #[error("the log is corrupt: {0}")]
    Corrupt(String),
    /// The checkpoint was written by a newer release.
    #[error("the checkpoint has format version {found}; this release reads up to {supported}")]
    NewerFormat {
        /// The version found.
        found: u32,
        /// The newest that is read.
        supported: u32,
    },
    /// The storage or the metadata did not answer.
    #[error("the log cannot be opened now: {0}")]
    Unavailable(String),
}

impl OpenError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            OpenError::Fenced(_) => Advice::Reroute,
            OpenError::Corrupt(_) | OpenError::NewerFormat { .. } => Advice::Reject,
            OpenError::Unavailable(_) => Advice::Retry,
        }
    }
}

/// Why a reader ended. What was delivered before stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The log starts later than asked.
    #[error("the log is truncated: the earliest record is {earliest}")]
    Truncated {
        /// The first id that can be read.
        earliest: MessageId,
    },
    /// Records cannot be read.
    #[error("the log is corrupt: {0}")]
    Corrupt(String),
    /// The Wal was closed, or a newer term owns the log.
    #[error("the log is closed here: {0}")]
    Closed(String),
}

impl ScanError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            ScanError::Truncated { .. } | ScanError::Corrupt(_) => Advice::Reject,
            ScanError::Closed(_) => Advice::Reroute,
        }
    }
}

/// Why the feed ended.
pub type FeedError = ScanError;

/// Why the log was not truncated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log was not truncated: {0}")]
pub struct TruncateError(pub String);

impl TruncateError {
    /// What the caller should do: the same again, later.
    #[must_use]
    pub fn advice(&self) -> Advice {
        Advice::Retry
    }
}
