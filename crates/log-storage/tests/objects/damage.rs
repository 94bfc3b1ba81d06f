//! Objects that do not hold what was written.

use cinclus_log_storage::conformance::{channel, open};
use cinclus_log_storage::{LogError, OpenOptions};
use cinclus_types::{Advice, MessageId, Term};

use crate::layout::{BLOCK_0, BLOCK_1, FOOTER, blocks, hex};
use crate::world::World;

async fn finished() -> World {
    let world = World::new(1, |config| config.compact_bytes_max = 0);
    world.foreign_log(1).await;
    for (name, golden) in [("0.blk", BLOCK_0), ("1.blk", BLOCK_1), ("footer.blk", FOOTER)] {
        world.put(&format!("1/0/{name}"), hex(golden)).await;
    }
    let storage = world.process(1).await;
    drop(open(&storage, 1).await);
    world
}

/// What a reader of everything meets.
async fn damage(world: &World) -> Option<LogError> {
    let storage = world.process(2).await;
    let mut reader = storage.read(&channel(), MessageId::EARLIEST).await.unwrap();
    let mut found = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(record)) => found.push(record.record),
            Ok(None) => {
                assert_eq!(found, blocks().concat());
                return None;
            }
            Err(error) => {
                assert!(blocks().concat().starts_with(&found), "damaged records were served");
                return Some(error);
            }
        }
    }
}

fn assert_names(error: &LogError, name: &str, number: u64) {
    let LogError::Corrupt { file, segment: 0, block, .. } = error else { panic!("{error:?}") };
    assert_eq!((file.to_str().unwrap(), *block), (format!("files/wp/1/0/{name}").as_str(), number));
    assert_eq!(error.advice(), Advice::Reject);
}

#[tokio::test]
async fn every_changed_byte_of_every_object_is_found_and_named() {
    let world = finished().await;
    assert_eq!(damage(&world).await, None);
    for (name, golden, number) in [("0.blk", BLOCK_0, 0), ("1.blk", BLOCK_1, 1), ("footer.blk", FOOTER, 0)] {
        let good = hex(golden);
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 0x10;
            world.put(&format!("1/0/{name}"), bad).await;
            let error = damage(&world).await;
            assert_names(&error.unwrap_or_else(|| panic!("{name} at {at}")), name, number);
        }
        for len in [0, 1, 30, good.len() - 1] {
            world.put(&format!("1/0/{name}"), good.slice(..len)).await;
            assert_names(&damage(&world).await.unwrap(), name, number);
        }
        world.put(&format!("1/0/{name}"), good).await;
    }
    assert_eq!(damage(&world).await, None);
}

#[tokio::test]
async fn a_log_with_a_damaged_unfinished_segment_stays_closed_and_untouched() {
    let world = World::new(1, |_| {});
    world.foreign_log(1).await;
    world.put("1/0/0.blk", hex(BLOCK_0)).await;
    let mut bad = hex(BLOCK_1).to_vec();
    bad[20] ^= 1;
    world.put("1/0/1.blk", bad).await;
    let storage = world.process(1).await;
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
    let error = storage.open_writer(&channel(), options).await.err().unwrap();
    assert_names(&error, "1.blk", 1);
    assert_eq!(storage.read(&channel(), MessageId::EARLIEST).await.err(), Some(error));
    assert_eq!(world.names().await, ["1/0/0.blk", "1/0/1.blk"]);
}

#[tokio::test]
async fn acknowledged_records_that_are_missing_are_damage() {
    let world = World::new(1, |_| {});
    world.foreign_log(1).await;
    world.put("1/0/0.blk", hex(BLOCK_0)).await;
    world.put("1/0/2.blk", hex(BLOCK_1)).await;
    let storage = world.process(1).await;
    let acknowledged = MessageId::from_parts(0, 0, 3);
    let options = OpenOptions { term: Term(1), acknowledged };
    let error = storage.open_writer(&channel(), options).await.err().unwrap();
    assert_names(&error, "1.blk", 1);
    assert_eq!(world.object("1/0/footer.blk").await, None);
    // The first block is all that its opener needs, then.
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::from_parts(0, 0, 1) };
    drop(storage.open_writer(&channel(), options).await.unwrap());
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::from_parts(0, 7, 1) };
    let error = storage.open_writer(&channel(), options).await.err().unwrap();
    assert!(matches!(error, LogError::Corrupt { segment: 7, .. }), "{error}");
}

#[tokio::test]
async fn a_block_that_is_gone_is_named() {
    let world = finished().await;
    let path = World::path("1/0/1.blk");
    object_store::ObjectStoreExt::delete(&*world.store.inner, &path).await.unwrap();
    assert_names(&damage(&world).await.unwrap(), "1.blk", 1);
}
