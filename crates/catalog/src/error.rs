//! What can go wrong with the catalog.

use cinclus_meta::{MetaError, WatchError};
use cinclus_types::{Advice, PChannel, Term};

/// What can go wrong with the catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The metadata store.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// A watch of the metadata store.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// An entry that cannot be read.
    #[error("the catalog entry {key} cannot be read: {reason}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// An entry of a newer release.
    #[error(
        "the catalog entry {key} has format {found}, this release knows up to {known}: use a newer release"
    )]
    Newer {
        /// Its key.
        key: String,
        /// Its format.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// Somebody else changed the same entries.
    #[error("the catalog was changed by somebody else: {0}")]
    Conflict(String),
    /// A newer term owns the log.
    #[error("{channel} is owned under a term after {term}")]
    Fenced {
        /// The log.
        channel: PChannel,
        /// The stale term.
        term: Term,
    },
}

impl CatalogError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            CatalogError::Meta(error) => error.advice(),
            CatalogError::Watch(error) => error.advice(),
            CatalogError::Corrupt { .. } | CatalogError::Newer { .. } | CatalogError::Conflict(_) => {
                Advice::Reject
            }
            CatalogError::Fenced { .. } => Advice::Reroute,
        }
    }
}
