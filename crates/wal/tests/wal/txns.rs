//! Transactions that last over several requests.

use std::time::Duration;

use cinclus_log_storage::FaultPlan;
use cinclus_rpc::{AppendError, Appended, RollbackCause};
use cinclus_types::MessageId;
use cinclus_types::message::{Kind, TxnContext};
use cinclus_wal::{DeliveryKind, WalConfig};

use crate::common::*;

fn rolled_back(txn: TxnContext, cause: RollbackCause) -> Result<Appended, AppendError> {
    Err(AppendError::TxnRolledBack(txn.txn, cause))
}

#[tokio::test(start_paused = true)]
async fn a_transaction_becomes_visible_at_its_commit_or_never() {
    let world = World::new(20).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let kept = wal.begin_txn(&shard, None).await.unwrap();
    let lost = wal.begin_txn(&shard, Some(Duration::from_secs(60))).await.unwrap();
    wal.append_in_txn(kept, vec![insert(&shard, 7, "kept 1")]).await.unwrap();
    wal.append_in_txn(lost, vec![insert(&shard, 7, "lost")]).await.unwrap();
    wal.append(vec![insert(&shard, 7, "between")]).await.unwrap();
    wal.append_in_txn(kept, vec![delete(&shard, 7, "kept 2")]).await.unwrap();
    pump.state().await;
    assert_eq!(pump.payloads(), ["between"]);
    let answer = wal.commit_txn(&shard, kept).await.unwrap();
    wal.rollback_txn(&shard, lost).await.unwrap();
    pump.state().await;
    assert_eq!(pump.payloads(), ["between", "kept 1", "kept 2"]);
    let last = pump.seen.lock().iter().rev().find(|d| d.kind == DeliveryKind::Txn).unwrap().clone();
    assert_eq!(last.tick, answer.tick);
    // A commit whose answer was lost can be asked for again; what was rolled back is gone.
    assert_eq!(wal.commit_txn(&shard, kept).await.unwrap().tick, answer.tick);
    assert_eq!(wal.commit_txn(&shard, lost).await, Err(AppendError::TxnExpired(lost.txn)));
    check_log(&world.log().await);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_expires_by_ticks_and_its_messages_renew_it() {
    let world = World::new(21).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let txn = wal.begin_txn(&shard, Some(Duration::from_secs(1))).await.unwrap();
    for _ in 0..5 {
        pause(&world.env, Duration::from_millis(600)).await;
        wal.append_in_txn(txn, vec![insert(&shard, 7, "in time")]).await.unwrap();
    }
    pause(&world.env, Duration::from_millis(1_500)).await;
    let late = wal.append_in_txn(txn, vec![insert(&shard, 7, "late")]).await;
    assert_eq!(late, Err(AppendError::TxnExpired(txn.txn)));
    assert_eq!(wal.commit_txn(&shard, txn).await, Err(AppendError::TxnExpired(txn.txn)));
    wal.append(vec![insert(&shard, 7, "after")]).await.unwrap();
    let (state, cut) = pump.state().await;
    assert_eq!(pump.payloads(), ["after"]);
    let log = world.log().await;
    let after = log.iter().rev().find(|m| m.kind() == Kind::Insert).unwrap();
    assert_eq!(cut.checkpoint.resume, after.id().next(), "an expired transaction holds nothing back");
    assert_eq!(state.growing().values().map(|segment| segment.rows).sum::<u64>(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_open_transaction_goes_on_under_the_next_writer() {
    let world = World::new(22).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let txn = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(txn, vec![insert(&shard, 7, "before")]).await.unwrap();
    let plain = wal.append(vec![insert(&shard, 7, "plain")]).await.unwrap();
    let (_, cut) = pump.state().await;
    let begin = world.log().await.into_iter().find(|m| m.kind() == Kind::BeginTxn).unwrap();
    assert_eq!((cut.tick, cut.checkpoint.resume), (plain.tick, begin.id()), "W10");
    world.commit(&wal, &cut).await;
    wal.truncate(cut.checkpoint.resume).await.unwrap();
    let (wal, pump) = world.serve(2, WalConfig::default()).await;
    wal.append_in_txn(txn, vec![insert(&shard, 7, "after")]).await.unwrap();
    wal.commit_txn(&shard, txn).await.unwrap();
    let (state, _) = pump.state().await;
    assert_eq!(pump.payloads(), ["before", "after"]);
    assert_eq!(state.growing().values().map(|segment| segment.rows).sum::<u64>(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_stands_alone_fails_the_open_transactions_of_its_channel() {
    let world = World::new(23).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let (shard, other) = (world.shard(7), world.shard(8));
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    wal.append(vec![create_collection(&other, 8)]).await.unwrap();
    let failed = wal.begin_txn(&shard, None).await.unwrap();
    let spared = wal.begin_txn(&other, None).await.unwrap();
    wal.append_in_txn(failed, vec![insert(&shard, 7, "failed")]).await.unwrap();
    wal.append_in_txn(spared, vec![insert(&other, 8, "spared")]).await.unwrap();
    let flushed = wal.append(vec![manual_flush(&shard, 7)]).await.unwrap();
    assert_eq!(flushed.sealed.len(), 1);
    assert_eq!(wal.commit_txn(&shard, failed).await, rolled_back(failed, RollbackCause::Changed));
    wal.commit_txn(&other, spared).await.unwrap();
    let (state, _) = pump.state().await;
    assert_eq!(pump.payloads(), ["spared"]);
    assert_eq!(state.seals()[&flushed.sealed[0]].rows, 0);
}

#[tokio::test(start_paused = true)]
async fn only_rows_and_deletes_of_one_channel_go_into_a_transaction() {
    let world = World::new(24).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let (shard, other) = (world.shard(7), world.shard(8));
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    wal.append(vec![create_collection(&other, 8)]).await.unwrap();
    let txn = wal.begin_txn(&shard, None).await.unwrap();
    let ddl = wal.append_in_txn(txn, vec![create_collection(&shard, 7)]).await;
    assert!(matches!(ddl, Err(AppendError::Invalid(_))));
    let elsewhere = wal.append_in_txn(txn, vec![insert(&other, 8, "x")]).await;
    assert_eq!(elsewhere, Err(AppendError::TxnExpired(txn.txn)));
    for keepalive in [Duration::from_micros(10), Duration::from_secs(1 << 30)] {
        assert!(matches!(wal.begin_txn(&shard, Some(keepalive)).await, Err(AppendError::Invalid(_))));
    }
    wal.append_in_txn(txn, vec![insert(&shard, 7, "x")]).await.unwrap();
    wal.commit_txn(&shard, txn).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn transactions_that_hold_too_much_log_are_rolled_back_oldest_first() {
    let world = World::new(25).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let old = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(old, vec![insert(&shard, 7, "old")]).await.unwrap();
    let (_, before) = pump.state().await;
    let young = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(young, vec![insert(&shard, 7, "young")]).await.unwrap();
    wal.append(vec![insert(&shard, 7, "plain")]).await.unwrap();
    let (_, cut) = pump.state().await;
    assert_eq!(cut.held.len(), 2);
    assert!(0 < before.held_bytes() && before.held_bytes() < cut.held_bytes());
    let over = wal.roll_back_below(cut.checkpoint.resume.next()).await.unwrap();
    let late = wal.append_in_txn(old, vec![insert(&shard, 7, "x")]).await;
    assert_eq!(late, rolled_back(old, RollbackCause::HoldsLog));
    let (state, after) = pump.state().await;
    assert!(over <= after.tick && after.checkpoint.resume > cut.checkpoint.resume);
    assert!(0 < after.held_bytes() && after.held_bytes() < cut.held_bytes());
    assert_eq!(state.growing().values().map(|segment| segment.rows).sum::<u64>(), 1);
    wal.commit_txn(&shard, young).await.unwrap();
    assert_eq!(wal.roll_back_below(after.checkpoint.resume.next()).await, Ok(wal.frontier()), "none is left");
    let (_, end) = pump.state().await;
    assert_eq!((end.held_bytes(), pump.payloads()), (0, vec!["plain".to_owned(), "young".to_owned()]));
    check_log(&world.log().await);
}

#[tokio::test(start_paused = true)]
async fn a_commit_and_a_rollback_at_once_have_one_outcome() {
    let world = World::new(26).await;
    world.faults(FaultPlan { ack_delay_max: Duration::from_millis(40), ..FaultPlan::default() });
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let all = MessageId(u128::MAX);
    let first = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(first, vec![insert(&shard, 7, "first")]).await.unwrap();
    let (committed, over) = tokio::join!(wal.commit_txn(&shard, first), wal.roll_back_below(all));
    let committed = committed.unwrap();
    assert!(over.unwrap() >= committed.tick);
    let second = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(second, vec![insert(&shard, 7, "second")]).await.unwrap();
    let (over, late) = tokio::join!(wal.roll_back_below(all), wal.commit_txn(&shard, second));
    assert!(over.unwrap() <= wal.frontier());
    assert_eq!(late, rolled_back(second, RollbackCause::HoldsLog));
    assert_eq!(wal.commit_txn(&shard, first).await, Ok(committed), "asked again it is answered again");
    pump.state().await;
    assert_eq!(pump.payloads(), ["first"]);
    let log = world.log().await;
    assert_eq!(log.iter().filter(|message| message.kind() == Kind::RollbackTxn).count(), 1);
    check_log(&log);
}

/// A rollback that is lost with its writer has not happened: nobody was told so.
#[tokio::test(start_paused = true)]
async fn a_client_hears_of_a_rollback_when_it_is_stored() {
    for seed in 0..4 {
        let world = World::new(27 + seed).await;
        let (wal, pump) = world.serve(1, WalConfig::default()).await;
        let shard = world.shard(7);
        wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
        let txn = wal.begin_txn(&shard, None).await.unwrap();
        wal.append_in_txn(txn, vec![insert(&shard, 7, "row")]).await.unwrap();
        world.faults(FaultPlan { append_before: 1.0, ..FaultPlan::default() });
        let again = async {
            let lost = if seed % 2 == 0 {
                wal.roll_back_below(MessageId(u128::MAX)).await.map(|_| ())
            } else {
                wal.append(vec![manual_flush(&shard, 7)]).await.map(|_| ())
            };
            assert!(lost.is_err());
        };
        let ((), told) = tokio::join!(again, wal.commit_txn(&shard, txn));
        assert!(matches!(told, Err(AppendError::NotReady(_))), "{told:?}");
        world.faults(FaultPlan::default());
        wal.ready().await.unwrap();
        wal.commit_txn(&shard, txn).await.unwrap();
        pump.state().await;
        assert_eq!(pump.payloads(), ["row"]);
    }
}
