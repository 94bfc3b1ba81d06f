//! What a delegator asks of the log's owner.

use async_trait::async_trait;
use cinclus_rpc::ReadError;
use cinclus_types::Tick;

/// The position of the log that a delegator follows: the owner's Wal, or its owner seen from a replica.
#[async_trait]
pub trait LogPosition: Send + Sync + 'static {
    /// The published frontier: every message with an effective tick up to it is acknowledged.
    fn frontier(&self) -> Tick;

    /// Proves that no later term was acknowledging when the frontier was taken (Q3). Standalone, the lock
    /// on the data directory is the proof.
    async fn prove(&self) -> Result<(), ReadError>;

    /// Publishes a tick that is at least `at`, once all before it is acknowledged.
    async fn tick_at_least(&self, at: Tick) -> Result<Tick, ReadError>;
}
