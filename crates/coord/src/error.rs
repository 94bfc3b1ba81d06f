//! Why the coordinator does not start.

use cinclus_catalog::CatalogError;
use cinclus_meta::MetaError;

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
