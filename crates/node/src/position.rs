//! The Wal of this node as the log that delegators follow.

use async_trait::async_trait;
use cinclus_query::LogPosition;
use cinclus_rpc::ReadError;
use cinclus_types::Tick;
use cinclus_wal::Wal;

/// The owner's own view of its log.
#[derive(Clone)]
pub struct OwnPosition {
    /// The log.
    pub wal: Wal,
}

#[async_trait]
impl LogPosition for OwnPosition {
    fn frontier(&self) -> Tick {
        self.wal.frontier()
    }

    async fn prove(&self) -> Result<(), ReadError> {
        self.wal.prove().await.map_err(|error| ReadError::Unavailable(error.to_string()))
    }

    async fn tick_at_least(&self, at: Tick) -> Result<Tick, ReadError> {
        self.wal.tick_at_least(at).await.map_err(|error| ReadError::Unavailable(error.to_string()))
    }
}
