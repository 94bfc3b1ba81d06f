//! Appending: order, transactions, ticks, limits.

use std::time::Duration;

use crate::common::*;
use cinclus_log_storage::FaultPlan;
use cinclus_rpc::AppendError;
use cinclus_types::message::{Kind, Message};
use cinclus_types::{CollectionId, PartitionId, Tick};
use cinclus_wal::{DeliveryKind, WalConfig};

#[tokio::test(start_paused = true)]
async fn what_was_appended_is_delivered_once_in_the_order_of_the_log() {
    let world = World::new(1).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let appends = (0..200).map(|at| {
        let (wal, shard) = (wal.clone(), shard.clone());
        async move { wal.append(vec![insert(&shard, 7, &format!("row {at}"))]).await.unwrap() }
    });
    let answers = futures::future::join_all(appends).await;
    wal.close().await;
    let seen = pump.seen.clone();
    pump.ended().await;
    let log = world.log().await;
    check_log(&log);
    assert_eq!(log[0].kind(), Kind::TimeTick, "the first record of a term is a TimeTick");
    let delivered = messages(&seen.lock());
    for (at, answer) in answers.iter().enumerate() {
        let found: Vec<_> = delivered.iter().filter(|(_, message)| message.id() == answer.ids[0]).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0, text(&found[0].1)), (answer.tick.0, format!("row {at}")));
    }
    assert!(delivered.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[tokio::test(start_paused = true)]
async fn writers_that_are_answered_together_go_together_again() {
    const WRITERS: usize = 64;
    const APPENDS: usize = 20;
    let world = World::new(3).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    world.faults(FaultPlan { ack_delay_max: Duration::from_millis(2), ..FaultPlan::default() });
    let before = calls_to_the_storage(&world);
    let writers = (0..WRITERS).map(|writer| {
        let (wal, shard) = (wal.clone(), shard.clone());
        async move {
            for at in 0..APPENDS {
                wal.append(vec![insert(&shard, 7, &format!("{writer} {at}"))]).await.unwrap();
            }
        }
    });
    let writers: Vec<_> = writers.map(|writer| world.env.tasks.spawn("writer", writer)).collect();
    for writer in writers {
        writer.join().await.unwrap();
    }
    let calls = calls_to_the_storage(&world) - before;
    // If half of them waited for the other half, there would be twice as many. A TimeTick now and then is one too.
    assert!((APPENDS..APPENDS * 3 / 2).contains(&calls), "{calls} calls for {WRITERS} × {APPENDS} appends");
    assert_eq!(pump.payloads().len(), WRITERS * APPENDS);
}

fn calls_to_the_storage(world: &World) -> usize {
    let metrics = world.env.telemetry.render();
    let count =
        metrics.lines().find(|line| line.starts_with("milvus_wal_append_duration_seconds_count")).unwrap();
    count.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn several_drafts_become_one_transaction_in_one_batch() {
    let world = World::new(2).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let upsert = vec![delete(&shard, 7, "old"), insert(&shard, 7, "new"), insert(&shard, 7, "newer")];
    let answer = wal.append(upsert).await.unwrap();
    assert_eq!(answer.ids.len(), 3);
    let (_, cut) = pump.state().await;
    assert_eq!(cut.tick, answer.tick);
    let last = pump.seen.lock().last().unwrap().clone();
    assert_eq!((last.kind, last.tick), (DeliveryKind::Txn, answer.tick));
    assert_eq!(last.messages.iter().map(text).collect::<Vec<_>>(), ["old", "new", "newer"]);
    assert_eq!(last.messages.iter().map(Message::id).collect::<Vec<_>>(), answer.ids);
    let log = world.log().await;
    check_log(&log);
    let tail =
        [Kind::BeginTxn, Kind::Delete, Kind::CreateSegment, Kind::Insert, Kind::Insert, Kind::CommitTxn];
    assert!(kinds(&log).ends_with(&tail), "{:?}", kinds(&log));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_applied_is_refused_and_leaves_no_trace() {
    let world = World::new(3).await;
    let config = WalConfig { message_bytes_max: 4_096, ..WalConfig::default() };
    let (wal, _pump) = world.serve(1, config).await;
    let (shard, other) = (world.shard(7), world.shard(8));
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let before = world.log().await.len();
    let refused = |draft| async { wal.append(vec![draft]).await.unwrap_err() };
    assert_eq!(refused(insert(&other, 8, "x")).await, AppendError::CollectionNotFound(CollectionId(8)));
    assert_eq!(refused(delete(&other, 8, "x")).await, AppendError::CollectionNotFound(CollectionId(8)));
    let mut elsewhere = insert(&shard, 7, "x");
    if let cinclus_types::message::Header::Insert { partition, .. } = &mut elsewhere.header {
        *partition = PartitionId(5);
    }
    assert_eq!(refused(elsewhere).await, AppendError::PartitionNotFound(CollectionId(7), PartitionId(5)));
    let large = insert(&shard, 7, &"x".repeat(5_000));
    assert!(matches!(refused(large).await, AppendError::TooLarge { limit: 4_096, .. }));
    let foreign = insert(&cinclus_types::PChannel::numbered("log", 1).shard(CollectionId(7), 0), 7, "x");
    assert!(matches!(refused(foreign).await, AppendError::Invalid(_)));
    let mixed = wal.append(vec![insert(&shard, 7, "x"), create_collection(&shard, 7)]).await;
    assert!(matches!(mixed, Err(AppendError::Invalid(_))));
    assert!(matches!(wal.append(Vec::new()).await, Err(AppendError::Invalid(_))));
    assert_eq!(world.log().await.len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_time_tick_follows_messages_within_its_delay_and_an_idle_log_stores_none() {
    let world = World::new(4).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    let answer = wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    assert_eq!(world.log().await.last().unwrap().kind(), Kind::CreateCollection);
    pause(&world.env, Duration::from_millis(201)).await;
    let log = world.log().await;
    assert_eq!(log.last().unwrap().kind(), Kind::TimeTick);
    assert!(log.last().unwrap().tick() > answer.tick);
    pause(&world.env, Duration::from_secs(3_600)).await;
    assert_eq!(world.log().await.len(), log.len());
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_lock_on_the_log_gives_ticks_without_storing_anything() {
    let world = World::new(5).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    let answer = wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    assert_eq!(wal.tick_at_least(answer.tick).await, Ok(wal.frontier()));
    pause(&world.env, Duration::from_secs(5)).await;
    let stored = world.log().await.len();
    let now = Tick::from_unix_ms(world.env.clock.unix_ms());
    let tick = wal.tick_at_least(now).await.unwrap();
    assert!(tick >= now && wal.frontier() == tick);
    let soon = now.plus(Duration::from_millis(700));
    let started = world.env.clock.monotonic();
    assert!(wal.tick_at_least(soon).await.unwrap() >= soon);
    let waited = world.env.clock.monotonic() - started;
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_millis(720), "{waited:?}");
    let far = now.plus(Duration::from_secs(60));
    assert!(matches!(wal.tick_at_least(far).await, Err(AppendError::Invalid(_))));
    assert_eq!(world.log().await.len(), stored);
    let (_, cut) = pump.state().await;
    assert_eq!(cut.tick, wal.frontier(), "the feed is told how far time has come");
    let next = wal.append(vec![insert(&shard, 7, "x")]).await.unwrap();
    assert!(next.tick > soon, "what comes later lies above the tick that was given");
}

#[tokio::test(start_paused = true)]
async fn a_stored_time_tick_is_shared_by_all_who_wait() {
    let world = World::new(6).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let before = world.log().await.len();
    let proofs = futures::future::join_all((0..50).map(|_| wal.store_time_tick())).await;
    let ticks: std::collections::BTreeSet<_> = proofs.into_iter().map(Result::unwrap).collect();
    let log = world.log().await;
    assert!(log.len() - before <= 2, "{} records for 50 proofs", log.len() - before);
    assert!(ticks.iter().all(|tick| log.iter().any(|m| m.tick() == *tick && m.kind() == Kind::TimeTick)));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_stored_once() {
    let world = World::new(7).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let once = || wal.append(vec![keyed(insert(&shard, 7, "a"), "k1")]);
    let (first, second) = futures::join!(once(), once());
    let third = once().await;
    assert_eq!((&first, &first), (&second, &third));
    let txn = || wal.append(vec![keyed(delete(&shard, 7, "b"), "k2"), insert(&shard, 7, "c")]);
    let first = txn().await.unwrap();
    assert_eq!(first, txn().await.unwrap());
    pump.state().await;
    assert_eq!(pump.payloads(), ["a", "b", "c"]);
    // A new owner remembers it too.
    let (_, cut) = pump.state().await;
    world.commit(&wal, &cut).await;
    let (wal, pump) = world.serve(2, WalConfig::default()).await;
    let again = wal.append(vec![keyed(insert(&shard, 7, "a"), "k1")]).await.unwrap();
    assert_eq!(Ok(again), third);
    assert_eq!(
        first,
        wal.append(vec![keyed(delete(&shard, 7, "b"), "k2"), insert(&shard, 7, "c")]).await.unwrap()
    );
    pump.state().await;
    assert!(pump.payloads().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_closed_wal_says_so() {
    let world = World::new(8).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    let answer = wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    wal.close().await;
    assert_eq!(wal.append(vec![insert(&shard, 7, "x")]).await, Err(AppendError::Closing));
    assert_eq!(wal.ready().await, Err(AppendError::Closing));
    let seen = pump.seen.clone();
    pump.ended().await;
    assert!(messages(&seen.lock()).iter().any(|(tick, _)| *tick == answer.tick.0));
    let log = world.log().await;
    assert_eq!(log.last().unwrap().kind(), Kind::TimeTick, "foreign readers get everything after a close");
}
