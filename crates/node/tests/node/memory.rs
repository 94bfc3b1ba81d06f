//! The memory budget.

use cinclus_rpc::{AppendError, Freshness, QueryPlan, ReadError};

use crate::shard::Shard;
use crate::world::{Life, World};

fn rows(from: i64) -> Vec<(i64, i64)> {
    (from..from + 100).map(|key| (key, 1)).collect()
}

#[test]
fn a_write_that_does_not_fit_is_refused_before_it_reaches_the_log() {
    let mut world = World::new(1, 1);
    world.dim = 64;
    let shard = Shard::new(&world.channels[0], 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0)).await;
        life.rows(&shard, Freshness::Strong).await;
        let limit = life.env.memory.used() + 1_000;
        life.env.memory.set_limit(limit);
        let frontier = life.frontier().await;
        let refused = life.append(vec![shard.insert(64, shard.partition(0), &rows(100))]).await;
        let Err(AppendError::OutOfMemory { need, used, limit: told }) = refused else {
            panic!("{refused:?}")
        };
        assert!(need > 100 * 64 * 4 && used + need > limit && told == limit, "{need} {used} {told}");
        assert_eq!(life.frontier().await, frontier, "the log stays as it was");
        assert_eq!(life.count(&shard, Freshness::Strong).await, 100, "reads go on");
        life.delete(&shard, &[5]).await;
        // Released and in files, the rows make room.
        life.put(&shard, false).await;
        life.flush(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(100)).await;
    });
}

#[test]
fn a_load_that_does_not_fit_says_so_until_there_is_room() {
    let mut world = World::new(2, 1);
    world.dim = 64;
    let shard = Shard::new(&world.channels[0], 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0)).await;
        life.put(&shard, false).await;
        life.flush(&shard).await;
    });
    world.live(async |life: Life| {
        life.env.memory.set_limit(4_000);
        life.put(&shard, true).await;
        life.pause(std::time::Duration::from_secs(3)).await;
        let plan = QueryPlan { filter: None, limit: None, count_only: true, output: Vec::new() };
        let answer = life.try_query(&shard, Freshness::Strong, plan).await;
        assert!(
            matches!(answer, Err(ReadError::OutOfMemory { need, limit: 4_000 }) if need > 4_000),
            "{answer:?}"
        );
        life.env.memory.set_limit(u64::MAX);
        life.pause(std::time::Duration::from_secs(3)).await;
        assert_eq!(life.count(&shard, Freshness::Strong).await, 100);
        assert!(life.env.telemetry.render().contains("cinclus_memory_used_bytes{part=\"sealed\"}"));
    });
}
