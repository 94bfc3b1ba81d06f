//! What a user may tune of the coordinator.

use std::time::Duration;

/// Values of the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordConfig {
    /// The first part of every PChannel's name.
    pub channel_prefix: String,
    /// How many PChannels there are. May grow, never shrinks.
    pub channels: u32,
    /// How far ahead of the clock the TSO's persisted bound lies.
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
    /// The pause before a step of a broadcast is tried again.
    pub retry: Duration,
}

impl Default for CoordConfig {
    fn default() -> Self {
        CoordConfig {
            channel_prefix: "by-dev-rootcoord-dml".to_owned(),
            channels: 16,
            tso_window: Duration::from_secs(3),
            tso_jump_max: Duration::from_secs(3600),
            databases_max: 64,
            collections_max: 65_536,
            partitions_max: 1024,
            shards_max: 16,
            retry: Duration::from_millis(100),
        }
    }
}
