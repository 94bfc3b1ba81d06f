//! Why the coordinator does not start.

use cinclus_catalog::CatalogError;
use cinclus_meta::MetaError;
use cinclus_types::Advice;

/// Why the coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The metadata store.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A record that cannot be read.
    #[error("the record {key} cannot be read: {reason}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else wrote the same records at the same time.
    #[error("another coordinator is at work on the same metadata")]
    Concurrent,
}

impl StartError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            StartError::Meta(error) => error.advice(),
            StartError::Catalog(error) => error.advice(),
            StartError::Corrupt { .. } => Advice::Reject,
            StartError::Concurrent => Advice::Retry,
        }
    }
}
