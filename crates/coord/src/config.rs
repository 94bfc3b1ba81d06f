//! What a user may tune of the coordinator.

use std::time::Duration;

/// Values of the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordConfig {
    /// The first part of every PChannel's name.
    pub channel_prefix: String,
    /// How many PChannels there are. May grow, never shrinks.
    pub channels: u32,
    /// How far ahead of the clock the TSO's persisted bound lies. A restart begins at the bound, so quick
    /// restarts make ticks run ahead of the clock by as much each time.
    pub tso_window: Duration,
    /// A clock that jumps ahead by more while the coordinator runs is not followed.
    pub tso_jump_max: Duration,
    /// The most databases.
    pub databases_max: usize,
    /// The most collections.
    pub collections_max: usize,
    /// The most partitions of a collection.
    pub partitions_max: usize,
    /// The most shards of a collection.
    pub shards_max: u32,
    /// The most replicas of a loaded collection: each is served by another node.
    pub replicas_max: u32,
    /// The largest change, as it is persisted, in bytes.
    pub ddl_bytes_max: usize,
    /// How long a caller waits for its change. One that has begun by then is completed all the same.
    pub ddl_patience: Duration,
    /// How long the start waits for logs to open. Those that take longer are served when they are open.
    pub open_patience: Duration,
    /// How long the start waits for changes that a crash left behind, so that nobody sees the catalog before
    /// them and again after them. Those that take longer go on in the background.
    pub resume_patience: Duration,
    /// How long the ticks of a request that may come again are remembered, at least.
    pub request_age_max: Duration,
    /// The first pause before a step is tried again; each further one is twice as long.
    pub retry_min: Duration,
    /// The longest pause before a step is tried again.
    pub retry_max: Duration,
}

impl Default for CoordConfig {
    fn default() -> Self {
        CoordConfig {
            channel_prefix: "by-dev-rootcoord-dml".to_owned(),
            channels: 16,
            tso_window: Duration::from_millis(500),
            tso_jump_max: Duration::from_secs(3600),
            databases_max: 64,
            collections_max: 65_536,
            partitions_max: 1024,
            shards_max: 16,
            replicas_max: 1,
            ddl_bytes_max: 1 << 20,
            ddl_patience: Duration::from_secs(60),
            open_patience: Duration::from_secs(10),
            resume_patience: Duration::from_secs(2),
            request_age_max: Duration::from_secs(600),
            retry_min: Duration::from_millis(20),
            retry_max: Duration::from_secs(5),
        }
    }
}
