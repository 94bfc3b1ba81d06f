//! What a user may tune of a node.

use std::time::Duration;

use cinclus_wal::WalConfig;

/// Values of a streaming node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Values of each log.
    pub wal: WalConfig,
    /// Persisting begins when so many bytes of log lie behind the checkpoint: half of the recovery bound.
    pub persist_log_bytes: u64,
    /// Persisting begins when rows have waited so long.
    pub persist_age: Duration,
    /// A segment's rows of at least so many bytes get a file of their own; fewer go to the tail file.
    pub chunk_bytes_min: u64,
}

impl Default for NodeConfig {
    fn default() -> Self {
        NodeConfig {
            wal: WalConfig::default(),
            persist_log_bytes: 64 << 20,
            persist_age: Duration::from_secs(600),
            chunk_bytes_min: 1 << 20,
        }
    }
}
