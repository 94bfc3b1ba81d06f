//! Segments: where rows go and when segments are closed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cinclus_types::message::{BroadcastHeader, Draft, Header, Kind};
use cinclus_types::{BroadcastId, CollectionId, DatabaseId, PartitionId, SegmentId};
use cinclus_wal::WalConfig;

use crate::common::*;

fn small() -> WalConfig {
    WalConfig { segment_rows_max: 10, segment_bytes_max: 1_000_000, ..WalConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn a_full_segment_is_flushed_and_the_next_rows_go_into_a_new_one() {
    let world = World::new(30).await;
    let (wal, pump) = world.serve(1, small()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    for _ in 0..5 {
        wal.append(vec![insert_rows(&shard, 7, 4, "rows")]).await.unwrap();
    }
    wal.append(vec![insert_rows(&shard, 7, 500, "more than a segment holds")]).await.unwrap();
    let (state, _) = pump.state().await;
    let log = world.log().await;
    let mut rows: BTreeMap<SegmentId, u64> = BTreeMap::new();
    for message in log.iter().filter(|message| message.kind() == Kind::Insert) {
        let Header::Insert { rows: count, .. } = message.header() else { continue };
        *rows.entry(segment_of(message)).or_default() += count;
    }
    assert_eq!(rows.values().copied().collect::<Vec<_>>(), [8, 8, 4, 500]);
    assert_eq!(log.iter().filter(|m| m.kind() == Kind::Flush).count(), 4);
    assert!(state.growing().is_empty());
    for (segment, rows) in rows {
        assert_eq!(state.seals()[&segment].rows, rows);
        let at = |kind| log.iter().position(|m| m.kind() == kind && names(m.header(), segment)).unwrap();
        let last = log.iter().rposition(|m| m.kind() == Kind::Insert && segment_of(m) == segment).unwrap();
        assert!(at(Kind::CreateSegment) < last && last < at(Kind::Flush));
    }
}

fn names(header: &Header, wanted: SegmentId) -> bool {
    matches!(header, Header::CreateSegment { segment, .. } | Header::Flush { segment, .. } if *segment == wanted)
}

#[tokio::test(start_paused = true)]
async fn no_flush_is_stored_while_an_open_transaction_has_rows_in_the_segment() {
    let world = World::new(31).await;
    let (wal, pump) = world.serve(1, small()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let txn = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(txn, vec![insert_rows(&shard, 7, 6, "held")]).await.unwrap();
    wal.append(vec![insert_rows(&shard, 7, 4, "fills it")]).await.unwrap();
    wal.append(vec![insert_rows(&shard, 7, 4, "goes on")]).await.unwrap();
    let flushes =
        |log: &[cinclus_types::message::Message]| kinds(log).iter().filter(|k| **k == Kind::Flush).count();
    assert_eq!(flushes(&world.log().await), 0);
    wal.commit_txn(&shard, txn).await.unwrap();
    let (state, _) = pump.state().await;
    let log = world.log().await;
    assert_eq!(flushes(&log), 1);
    assert_eq!(state.seals().values().map(|seal| seal.rows).collect::<Vec<_>>(), [10]);
    assert_eq!(state.growing().values().map(|segment| segment.rows).collect::<Vec<_>>(), [4]);
}

#[tokio::test(start_paused = true)]
async fn age_idleness_and_the_sum_of_all_close_segments() {
    let world = World::new(32).await;
    let config = WalConfig {
        segment_age_max: Duration::from_secs(3_000),
        segment_idle: Duration::from_secs(100),
        idle_bytes_min: 50,
        growing_bytes_max: 1_000,
        ..WalConfig::default()
    };
    let (wal, pump) = world.serve(1, config).await;
    for collection in 1..=4 {
        wal.append(vec![create_collection(&world.shard(collection), collection)]).await.unwrap();
    }
    // Ten bytes a row: 40 are too few to be idle, 60 are not.
    wal.append(vec![insert_rows(&world.shard(1), 1, 4, "small")]).await.unwrap();
    wal.append(vec![insert_rows(&world.shard(2), 2, 6, "idle")]).await.unwrap();
    pause(&world.env, Duration::from_secs(99)).await;
    assert_eq!(pump.state().await.0.growing().len(), 2);
    pause(&world.env, Duration::from_secs(3)).await;
    let (state, _) = pump.state().await;
    let left: Vec<_> = state.growing().values().map(|segment| segment.collection).collect();
    assert_eq!(left, [CollectionId(1)]);
    pause(&world.env, Duration::from_secs(3_000)).await;
    assert!(pump.state().await.0.growing().is_empty());
    wal.append(vec![insert_rows(&world.shard(3), 3, 70, "larger")]).await.unwrap();
    wal.append(vec![insert_rows(&world.shard(4), 4, 40, "too much together")]).await.unwrap();
    let (state, _) = pump.state().await;
    let left: Vec<_> = state.growing().values().map(|segment| segment.collection).collect();
    assert_eq!(left, [CollectionId(4)]);
}

#[tokio::test(start_paused = true)]
async fn ddl_closes_what_it_must_and_says_so() {
    let world = World::new(33).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let partition = PartitionId(200);
    let create = Header::CreatePartition { collection: CollectionId(7), partition };
    wal.append(vec![Draft::new(shard.clone(), create, Bytes::new())]).await.unwrap();
    let mut elsewhere = insert(&shard, 7, "b");
    if let Header::Insert { partition: at, .. } = &mut elsewhere.header {
        *at = partition;
    }
    wal.append(vec![insert(&shard, 7, "a")]).await.unwrap();
    wal.append(vec![elsewhere.clone()]).await.unwrap();
    let renamed = alter(&shard, &["collection_name"]);
    assert!(wal.append(vec![renamed]).await.unwrap().sealed.is_empty());
    let changed = wal.append(vec![alter(&shard, &["schema"])]).await.unwrap();
    assert_eq!(changed.sealed.len(), 2);
    assert!(pump.state().await.0.growing().is_empty());
    wal.append(vec![elsewhere.clone()]).await.unwrap();
    let drop = Header::DropPartition { collection: CollectionId(7), partition };
    wal.append(vec![Draft::new(shard.clone(), drop, Bytes::new())]).await.unwrap();
    assert!(wal.append(vec![elsewhere]).await.is_err());
    wal.append(vec![insert(&shard, 7, "c")]).await.unwrap();
    let truncate = Header::TruncateCollection {
        database: DatabaseId(1),
        collection: CollectionId(7),
        segments: Vec::new(),
    };
    let truncated = wal.append(vec![Draft::new(shard.clone(), truncate, Bytes::new())]).await.unwrap();
    assert_eq!(truncated.sealed.len(), 1);
    let drop = Header::DropCollection { collection: CollectionId(7), database: DatabaseId(1) };
    wal.append(vec![Draft::new(shard.clone(), drop, Bytes::new())]).await.unwrap();
    let (state, _) = pump.state().await;
    assert!(state.shards().is_empty() && state.growing().is_empty() && state.seals().is_empty());
}

fn alter(shard: &cinclus_types::VChannel, mask: &[&str]) -> Draft {
    let header = Header::AlterCollection {
        database: DatabaseId(1),
        collection: CollectionId(7),
        update_mask: mask.iter().map(|path| (*path).to_owned()).collect(),
        segments: Vec::new(),
    };
    Draft::new(shard.clone(), header, Bytes::new())
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_is_appended_once_to_each_target() {
    let world = World::new(34).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let (shard, control) = (world.shard(7), world.channel.control());
    let copy = |target: &cinclus_types::VChannel, draft: Draft| Draft {
        vchannel: Some(target.clone()),
        broadcast: Some(BroadcastHeader {
            id: BroadcastId(9),
            vchannels: vec![shard.clone(), control.clone()],
            ack_sync_up: false,
            resource_keys: Vec::new(),
        }),
        ..draft
    };
    let create = create_collection(&shard, 7);
    let first = wal.append(vec![copy(&shard, create.clone())]).await.unwrap();
    let on_control = wal.append(vec![copy(&control, create.clone())]).await.unwrap();
    assert_ne!(first, on_control);
    assert_eq!(wal.append(vec![copy(&shard, create.clone())]).await.unwrap(), first);
    let (state, cut) = pump.state().await;
    assert_eq!(state.shards().len(), 1, "the control channel changes no shard");
    world.commit(&wal, &cut).await;
    let (wal, pump) = world.serve(2, WalConfig::default()).await;
    assert_eq!(wal.append(vec![copy(&control, create.clone())]).await.unwrap(), on_control);
    // All acknowledgements are persisted. A copy that was sent before may still be on its way.
    wal.forget_broadcast(BroadcastId(9));
    pause(&world.env, Duration::from_secs(599)).await;
    drop(pump.state().await);
    assert_eq!(wal.append(vec![copy(&control, create.clone())]).await.unwrap(), on_control);
    assert!(pump.state().await.0.dedup.len() >= 2);
    pause(&world.env, Duration::from_secs(1)).await;
    let (state, _) = pump.state().await;
    assert!(state.dedup.len() >= 2);
    assert!(pump.state().await.0.dedup.is_empty(), "the cut before took it out");
    assert_ne!(wal.append(vec![copy(&control, create)]).await.unwrap(), on_control);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_idle_channels_cost_little() {
    let world = World::new(35).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    for start in (0..10_000).step_by(500) {
        let creates = (start..start + 500).map(|collection| {
            let wal = wal.clone();
            let draft = create_collection(&world.shard(collection + 1), collection + 1);
            async move { wal.append(vec![draft]).await.unwrap() }
        });
        futures::future::join_all(creates).await;
    }
    let (state, cut) = pump.state().await;
    assert_eq!(state.shards().len(), 10_000);
    assert!(cut.state.len() / 10_000 < 256, "{} bytes a channel in the snapshot", cut.state.len() / 10_000);
    pause(&world.env, Duration::from_millis(300)).await;
    let stored = world.log().await.len();
    let started = world.env.clock.monotonic();
    pause(&world.env, Duration::from_secs(86_400)).await;
    assert_eq!(world.log().await.len(), stored, "a day of idleness stores nothing");
    assert_eq!(world.env.clock.monotonic() - started, Duration::from_secs(86_400));
}
