//! Two processes take a log from each other while both append at full speed.

use std::time::Duration;

use cinclus_env::Env;
use cinclus_log_storage::conformance::race::{Race, ownership_moves_while_both_append};

use crate::store::Plan;
use crate::world::World;

async fn race(world: World, race: Race, plan: Plan) -> usize {
    // Only the fence objects stop an owner.
    world.meta.mute();
    let owners = [world.process(10).await, world.process(11).await];
    let follower = world.process(12).await;
    world.store.set(plan);
    let calm = || world.store.set(Plan::default());
    ownership_moves_while_both_append(owners, follower, race, &Env::test(13), calm).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ownership_moves_a_thousand_times_between_two_that_append_at_full_speed() {
    let world = World::new(1, |config| {
        config.block_bytes_max = 200;
        config.roll.bytes_max = 20_000;
        config.compact_bytes_max = 5_000;
    });
    let acked = race(world, Race { moves: 1_000, window: 64 }, Plan::default()).await;
    assert!(acked > 10_000, "{acked}");
}

#[tokio::test(start_paused = true)]
async fn ownership_moves_on_a_slow_storage_that_loses_answers() {
    for seed in 0..3 {
        let world = World::new(seed, |config| {
            config.block_bytes_max = 200;
            config.roll.bytes_max = 2_000;
            config.compact_bytes_max = 1_000;
            config.tries = 30;
        });
        let plan = Plan {
            put_before: 0.05,
            put_after: 0.1,
            read: 0.05,
            delay_min: Duration::from_millis(1),
            delay_max: Duration::from_millis(20),
            list_delay: Duration::from_millis(30),
            ..Plan::default()
        };
        let acked = race(world, Race { moves: 200, window: 40 }, plan).await;
        assert!(acked > 1_000, "seed {seed}: {acked}");
    }
}
