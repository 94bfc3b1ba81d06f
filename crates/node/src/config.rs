//! What a user may tune of a node.

use std::time::Duration;

use cinclus_wal::WalConfig;

/// Values of a streaming node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Values of each log.
    pub wal: WalConfig,
    /// The most bytes of log, over all logs of the process, that a restart has to replay. Rounds of
    /// persisting begin at half of it. Transactions that are open may hold half of it, from their begins on;
    /// when they hold more, the oldest are rolled back and their clients are told so.
    pub recovery_log_bytes_max: u64,
    /// Persisting begins when rows have waited so long.
    pub persist_age: Duration,
    /// A segment's rows of at least so many bytes get a file of their own; fewer go to the tail file.
    pub chunk_bytes_min: u64,
    /// So many of the newest bytes of each log stay for readers, beyond what recovery needs.
    pub retention_bytes: u64,
    /// Log that is younger stays for readers. It goes with the next round of persisting: an idle log keeps it.
    pub retention_age: Duration,
    /// Subscriptions that are served at once, over all logs of the node. One reads ahead what its storage gives
    /// at once, and no more.
    pub subscriptions_max: usize,
    /// An object that the catalog does not name is removed when it is so old.
    pub orphan_grace: Duration,
}

impl Default for NodeConfig {
    fn default() -> Self {
        NodeConfig {
            wal: WalConfig::default(),
            recovery_log_bytes_max: 1 << 30,
            persist_age: Duration::from_secs(600),
            chunk_bytes_min: 1 << 20,
            retention_bytes: 0,
            retention_age: Duration::ZERO,
            subscriptions_max: 4096,
            orphan_grace: Duration::from_secs(600),
        }
    }
}
