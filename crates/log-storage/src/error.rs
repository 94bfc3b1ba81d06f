//! What can go wrong with a log.

use std::path::PathBuf;

use cinclus_env::DiskError;
use cinclus_meta::MetaError;
use cinclus_types::{Advice, MessageId, PChannel, Term};

/// Why a call to a log storage failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A newer writer was opened. This one is dead (L7); what it sent and got no ack for may be there.
    #[error("a newer writer of this log was opened")]
    Fenced,
    /// A writer of a newer term was opened before; nothing happened.
    #[error("the log was opened under term {newest}, term {asked} is over")]
    StaleTerm {
        /// The term of the refused open.
        asked: Term,
        /// The newest term that the storage has seen.
        newest: Term,
    },
    /// The records asked for were truncated.
    #[error("the log was truncated, its earliest readable record is {earliest}")]
    Truncated {
        /// Where reading can start.
        earliest: MessageId,
    },
    /// The storage failed. A writer is dead then (L7); what it got no ack for may be there.
    #[error("the log storage is not available: {0}")]
    Unavailable(String),
    /// The storage is full. A writer is dead then; what it got no ack for may be there.
    #[error("{}: no space left for the log", file.display())]
    OutOfSpace {
        /// The file that could not grow.
        file: PathBuf,
    },
    /// What is stored is not what was written. The log stays closed until somebody decides what to drop.
    #[error("{}: segment {segment}, block {block} is damaged: {reason}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Its segment.
        segment: u64,
        /// The number of the first bad block in the segment.
        block: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no log of that name.
    #[error("there is no log {0}")]
    NotFound(PChannel),
    /// A batch is larger than the storage takes.
    #[error("a batch of {bytes} bytes is larger than the storage takes ({max} bytes)")]
    TooLarge {
        /// The batch.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The call makes no sense as it is.
    #[error("{0}")]
    Invalid(String),
    /// The writer was closed by its owner.
    #[error("the writer of this log was closed")]
    Closed,
    /// Another process has the storage open.
    #[error("{}: the log storage is in use by {holder}", file.display())]
    InUse {
        /// The lock file.
        file: PathBuf,
        /// What the lock file says of its holder.
        holder: String,
    },
}

impl LogError {
    /// What the caller should do. For an append, [`Advice::Unknown`] means that it may have happened.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            LogError::Fenced | LogError::Unavailable(_) | LogError::OutOfSpace { .. } => Advice::Unknown,
            LogError::StaleTerm { .. } => Advice::Reroute,
            LogError::InUse { .. } | LogError::Closed => Advice::Retry,
            LogError::Truncated { .. }
            | LogError::Corrupt { .. }
            | LogError::NotFound(_)
            | LogError::TooLarge { .. }
            | LogError::Invalid(_) => Advice::Reject,
        }
    }
}

impl From<DiskError> for LogError {
    fn from(error: DiskError) -> LogError {
        match error {
            DiskError::OutOfSpace { path, .. } => LogError::OutOfSpace { file: path },
            DiskError::Locked { path, holder } => LogError::InUse { file: path, holder },
            DiskError::NotFound { .. } | DiskError::AlreadyExists { .. } | DiskError::Failed { .. } => {
                LogError::Unavailable(error.to_string())
            }
        }
    }
}

impl From<MetaError> for LogError {
    fn from(error: MetaError) -> LogError {
        LogError::Unavailable(error.to_string())
    }
}
