//! Readers: where they start, what they get, how they go on.

use std::time::Duration;

use cinclus_types::message::Kind;
use cinclus_types::{Checkpoint, MessageId, Tick};
use cinclus_wal::{
    BufferBudget, Delivery, DeliveryKind, ScanError, ScanFilter, ScanFrom, Scanner, WalConfig,
};

use crate::common::*;

/// Everything until the reader has nothing more for a second.
async fn drain(world: &World, scanner: &mut Scanner) -> Vec<Delivery> {
    let mut got = Vec::new();
    while let Ok(next) = cinclus_env::timeout(&*world.env.clock, Duration::from_secs(1), scanner.next()).await
    {
        got.push(next.unwrap());
    }
    got
}

fn texts(deliveries: &[Delivery]) -> Vec<String> {
    messages(deliveries).iter().filter(|(_, m)| m.kind().is_dml()).map(|(_, m)| text(m)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_falls_behind_the_buffer_misses_and_repeats_nothing() {
    let world = World::new(40).await;
    let config = WalConfig { buffer: BufferBudget::new(4_000), ..WalConfig::default() };
    let (wal, _pump) = world.serve(1, config.clone()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let mut slow = wal.scan(ScanFrom::Earliest, ScanFilter::default());
    let (mut got, mut wanted) = (Vec::new(), Vec::new());
    for round in 0..40 {
        for at in 0..round % 13 {
            let name = format!("{round} {at}");
            wal.append(vec![insert(&shard, 7, &name)]).await.unwrap();
            wanted.push(name);
        }
        for _ in 0..round % 7 {
            let next = cinclus_env::timeout(&*world.env.clock, Duration::from_millis(1), slow.next()).await;
            got.extend(next.map(Result::unwrap));
        }
    }
    got.extend(drain(&world, &mut slow).await);
    assert_eq!(texts(&got), wanted);
    assert!(got.windows(2).all(|pair| pair[0].tick < pair[1].tick));
    assert!(config.buffer.used() <= 4_000);
    drop((wal, slow));
}

#[tokio::test(start_paused = true)]
async fn a_reader_resumes_at_any_delivery() {
    let world = World::new(41).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let open = wal.begin_txn(&shard, None).await.unwrap();
    for at in 0..6 {
        wal.append(vec![insert(&shard, 7, &format!("plain {at}"))]).await.unwrap();
        wal.append(vec![delete(&shard, 7, "d"), insert(&shard, 7, &format!("txn {at}"))]).await.unwrap();
        wal.append_in_txn(open, vec![insert(&shard, 7, &format!("open {at}"))]).await.unwrap();
    }
    wal.commit_txn(&shard, open).await.unwrap();
    let all = drain(&world, &mut wal.scan(ScanFrom::Earliest, ScanFilter::default())).await;
    for at in 0..all.len() {
        let mut resumed = wal.scan(ScanFrom::Checkpoint(all[at].checkpoint), ScanFilter::default());
        let rest = drain(&world, &mut resumed).await;
        assert_eq!(messages(&rest), messages(&all[at + 1..]), "resumed after delivery {at}");
        let mut by_tick = wal.scan(ScanFrom::Tick(all[at].tick), ScanFilter::default());
        assert_eq!(messages(&drain(&world, &mut by_tick).await), messages(&all[at + 1..]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_filtered_reader_gets_its_channel_and_the_time() {
    let world = World::new(42).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let (one, two) = (world.shard(1), world.shard(2));
    wal.append(vec![create_collection(&one, 1)]).await.unwrap();
    wal.append(vec![create_collection(&two, 2)]).await.unwrap();
    wal.append(vec![insert(&one, 1, "mine")]).await.unwrap();
    let last = wal.append(vec![insert(&two, 2, "not mine")]).await.unwrap();
    let filter = ScanFilter { vchannel: Some(one.clone()), kinds: Some(vec![Kind::Insert, Kind::Delete]) };
    let got = drain(&world, &mut wal.scan(ScanFrom::Earliest, filter)).await;
    assert_eq!(messages(&got).len(), 1);
    assert_eq!(texts(&got), ["mine"]);
    let time = got.last().unwrap();
    assert!(time.kind == DeliveryKind::TimeTick && time.tick >= last.tick, "W4");
}

#[tokio::test(start_paused = true)]
async fn latest_begins_behind_what_is_acknowledged() {
    let world = World::new(43).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    wal.append(vec![insert(&shard, 7, "before")]).await.unwrap();
    let mut latest = wal.scan(ScanFrom::Latest, ScanFilter::of(shard.clone()));
    let start = latest.next().await.unwrap();
    assert_eq!((start.kind, start.tick), (DeliveryKind::TimeTick, wal.frontier()));
    let none = cinclus_env::timeout(&*world.env.clock, Duration::from_millis(1), latest.next()).await;
    assert!(none.is_err());
    wal.append(vec![insert(&shard, 7, "after")]).await.unwrap();
    assert_eq!(texts(&drain(&world, &mut latest).await), ["after"]);
    let mut again = wal.scan(ScanFrom::Checkpoint(start.checkpoint), ScanFilter::of(shard));
    assert_eq!(texts(&drain(&world, &mut again).await), ["after"], "from the start that it was told");
}

#[tokio::test(start_paused = true)]
async fn latest_does_not_miss_a_transaction_that_is_open() {
    let world = World::new(47).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let txn = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(txn, vec![insert(&shard, 7, "in it before")]).await.unwrap();
    wal.append(vec![insert(&shard, 7, "before")]).await.unwrap();
    let mut latest = wal.scan(ScanFrom::Latest, ScanFilter::of(shard.clone()));
    latest.next().await.unwrap();
    wal.append(vec![insert(&shard, 7, "after")]).await.unwrap();
    wal.commit_txn(&shard, txn).await.unwrap();
    assert_eq!(texts(&drain(&world, &mut latest).await), ["after", "in it before"], "W4");
}

#[tokio::test(start_paused = true)]
async fn a_reader_behind_the_truncation_is_told() {
    let world = World::new(44).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    for at in 0..10 {
        wal.append(vec![insert(&shard, 7, &at.to_string())]).await.unwrap();
    }
    let (_, cut) = pump.state().await;
    world.commit(&wal, &cut).await;
    wal.truncate(cut.checkpoint.resume).await.unwrap();
    wal.append(vec![insert(&shard, 7, "kept")]).await.unwrap();
    let config = WalConfig { buffer: BufferBudget::new(0), ..WalConfig::default() };
    let (wal, _pump) = world.serve(2, config).await;
    let old = Checkpoint { resume: MessageId::EARLIEST, tick: Tick::ZERO };
    let mut lost = wal.scan(ScanFrom::Checkpoint(old), ScanFilter::default());
    assert_eq!(lost.next().await, Err(ScanError::Truncated { earliest: cut.checkpoint.resume }));
    let got = drain(&world, &mut wal.scan(ScanFrom::Earliest, ScanFilter::default())).await;
    assert_eq!(texts(&got), ["kept"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_begins_at_the_earliest_record_of_a_truncated_log_is_given_no_gap() {
    let world = World::new(48).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let cut_off = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(cut_off, vec![insert(&shard, 7, "cut off 1")]).await.unwrap();
    let open = wal.begin_txn(&shard, None).await.unwrap();
    wal.append(vec![insert(&shard, 7, "before")]).await.unwrap();
    wal.append_in_txn(cut_off, vec![insert(&shard, 7, "cut off 2")]).await.unwrap();
    let gap = wal.commit_txn(&shard, cut_off).await.unwrap();
    wal.append(vec![delete(&shard, 7, "whole 1"), insert(&shard, 7, "whole 2")]).await.unwrap();
    let (_, cut) = pump.state().await;
    world.commit(&wal, &cut).await;
    wal.truncate(cut.checkpoint.resume).await.unwrap();
    let first = world.log().await.remove(0);
    assert_eq!((first.kind(), first.txn().unwrap().txn), (Kind::BeginTxn, open.txn));
    wal.append_in_txn(open, vec![insert(&shard, 7, "open")]).await.unwrap();
    wal.commit_txn(&shard, open).await.unwrap();
    for from in [ScanFrom::Earliest, ScanFrom::Tick(first.tick())] {
        let got = drain(&world, &mut wal.scan(from, ScanFilter::default())).await;
        assert_eq!(texts(&got), ["whole 1", "whole 2", "open"], "W4");
        assert!(got.iter().all(|delivery| delivery.tick > gap.tick));
    }
    let config = WalConfig { buffer: BufferBudget::new(0), ..WalConfig::default() };
    let (wal, _pump) = world.serve(2, config).await;
    let got = drain(&world, &mut wal.scan(ScanFrom::Earliest, ScanFilter::default())).await;
    assert_eq!(texts(&got), ["whole 1", "whole 2", "open"], "from the storage");
}

#[tokio::test(start_paused = true)]
async fn an_owner_of_before_says_nothing_of_a_log_that_the_next_one_truncated() {
    let world = World::new(49).await;
    let (old, _old_pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    old.append(vec![create_collection(&shard, 7)]).await.unwrap();
    pause(&world.env, Duration::from_secs(1)).await;
    let (new, pump) = world.serve(2, WalConfig::default()).await;
    new.append(vec![insert(&shard, 7, "gone")]).await.unwrap();
    let (_, cut) = pump.state().await;
    world.commit(&new, &cut).await;
    new.truncate(cut.checkpoint.resume).await.unwrap();
    // The tick that the old owner knows of lies before "gone", the earliest record behind it.
    let mut reader = old.scan(ScanFrom::Earliest, ScanFilter::default());
    let told = cinclus_env::timeout(&*world.env.clock, Duration::from_millis(100), reader.next()).await;
    assert!(told.is_err(), "W10: {told:?}");
    let got = drain(&world, &mut new.scan(ScanFrom::Earliest, ScanFilter::default())).await;
    assert!(got.iter().all(|delivery| delivery.tick >= cut.tick), "{got:?}");
}

#[tokio::test(start_paused = true)]
async fn the_next_owner_goes_on_from_the_checkpoint_with_the_same_state() {
    let world = World::new(45).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    for at in 0..10 {
        wal.append(vec![insert(&shard, 7, &at.to_string())]).await.unwrap();
        if at == 4 {
            let (_, cut) = pump.state().await;
            assert!(cut.log_bytes_since_last_cut > 0);
            world.commit(&wal, &cut).await;
            wal.truncate(cut.checkpoint.resume).await.unwrap();
        }
    }
    let (before, _) = pump.state().await;
    let seen = pump.seen.clone();
    wal.close().await;
    pump.ended().await;
    let (wal, pump) = world.serve(2, WalConfig::default()).await;
    let (after, cut) = pump.state().await;
    assert_eq!(before, after, "W6");
    assert_eq!(pump.payloads(), ["5", "6", "7", "8", "9"]);
    assert!(seen.lock().last().unwrap().tick <= cut.tick);
    drop(wal);
}

#[tokio::test(start_paused = true)]
async fn a_newer_term_ends_the_old_owner() {
    let world = World::new(46).await;
    let (old, old_pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    old.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let (new, _pump) = world.serve(2, WalConfig::default()).await;
    let refused = old.append(vec![insert(&shard, 7, "stale")]).await.unwrap_err();
    assert!(matches!(refused, cinclus_rpc::AppendError::Unknown(_)), "{refused}");
    assert_eq!(old.ready().await, Err(cinclus_rpc::AppendError::NotOwner));
    assert_eq!(old.append(vec![insert(&shard, 7, "stale")]).await, Err(cinclus_rpc::AppendError::NotOwner));
    assert!(matches!(old_pump.ended().await, ScanError::Closed(_)));
    new.append(vec![insert(&shard, 7, "fresh")]).await.unwrap();
    let log = world.log().await;
    check_log(&log);
    assert!(log.iter().all(|message| message.payload() != "stale"));
    let again =
        cinclus_wal::open(world.parts(), WalConfig::default(), world.channel.clone(), old.term()).await;
    assert!(matches!(again.map(|_| ()), Err(cinclus_wal::OpenError::Fenced(_))));
}
