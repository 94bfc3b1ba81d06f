//! Why a file was not written or read.

use cinclus_types::Advice;

use crate::SegmentError;

/// Why a file of a segment was not written or read. Every message names the object.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such object.
    #[error("object {object} is missing")]
    Missing {
        /// The object.
        object: String,
    },
    /// There is an object of that name: it stays as it is.
    #[error("object {object} exists already")]
    Exists {
        /// The object.
        object: String,
    },
    /// The object is not what was written.
    #[error("object {object} is corrupt: {reason}")]
    Corrupt {
        /// The object.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The object was written by a newer release.
    #[error("object {object} has format {version}; this release reads up to {newest}")]
    Newer {
        /// The object.
        object: String,
        /// Its format version.
        version: u32,
        /// The newest that can be read.
        newest: u32,
    },
    /// The rows or the schema do not go into the file, or the other way round.
    #[error("object {object} does not fit: {reason}")]
    Misfit {
        /// The object.
        object: String,
        /// What does not fit.
        reason: String,
    },
    /// There was nothing to write.
    #[error("nothing to write into object {object}")]
    Nothing {
        /// The object.
        object: String,
    },
    /// The object storage did not do it.
    #[error("object {object}: {source}")]
    Store {
        /// The object.
        object: String,
        /// What the object storage said.
        source: object_store::Error,
    },
    /// The rows of a file do not make a segment.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

impl FileError {
    /// What the caller should do. A write that the storage did not answer may have happened: it is repeated
    /// under another name, and the object that nothing refers to is swept away later.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            FileError::Store { .. } => Advice::Retry,
            FileError::Segment(error) => error.advice(),
            FileError::Missing { .. }
            | FileError::Exists { .. }
            | FileError::Corrupt { .. }
            | FileError::Newer { .. }
            | FileError::Misfit { .. }
            | FileError::Nothing { .. } => Advice::Reject,
        }
    }

    pub(super) fn corrupt(object: &str, reason: impl std::fmt::Display) -> FileError {
        FileError::Corrupt { object: object.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn misfit(object: &str, reason: impl std::fmt::Display) -> FileError {
        FileError::Misfit { object: object.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn store(object: &str, source: object_store::Error) -> FileError {
        let object = object.to_owned();
        if let object_store::Error::NotFound { .. } = source {
            return FileError::Missing { object };
        }
        if let object_store::Error::AlreadyExists { .. } = source {
            return FileError::Exists { object };
        }
        FileError::Store { object, source }
    }
}
