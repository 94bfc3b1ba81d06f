//! The recovery bound (DESIGN §1.12): bytes to replay are bounded over all logs, without sealing.

use cinclus_node::NodeConfig;
use cinclus_types::SegmentState;

use crate::world::{Life, Shard, World};

/// The numbers are 8 MiB of bound, 500 collections and 200 MiB. A build without optimization takes
/// minutes for that, so there bound and data are a sixteenth.
const SCALE: u64 = if cfg!(debug_assertions) { 16 } else { 1 };
const BOUND: u64 = (8 << 20) / SCALE;
const DATA: u64 = (200 << 20) / SCALE;
const COLLECTIONS: i64 = 500;
const CHANNELS: u32 = 16;
const LIVES: u64 = 4;
/// Floats of a row: about 1 KiB.
const DIM: usize = 256;
const ROWS_AT_ONCE: i64 = 16;

#[test]
fn evenly_spread_rows_are_persisted_within_the_bound_without_being_sealed() {
    let mut world = World::new(3, CHANNELS);
    world.dim = DIM;
    let bounded = NodeConfig { recovery_log_bytes_max: BOUND, ..NodeConfig::default() };
    // Does not persist, so that it can be seen what was replayed.
    let measuring = NodeConfig { recovery_log_bytes_max: u64::MAX, ..NodeConfig::default() };
    let shard = |id: i64| Shard::new(&world_channel(id), id);
    let batch_bytes = (DIM as u64 * 4 + 32) * ROWS_AT_ONCE as u64;
    let batches = DATA / batch_bytes / LIVES;
    let mut next = 0;
    for number in 0..LIVES {
        world.config = bounded.clone();
        world.live(async |life: Life| {
            if number == 0 {
                for id in 1..=COLLECTIONS {
                    life.create(&shard(id)).await;
                }
            }
            // The crash comes wherever the last batch happens to be.
            for _ in 0..batches {
                let rows: Vec<(i64, i64)> =
                    (0..ROWS_AT_ONCE).map(|row| (next * ROWS_AT_ONCE + row, 1)).collect();
                let to = shard(next % COLLECTIONS + 1);
                life.insert(&to, to.partition(0), &rows).await;
                next += 1;
                assert!(life.node.backlog_bytes() <= BOUND);
            }
        });
        world.config = measuring.clone();
        world.live(async |life: Life| {
            let replayed = life.node.backlog_bytes();
            assert!(replayed <= BOUND, "life {number} left {replayed} bytes to replay, the bound is {BOUND}");
            assert!(replayed > BOUND / 8, "nothing was left to replay: {replayed}");
        });
    }
    world.config = bounded;
    let objects = world.objects().len() as u64;
    let most = 3 * ((DATA * SCALE) >> 20);
    assert!(objects <= most, "{objects} objects for {DATA} bytes at a bound of {BOUND}, the most is {most}");
    world.live(async |life: Life| {
        let segments = life.segments.all();
        let sealed = segments.iter().filter(|s| s.state == SegmentState::Sealed).count();
        assert!(sealed <= 500, "{sealed} sealed segments");
        let mut rows = 0;
        for id in 1..=COLLECTIONS {
            rows += life.count(&shard(id), cinclus_rpc::Freshness::Strong).await;
        }
        assert_eq!(rows, (next * ROWS_AT_ONCE) as u64);
    });
}

fn world_channel(id: i64) -> cinclus_types::PChannel {
    cinclus_types::PChannel::numbered("log", (id % i64::from(CHANNELS)) as u32)
}
