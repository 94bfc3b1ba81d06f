//! Owners that could have a successor: what they say they know, and what that costs.

use std::time::Duration;

use cinclus_log_storage::FaultPlan;
use cinclus_rpc::AppendError;
use cinclus_types::Tick;
use cinclus_types::message::Kind;
use cinclus_wal::{OwnershipProof, ScanError, ScanFilter, ScanFrom, WalConfig};
use futures::future::join_all;

use crate::common::*;

fn config() -> WalConfig {
    WalConfig { proof: OwnershipProof::TimeTick, ..WalConfig::default() }
}

/// The tick of the moment, and its log, which was idle for a while.
async fn after_a_while(world: &World) -> (Tick, usize) {
    pause(&world.env, Duration::from_secs(5)).await;
    (now(world), world.log().await.len())
}

fn now(world: &World) -> Tick {
    Tick::from_unix_ms(world.env.clock.unix_ms())
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_was_outrun_tells_no_tick_above_what_its_successor_acknowledged() {
    let world = World::new(60).await;
    let (old, _old_pump) = world.serve(1, config()).await;
    let shard = world.shard(7);
    old.append(vec![create_collection(&shard, 7)]).await.unwrap();
    // It is idle: nothing tells it.
    after_a_while(&world).await;
    let mut reader = old.scan(ScanFrom::Earliest, ScanFilter::default());
    let (new, pump) = world.serve(2, config()).await;
    let told = new.append(vec![insert(&shard, 7, "row")]).await.unwrap().tick;
    let refused = old.tick_at_least(told).await.unwrap_err();
    assert!(matches!(refused, AppendError::NotReady(_) | AppendError::NotOwner), "{refused}");
    assert!(old.frontier() < told);
    let end = loop {
        match reader.next().await {
            Ok(delivery) => assert!(delivery.tick < told, "a reader was told {}", delivery.tick),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, ScanError::Closed(_)), "{end}");
    assert_eq!(old.tick_at_least(told).await, Err(AppendError::NotOwner));
    assert!(new.tick_at_least(told).await.unwrap() >= told);
    pump.state().await;
    assert_eq!(pump.payloads(), ["row"]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_costs_one_record_for_all_who_wait_and_none_below_the_frontier() {
    let world = World::new(61).await;
    let (wal, _pump) = world.serve(1, config()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let (now, before) = after_a_while(&world).await;
    let asked = (0..50).map(|at| now.minus(Duration::from_millis(at)));
    let ticks = join_all(asked.clone().map(|at| wal.tick_at_least(at))).await;
    assert!(ticks.into_iter().zip(asked).all(|(tick, at)| tick.unwrap() >= at));
    let log = world.log().await;
    assert_eq!(log.len() - before, 1, "records for 50 who wait");
    let last = log.last().unwrap();
    assert_eq!((last.kind(), last.tick()), (Kind::TimeTick, wal.frontier()));
    // What it covers costs nothing, and the log stays idle.
    for at in [now, wal.frontier(), Tick(1)] {
        assert_eq!(wal.tick_at_least(at).await, Ok(wal.frontier()));
    }
    pause(&world.env, Duration::from_secs(3_600)).await;
    assert_eq!(world.log().await.len(), log.len());
}

#[tokio::test(start_paused = true)]
async fn who_asks_while_a_time_tick_is_at_the_storage_shares_the_next_one() {
    let world = World::new(62).await;
    let (wal, _pump) = world.serve(1, config()).await;
    let (_, before) = after_a_while(&world).await;
    world.faults(FaultPlan { ack_delay_max: Duration::from_millis(500), ..FaultPlan::default() });
    let started = world.env.clock.monotonic();
    let asks = (0..20).map(|at| {
        let (wal, world) = (&wal, &world);
        async move {
            pause(&world.env, Duration::from_millis(at)).await;
            let at = now(world);
            assert!(wal.tick_at_least(at).await.unwrap() >= at);
        }
    });
    join_all(asks).await;
    assert!(world.env.clock.monotonic() - started > Duration::from_millis(20), "acks were late");
    assert_eq!(world.log().await.len() - before, 2);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_a_write_under_way_has_passed_waits_for_that_write_only() {
    let world = World::new(63).await;
    let (wal, _pump) = world.serve(1, config()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let (now, before) = after_a_while(&world).await;
    let (written, tick) = futures::join!(
        wal.append(vec![insert(&shard, 7, "row")]),
        wal.tick_at_least(now.minus(Duration::from_secs(1)))
    );
    assert_eq!(tick.unwrap(), written.unwrap().tick);
    assert_eq!(world.log().await[before..].iter().filter(|m| m.kind() == Kind::TimeTick).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tick_a_little_ahead_is_waited_for_and_proved() {
    let world = World::new(64).await;
    let (wal, _pump) = world.serve(1, config()).await;
    let (now, before) = after_a_while(&world).await;
    let soon = now.plus(Duration::from_millis(700));
    let started = world.env.clock.monotonic();
    assert!(wal.tick_at_least(soon).await.unwrap() >= soon);
    let waited = world.env.clock.monotonic() - started;
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_millis(720), "{waited:?}");
    let log = world.log().await;
    assert_eq!(log.len() - before, 1);
    assert!(log.last().unwrap().tick() >= soon);
    let far = now.plus(Duration::from_secs(60));
    assert!(matches!(wal.tick_at_least(far).await, Err(AppendError::Invalid(_))));
    assert_eq!(world.log().await.len(), log.len());
}

#[tokio::test(start_paused = true)]
async fn a_tick_whose_proof_the_storage_does_not_take_is_refused_and_can_be_asked_for_again() {
    let world = World::new(65).await;
    let (wal, _pump) = world.serve(1, config()).await;
    let (now, _) = after_a_while(&world).await;
    world.faults(FaultPlan { append_before: 1.0, ..FaultPlan::default() });
    assert!(matches!(wal.tick_at_least(now).await, Err(AppendError::NotReady(_))));
    assert!(wal.frontier() < now);
    world.faults(FaultPlan::default());
    wal.ready().await.unwrap();
    assert!(wal.tick_at_least(now).await.unwrap() >= now);
}
