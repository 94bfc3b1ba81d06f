//! What a seed decides before anything runs.

use std::time::Duration;

use cinclus_client::ClientConfig;
use cinclus_coord::CoordConfig;
use cinclus_env::Random;
use cinclus_node::NodeConfig;

/// The shape of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Logs.
    pub channels: u32,
    /// Collections.
    pub collections: u64,
    /// Shards of each of them.
    pub shards: u32,
    /// Lives that something ends; one more comes after them, in which nothing goes wrong.
    pub lives: u64,
    /// Clients at work at once.
    pub actors: u64,
    /// Operations of each client in each life.
    pub operations: u64,
    /// Keys that there are.
    pub keys: u64,
    /// Values of nodes.
    pub node: NodeConfig,
    /// Values of the coordinator.
    pub coord: CoordConfig,
    /// Values of clients.
    pub client: ClientConfig,
    /// Bytes of a segment of a log on disk.
    pub log_roll_bytes: u64,
    /// How long a sync takes.
    pub sync_delay: Duration,
}

impl Plan {
    /// The plan of a seed. Sizes are small, so that everything that happens by size happens often.
    #[must_use]
    pub fn draw(random: &Random) -> Plan {
        let random = random.fork("plan");
        let one_of = |values: &[u64]| values[random.range(0..values.len() as u64) as usize];
        let channels = 1 + random.range(0..3) as u32;
        let mut node = NodeConfig {
            recovery_log_bytes_max: one_of(&[32 << 10, 64 << 10, 256 << 10, 1 << 20]),
            persist_age: Duration::from_millis(one_of(&[500, 5_000, 600_000])),
            chunk_bytes_min: one_of(&[1, 300, 4 << 10, 1 << 20]),
            orphan_grace: Duration::from_secs(one_of(&[60, 600])),
            ..NodeConfig::default()
        };
        node.wal.segment_rows_max = one_of(&[8, 30, 100, 1 << 20]);
        node.wal.buffer_age_max = Duration::from_millis(one_of(&[1, 200, 30_000]));
        node.wal.segment_age_max = Duration::from_secs(one_of(&[2, 86_400]));
        node.wal.space_reserve_bytes = 64 << 10;
        Plan {
            channels,
            collections: 1 + random.range(0..3),
            shards: 1 + random.range(0..2) as u32,
            lives: 2 + random.range(0..4),
            actors: 1 + random.range(0..5),
            operations: 20 + random.range(0..60),
            keys: one_of(&[6, 40, 200]),
            node,
            coord: CoordConfig { channels, ..CoordConfig::default() },
            client: ClientConfig { ready_patience: Duration::from_secs(5), ..ClientConfig::default() },
            log_roll_bytes: one_of(&[2_000, 8_000, 1 << 20]),
            sync_delay: Duration::from_micros(one_of(&[0, 300, 2_000, 10_000])),
        }
    }
}
