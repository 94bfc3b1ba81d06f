//! What can go wrong while a delivery is applied.

use cinclus_rpc::WorkerError;
use cinclus_types::Advice;

/// A delivery could not be applied; the pump tries it again and tsafe stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A worker did not take forwarded deletes.
    #[error("a worker did not take deletes: {0}")]
    Worker(#[from] WorkerError),
}

impl ApplyError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            ApplyError::Worker(error) => error.advice(),
        }
    }
}
