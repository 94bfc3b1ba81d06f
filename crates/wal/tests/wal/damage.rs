//! Records that are not what was written.

use std::sync::Arc;

use bytes::Bytes;
use cinclus_log_storage::{LogStorage, MemoryLogStorage, OpenOptions, Record};
use cinclus_rpc::{AppendError, ScanFilter, ScanFrom};
use cinclus_types::{Advice, MessageId, Term};
use cinclus_wal::{ScanError, WalConfig};

use crate::common::*;

/// A record that is no message.
fn strange() -> Record {
    Record::new(Bytes::from_static(b"?"), vec![("_t".to_owned(), "2".to_owned())])
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_together_is_what_is_taken_one_by_one_and_an_error_comes_behind_it() {
    let storage = Arc::new(MemoryLogStorage::new());
    let world = World::on(72, storage.clone()).await;
    let shard = world.shard(7);
    {
        let (wal, _pump) = world.serve(1, WalConfig::default()).await;
        wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
        for number in 0..20 {
            wal.append(vec![insert(&shard, 7, &number.to_string())]).await.unwrap();
        }
        wal.append(vec![delete(&shard, 7, "a"), insert(&shard, 7, "b")]).await.unwrap();
        wal.close().await;
    }
    let options = OpenOptions { term: Term(2), acknowledged: MessageId::EARLIEST };
    let mut writer = storage.open_writer(&world.channel, options).await.unwrap();
    writer.append(vec![strange()]).await.unwrap();
    let (wal, _feed) = world.open(3, WalConfig::default()).await;
    let scanner = || wal.scan(ScanFrom::Earliest, ScanFilter::default());

    let (mut one_by_one, mut wanted) = (scanner(), Vec::new());
    let error = loop {
        match one_by_one.next().await {
            Ok(delivery) => wanted.push(delivery),
            Err(error) => break error,
        }
    };
    assert!(wanted.len() >= 22 && matches!(error, ScanError::Corrupt(_)), "{error}");
    for bytes in [1, 100, u64::MAX] {
        let (mut together, mut got, mut calls) = (scanner(), Vec::new(), 0);
        let ended = loop {
            match together.next_together(bytes).await {
                Ok(deliveries) => got.extend(deliveries),
                Err(error) => break error,
            }
            calls += 1;
        };
        assert_eq!((&got, &ended), (&wanted, &error));
        assert!((calls < wanted.len()) == (bytes > 1), "{calls} calls of {bytes} bytes");
        assert_eq!(together.next().await, Err(ended), "there is nothing behind an error");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_replayed_stays_closed_and_says_why() {
    let storage = Arc::new(MemoryLogStorage::new());
    let world = World::on(70, storage.clone()).await;
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
    let mut writer = storage.open_writer(&world.channel, options).await.unwrap();
    writer.append(vec![strange()]).await.unwrap();
    let (wal, mut feed) = world.open(2, WalConfig::default()).await;
    let error = feed.next().await.unwrap_err();
    assert!(matches!(&error, ScanError::Corrupt(text) if text.contains("0/0/0")), "{error}");
    assert_eq!(error.advice(), Advice::Reject);
    assert!(matches!(wal.ready().await, Err(AppendError::Corrupt(_))));
    let shard = world.shard(7);
    let refused = wal.append(vec![create_collection(&shard, 7)]).await;
    assert!(matches!(refused, Err(AppendError::Corrupt(_))));
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_a_newer_release_is_refused_by_name() {
    let world = World::new(71).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let (_, mut cut) = pump.state().await;
    cut.state = Bytes::from_static(br#"{"version":99}"#);
    world.commit(&wal, &cut).await;
    let opened = cinclus_wal::open(world.parts(), WalConfig::default(), world.channel.clone(), Term(2)).await;
    let error = opened.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("version 99"), "{error}");
}
