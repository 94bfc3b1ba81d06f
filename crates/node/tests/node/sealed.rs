//! Sealed segments: hand-over, deletes before, during and after it, snapshots.

use std::sync::Arc;
use std::time::Duration;

use cinclus_rpc::{Freshness, SegmentLoad, SegmentsRead, WorkerApi};
use cinclus_types::{Keys, Tick};

use crate::effects::Gates;
use crate::shard::Shard;
use crate::worker::Worker;
use crate::world::{Life, World};

fn rows(keys: std::ops::Range<i64>) -> Vec<(i64, i64)> {
    keys.map(|key| (key, 1)).collect()
}

const OPEN: Gates = Gates { puts: false, gets: false };
const NO_GETS: Gates = Gates { puts: false, gets: true };

#[test]
fn a_deleted_row_of_a_sealed_segment_stays_deleted_and_stays_in_older_snapshots() {
    let world = World::new(1, 1);
    let shard = Shard::new(&world.channels[0], 1);
    let before = world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..30)).await;
        life.flush(&shard).await;
        life.until_handed_over(&shard).await;
        let (before, _) = life.rows(&shard, Freshness::Strong).await;
        let earliest = world.earliest(&world.channels[0]).await;
        let deleted = life.append(vec![shard.delete(None, &[7])]).await.unwrap();
        life.persist(&shard).await;
        assert!(
            world.earliest(&world.channels[0]).await > deleted.ids[0].max(earliest),
            "the log is truncated"
        );
        assert_eq!(life.count(&shard, Freshness::Strong).await, 29);
        before
    });
    for _ in 0..2 {
        world.live(async |life: Life| {
            let (_, now) = life.rows(&shard, Freshness::Strong).await;
            assert!(now.len() == 29 && !now.contains_key(&7));
            assert_eq!(life.sealed(&shard).len(), 1);
            let (_, then) = life.rows(&shard, Freshness::Snapshot(before)).await;
            assert_eq!(then.into_iter().collect::<Vec<_>>(), rows(0..30));
        });
    }
}

#[test]
fn deletes_that_come_while_a_segment_is_loaded_are_not_lost() {
    let world = World::new(2, 1);
    let shard = Shard::new(&world.channels[0], 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..30)).await;
        life.delete(&shard, &[0]).await;
        world.effects.gate(NO_GETS);
        life.flush(&shard).await;
        life.pause(Duration::from_millis(100)).await;
        assert_eq!(life.worker.held_segments(), [], "it is being read");
        life.delete(&shard, &[1]).await;
        // The delete goes into a file that the load does not know of.
        life.persist(&shard).await;
        life.delete(&shard, &[2]).await;
        assert_eq!(life.count(&shard, Freshness::Strong).await, 27);
        world.effects.gate(OPEN);
        life.until_handed_over(&shard).await;
        life.delete(&shard, &[3]).await;
        let (_, found) = life.rows(&shard, Freshness::Strong).await;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), rows(4..30));
    });
}

#[test]
fn a_segment_that_is_held_catches_up_with_later_delete_files() {
    let world = World::new(3, 1);
    let shard = Shard::new(&world.channels[0], 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..30)).await;
        life.flush(&shard).await;
        let other = Worker::new(world.objects.clone(), life.env.clone());
        let segment = life.sealed(&shard)[0].clone();
        let schema = life.collections.view().collection(shard.collection).unwrap().schema().clone();
        let load = |life: &Life| SegmentLoad {
            segment: segment.clone(),
            deletes: life.segments.view(&shard.vchannel).vchannel.clone(),
            schema: schema.clone(),
        };
        let keys = Arc::new(Keys::Int64(vec![4, 5, 6]));
        let at = Tick::from_unix_ms(life.env.clock.unix_ms() + 60_000);
        let read = SegmentsRead { segments: vec![segment.id], partitions: Vec::new(), at };
        other.load(load(&life)).await.unwrap();
        life.delete(&shard, &[5]).await;
        life.append(vec![shard.delete(Some(shard.partition(1)), &[6])]).await.unwrap();
        life.persist(&shard).await;
        let newest = other.newest(read.clone(), keys.clone()).await.unwrap();
        assert!(newest.iter().all(Option::is_some));
        other.load(load(&life)).await.unwrap();
        let newest = other.newest(read, keys).await.unwrap();
        assert_eq!(newest.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    });
}

#[test]
fn rounds_that_fail_are_made_again_and_nothing_is_there_twice() {
    let world = World::new(4, 1);
    let shard = Shard::new(&world.channels[0], 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..10)).await;
        world.effects.fail_puts(true);
        let repair = async {
            life.pause(Duration::from_secs(3)).await;
            life.insert(&shard, shard.partition(0), &rows(10..20)).await;
            life.delete(&shard, &[0, 10]).await;
            world.effects.fail_puts(false);
        };
        tokio::join!(life.flush(&shard), repair);
        world.effects.lose_commits(1);
        life.insert(&shard, shard.partition(0), &rows(20..30)).await;
        life.persist(&shard).await;
        assert_eq!(life.count(&shard, Freshness::Strong).await, 28);
        let text = life.env.telemetry.render();
        assert!(text.contains("cinclus_persist_failures_total{channel_name=\"log_0\"}"), "{text}");
    });
    world.live(async |life: Life| assert_eq!(life.count(&shard, Freshness::Strong).await, 28));
}

#[test]
fn a_segment_that_its_worker_lost_is_loaded_again_with_all_deletes() {
    let world = World::new(5, 1);
    let shard = Shard::new(&world.channels[0], 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..10)).await;
        life.flush(&shard).await;
        life.until_handed_over(&shard).await;
        life.delete(&shard, &[0]).await;
        life.rows(&shard, Freshness::Strong).await;
        life.worker.release(life.sealed(&shard)[0].id).await;
        life.delete(&shard, &[1]).await;
        life.pause(Duration::from_secs(1)).await;
        let (_, found) = life.rows(&shard, Freshness::Strong).await;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), rows(2..10));
    });
}
