//! The Wal of this node as the log that delegators follow.

use async_trait::async_trait;
use cinclus_query::LogPosition;
use cinclus_rpc::ReadError;
use cinclus_types::Tick;
use cinclus_wal::Wal;

/// The owner's own view of its log.
#[derive(Clone)]
pub struct OwnPosition(pub Wal);

#[async_trait]
impl LogPosition for OwnPosition {
    fn frontier(&self) -> Tick {
        self.0.frontier()
    }

    async fn prove(&self) -> Result<(), ReadError> {
        // The lock on the data directory is the lease: it cannot end while this process lives.
        Ok(())
    }

    async fn tick_at_least(&self, at: Tick) -> Result<Tick, ReadError> {
        self.0.tick_at_least(at).await.map_err(|error| ReadError::Unavailable(error.to_string()))
    }
}
