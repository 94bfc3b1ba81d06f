//! What a seed decides before anything runs.

use std::time::Duration;

use cinclus_client::ClientConfig;
use cinclus_coord::CoordConfig;
use cinclus_env::Random;
use cinclus_node::NodeConfig;
use cinclus_wal::{BufferBudget, OwnershipProof};

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
    /// Keys of an insert, at most.
    pub rows_max: u64,
    /// Whether clients flush and persist, beside what happens by itself.
    pub flushes: bool,
    /// Clients that speak with the proxy.
    pub proxied: u64,
    /// The memory of a process in lives that are disturbed.
    pub memory_bytes: u64,
    /// Bytes of the write-ahead buffers of a process.
    pub buffer_bytes: u64,
}

impl Plan {
    /// Whether processes may run out of memory.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.memory_bytes < u64::MAX
    }

    /// The values of a node in a process of its own, whose logs are its own by some proof.
    #[must_use]
    pub fn of_process(&self, proof: OwnershipProof) -> NodeConfig {
        let mut config = self.node.clone();
        // A clone would be the same budget.
        config.wal.buffer = BufferBudget::new(self.buffer_bytes);
        config.wal.proof = proof;
        config
    }

    /// The plan of a seed. Sizes are small, so that everything that happens by size happens often.
    #[must_use]
    pub fn draw(random: &Random) -> Plan {
        let (random, later) = (random.fork("plan"), random.fork("later plan"));
        let also = |values: &[u64]| values[later.range(0..values.len() as u64) as usize];
        let one_of = |values: &[u64]| values[random.range(0..values.len() as u64) as usize];
        let channels = 1 + random.range(0..3) as u32;
        let mut node = NodeConfig {
            recovery_log_bytes_max: one_of(&[32 << 10, 64 << 10, 256 << 10, 1 << 20]),
            persist_age: Duration::from_millis(one_of(&[500, 5_000, 600_000])),
            chunk_bytes_min: one_of(&[1, 300, 4 << 10, 1 << 20]),
            retention_bytes: [0, 20_000, 1 << 30][later.range(0..3) as usize],
            orphan_grace: Duration::from_secs(one_of(&[60, 600])),
            ..NodeConfig::default()
        };
        node.wal.segment_rows_max = one_of(&[8, 30, 100, 1 << 20]);
        node.wal.buffer_age_max = Duration::from_millis(one_of(&[1, 200, 30_000]));
        node.wal.segment_age_max = Duration::from_secs(one_of(&[2, 86_400]));
        node.wal.space_reserve_bytes = 64 << 10;
        // Much is written and nothing makes room but what happens by itself.
        let heavy = later.chance(0.3);
        if heavy {
            (node.recovery_log_bytes_max, node.persist_age) = (4 << 10, Duration::from_secs(600));
            (node.wal.segment_rows_max, node.wal.segment_age_max) = (1 << 20, Duration::from_secs(86_400));
        }
        let memory = if heavy {
            &[u64::MAX, 16 << 10, u64::MAX, 16 << 10][..]
        } else {
            &[u64::MAX, u64::MAX, 256 << 10][..]
        };
        Plan {
            channels,
            collections: 1 + random.range(0..3),
            shards: 1 + random.range(0..2) as u32,
            lives: 2 + random.range(0..4),
            actors: (1 + random.range(0..5)).max(if heavy { 4 } else { 1 }),
            operations: 20 + random.range(0..60) + if heavy { 60 } else { 0 },
            keys: one_of(&[6, 40, 200]).max(if heavy { 200 } else { 0 }),
            node,
            coord: CoordConfig { channels, ..CoordConfig::default() },
            client: ClientConfig { ready_patience: Duration::from_secs(5), ..ClientConfig::default() },
            log_roll_bytes: one_of(&[2_000, 8_000, 1 << 20]),
            sync_delay: Duration::from_micros(one_of(&[0, 300, 2_000, 10_000])),
            rows_max: if heavy { 60 } else { 6 },
            flushes: !heavy,
            memory_bytes: also(memory),
            proxied: also(&[0, 1, 2]),
            buffer_bytes: also(&[2 << 10, 64 << 10, 16 << 20]),
        }
    }
}
