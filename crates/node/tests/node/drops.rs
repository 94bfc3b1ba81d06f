//! What is dropped, released or not yet created while rounds of persisting and crashes happen.

use std::collections::BTreeMap;
use std::time::Duration;

use cinclus_rpc::Freshness;

use crate::effects::Gates;
use crate::shard::Shard;
use crate::world::{Life, World};

fn rows(keys: std::ops::Range<i64>) -> Vec<(i64, i64)> {
    keys.map(|key| (key, 1)).collect()
}

fn first(world: &World) -> Shard {
    Shard::new(&world.channels[0], 1)
}

const OPEN: Gates = Gates { puts: false, gets: false };
const NO_PUTS: Gates = Gates { puts: true, gets: false };

#[test]
fn a_partition_that_is_dropped_during_a_round_leaves_the_catalog() {
    let world = World::new(1, 1);
    let shard = first(&world);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..3)).await;
        life.insert(&shard, shard.partition(1), &rows(3..9)).await;
        world.effects.gate(NO_PUTS);
        let drop_meanwhile = async {
            life.pause(Duration::from_millis(500)).await;
            life.append(vec![shard.drop_partition(shard.partition(1))]).await.unwrap();
            assert_eq!(life.count(&shard, Freshness::Strong).await, 3);
            world.effects.gate(OPEN);
        };
        tokio::join!(life.flush(&shard), drop_meanwhile);
        life.persist(&shard).await;
        let left = life.segments.all();
        assert!(left.iter().all(|segment| segment.partition == shard.partition(0)), "{left:?}");
        assert_eq!(life.count(&shard, Freshness::Strong).await, 3);
    });
    world.live(async |life: Life| assert_eq!(life.count(&shard, Freshness::Strong).await, 3));
}

#[test]
fn a_collection_that_left_the_catalog_before_a_crash_leaves_no_segments() {
    let world = World::new(2, 1);
    let shard = first(&world);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..30)).await;
        life.flush(&shard).await;
        life.delete(&shard, &[3]).await;
        life.persist(&shard).await;
        world.effects.gate(NO_PUTS);
        life.append(vec![shard.drop_collection()]).await.unwrap();
        life.forget(&shard).await;
    });
    world.effects.gate(OPEN);
    world.live(async |life: Life| {
        life.pause(Duration::from_secs(5)).await;
        assert_eq!(life.segments.all(), []);
        assert_eq!(*life.segments.view(&shard.vchannel), cinclus_catalog::VChannelView::default());
        life.pause(Duration::from_secs(1_300)).await;
        assert_eq!(world.objects(), Vec::<String>::new(), "its objects are orphans now");
    });
}

#[test]
fn rows_of_a_collection_whose_creation_is_not_finished_survive_a_round_and_a_crash() {
    let world = World::new(3, 1);
    let shard = first(&world);
    world.live(async |life: Life| {
        life.append_creation(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..4)).await;
        life.persist(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(4..6)).await;
    });
    world.live(async |life: Life| {
        life.persist(&shard).await;
        life.put(&shard, true).await;
        assert_eq!(life.count(&shard, Freshness::Strong).await, 6);
        life.insert(&shard, shard.partition(0), &rows(6..7)).await;
        life.persist(&shard).await;
        assert_eq!(life.segments.view(&shard.vchannel).vchannel.schema, None, "the catalog has it now");
    });
    world.live(async |life: Life| assert_eq!(life.count(&shard, Freshness::Strong).await, 7));
}

#[test]
fn a_truncated_collection_is_empty_whatever_its_segments_were_doing() {
    let world = World::new(4, 1);
    let shard = first(&world);
    let other = Shard::new(&world.channels[0], 2);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.create(&other).await;
        life.insert(&shard, shard.partition(0), &rows(0..30)).await;
        life.flush(&shard).await;
        life.until_handed_over(&shard).await;
        life.insert(&shard, shard.partition(1), &rows(30..40)).await;
        // One segment is on a worker, one is being loaded, one grows.
        world.effects.gate(Gates { puts: false, gets: true });
        life.flush(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(40..50)).await;
        assert_eq!(life.count(&shard, Freshness::Strong).await, 50);
        // The load ends before the catalog has forgotten the segments: another shard's rows hold up the round.
        life.insert(&other, other.partition(0), &rows(0..1)).await;
        world.effects.gate(Gates { puts: true, gets: true });
        life.append(vec![shard.truncate()]).await.unwrap();
        assert_eq!(life.count(&shard, Freshness::Strong).await, 0);
        world.effects.gate(NO_PUTS);
        life.pause(Duration::from_secs(5)).await;
        assert_eq!(life.count(&shard, Freshness::Strong).await, 0);
        assert!(!life.sealed(&shard).is_empty(), "the catalog has them still");
        world.effects.gate(OPEN);
        life.insert(&shard, shard.partition(0), &rows(0..2)).await;
        life.pause(Duration::from_secs(5)).await;
        assert_eq!(life.count(&shard, Freshness::Strong).await, 2);
        assert_eq!(life.worker.held_segments(), [], "nobody holds what is gone");
    });
    world.live(async |life: Life| assert_eq!(life.count(&shard, Freshness::Strong).await, 2));
}

#[test]
fn a_released_collection_leaves_memory_and_comes_back() {
    let world = World::new(5, 1);
    let shard = first(&world);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(0..30)).await;
        life.flush(&shard).await;
        life.until_handed_over(&shard).await;
        life.insert(&shard, shard.partition(0), &rows(30..33)).await;
        life.put(&shard, false).await;
        life.pause(Duration::from_secs(1)).await;
        assert_eq!(life.worker.held_segments(), []);
        life.delete(&shard, &[0, 31]).await;
        life.flush(&shard).await;
        life.pause(Duration::from_secs(1)).await;
        assert_eq!(life.env.memory.used(), 0, "everything is in files only");
        life.insert(&shard, shard.partition(0), &rows(33..34)).await;
        life.put(&shard, true).await;
        let (_, found) = life.rows(&shard, Freshness::Strong).await;
        let expected: BTreeMap<i64, i64> =
            rows(0..34).into_iter().filter(|(key, _)| ![0, 31].contains(key)).collect();
        assert_eq!(found, expected);
    });
}
