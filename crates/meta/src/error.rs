//! What can go wrong, and what to do then.

use std::path::PathBuf;

use cinclus_types::Advice;

use crate::entry::Revision;
use crate::lease::LeaseId;

/// Why a call to a store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// The store did not take the call; nothing happened.
    #[error("the metadata store is not available: {0}")]
    Unavailable(String),
    /// The answer was lost: the call may have taken effect (rule M2). Read before calling again.
    #[error("the answer of the metadata store was lost, the change may have happened: {0}")]
    Unknown(String),
    /// What the store holds is not what was written.
    #[error("the metadata store is damaged: {0}")]
    Corrupt(String),
    /// The lease has ended or was never granted; nothing happened.
    #[error("lease {0} has ended")]
    LeaseGone(LeaseId),
    /// The call makes no sense as it is (an empty key, a lease without time).
    #[error("{0}")]
    Invalid(String),
}

impl MetaError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            MetaError::Unavailable(_) => Advice::Retry,
            MetaError::Unknown(_) => Advice::Unknown,
            MetaError::Corrupt(_) | MetaError::LeaseGone(_) | MetaError::Invalid(_) => Advice::Reject,
        }
    }
}

/// Why a watch ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// Changes after the watched revision are no longer kept: scan again and watch from there.
    #[error("changes up to revision {oldest} are no longer kept")]
    Compacted {
        /// The oldest revision from which a watch can still be given everything.
        oldest: Revision,
    },
    /// The store was closed.
    #[error("the metadata store was closed")]
    Closed,
    /// The connection to the store broke; a watch from the last seen revision goes on.
    #[error("the metadata store is not available: {0}")]
    Unavailable(String),
}

impl WatchError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            WatchError::Compacted { .. } | WatchError::Closed => Advice::Reject,
            WatchError::Unavailable(_) => Advice::Retry,
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another store in this one, has the file open.
    #[error("{} is in use by {holder}, which holds its lock", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
        /// What the lock says of its holder.
        holder: String,
    },
    /// The file was written by a newer Cinclus.
    #[error(
        "{} has metadata format {found}, this version knows formats up to {known}: \
         open it with the version that wrote it, or a newer one",
        file.display()
    )]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// The format that the file names.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// The file is not a metadata file, or is damaged.
    #[error("{} cannot be read as metadata: {reason}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The object storage accepts two objects under one name that was to be new: nothing would keep two
    /// processes from overwriting each other's commits.
    #[error("the object storage cannot hold metadata, as it does not keep to If-None-Match: {reason}")]
    Unconditional {
        /// What was tried and seen.
        reason: String,
    },
    /// No member of the etcd answers.
    #[error("etcd at {address} cannot be reached: {reason}")]
    Unreachable {
        /// Who was asked.
        address: String,
        /// What was seen last.
        reason: String,
    },
    /// The etcd, or its address, is not one that we can use.
    #[error("etcd at {address} cannot hold metadata: {reason}")]
    Refused {
        /// Who was asked.
        address: String,
        /// What it said.
        reason: String,
    },
    /// The operating system, or the object storage, refused.
    #[error("{} cannot be opened: {reason}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        reason: String,
    },
}

impl OpenError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            OpenError::InUse { .. } | OpenError::Io { .. } | OpenError::Unreachable { .. } => Advice::Retry,
            OpenError::NewerFormat { .. }
            | OpenError::Corrupt { .. }
            | OpenError::Unconditional { .. }
            | OpenError::Refused { .. } => Advice::Reject,
        }
    }
}
