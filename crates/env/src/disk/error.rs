//! What can go wrong with a file.

use std::io;
use std::path::{Path, PathBuf};

use cinclus_types::Advice;

/// An error of the disk, with the operation and the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// There is nothing of that name.
    #[error("{}: not found", .path.display())]
    NotFound {
        /// The path asked for.
        path: PathBuf,
    },
    /// There is something of that name already.
    #[error("{}: exists already", .path.display())]
    AlreadyExists {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file system is full, or a quota is.
    #[error("{}: no space left on the disk ({operation})", .path.display())]
    OutOfSpace {
        /// What was tried.
        operation: &'static str,
        /// The path written to.
        path: PathBuf,
    },
    /// Somebody else holds the lock.
    #[error("{}: locked by {holder}", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the lock file says of its holder.
        holder: String,
    },
    /// Anything else the operating system says.
    #[error("{}: {operation} failed: {message}", .path.display())]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// The kind of the error.
        kind: io::ErrorKind,
        /// The error's text.
        message: String,
    },
}

impl DiskError {
    /// What the caller should do. A failed write or sync is `Unknown`: some of it may be there.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            DiskError::NotFound { .. } | DiskError::AlreadyExists { .. } => Advice::Reject,
            DiskError::OutOfSpace { .. } | DiskError::Locked { .. } => Advice::Retry,
            DiskError::Failed { .. } => Advice::Unknown,
        }
    }

    pub(crate) fn from_io(operation: &'static str, path: &Path, error: &io::Error) -> DiskError {
        let path = path.to_owned();
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound {
            DiskError::NotFound { path }
        } else if kind == io::ErrorKind::AlreadyExists {
            DiskError::AlreadyExists { path }
        } else if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            DiskError::OutOfSpace { operation, path }
        } else {
            DiskError::Failed { operation, path, kind, message: error.to_string() }
        }
    }

    pub(crate) fn stopped(operation: &'static str) -> DiskError {
        DiskError::Failed {
            operation,
            path: PathBuf::new(),
            kind: io::ErrorKind::Interrupted,
            message: "the disk's thread has ended".to_owned(),
        }
    }
}
