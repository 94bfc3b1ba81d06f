//! Segments as a writer of Woodpecker leaves them, and an instance as it leaves it.

use bytes::Bytes;
use cinclus_env::Env;
use cinclus_log_storage::conformance::{batch, channel, open, read_from, texts};
use cinclus_log_storage::woodpecker::metadata::{ReaderTempInfo, SegmentState};
use cinclus_log_storage::{LogError, Record};
use cinclus_meta::{MetaStore, Txn};
use cinclus_types::MessageId;
use prost::Message;

use crate::layout::{BLOCK_0, BLOCK_1, FOOTER, blocks, hex};
use crate::store::Plan;
use crate::world::World;

#[tokio::test]
async fn an_unfinished_segment_is_taken_over_up_to_its_first_gap() {
    let world = World::new(1, |config| config.compact_bytes_max = 0);
    world.foreign_log(2).await;
    world.put("1/0/write.lock", "logId=1\nsegmentId=0\n").await;
    world.put("1/0/0.blk", hex(BLOCK_0)).await;
    world.put("1/0/1.blk", hex(BLOCK_1)).await;
    // A parallel upload behind a gap: nobody was told that it is there.
    world.put("1/0/3.blk", hex(BLOCK_1)).await;
    let storage = world.process(1).await;
    let before = read_from(&storage, MessageId::EARLIEST).await;
    let mut writer = open(&storage, 1).await;
    writer.append(vec![Record::new("next", Vec::new())]).await.unwrap();
    let found = read_from(&storage, MessageId::EARLIEST).await;
    assert_eq!(before[..], found[..3]);
    let expected = [blocks().concat(), vec![Record::new("next", Vec::new())]].concat();
    assert_eq!(found.iter().map(|found| found.record.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(found[3].id, MessageId::from_parts(0, 2, 0));
    assert_eq!(world.object("1/0/footer.blk").await, Some(hex(FOOTER)));
    assert_eq!(world.object("1/0/2.blk").await, Some(Bytes::from_static(b"F")));
    let states = world.states().await;
    assert_eq!(states[..2], [(0, SegmentState::Completed, 2), (1, SegmentState::Completed, -1)]);
}

#[tokio::test]
async fn a_segment_that_its_writer_fenced_or_finished_is_taken_as_it_is() {
    let world = World::new(1, |_| {});
    world.foreign_log(2).await;
    world.put("1/0/0.blk", hex(BLOCK_0)).await;
    world.put("1/0/1.blk", "F").await;
    for (name, golden) in [("0.blk", BLOCK_0), ("1.blk", BLOCK_1), ("footer.blk", FOOTER)] {
        world.put(&format!("1/1/{name}"), hex(golden)).await;
    }
    let storage = world.process(1).await;
    drop(open(&storage, 1).await);
    let states = world.states().await;
    assert_eq!(states[..2], [(0, SegmentState::Completed, 0), (1, SegmentState::Completed, 2)]);
    assert_eq!(read_from(&storage, MessageId::EARLIEST).await.len(), 4);
    assert_eq!(world.object("1/1/2.blk").await, None, "what has a footer needs no fence");
}

#[tokio::test]
async fn woodpecker_finds_the_last_truncated_record_and_we_find_its_own() {
    let world = World::new(1, |config| config.roll_blocks_max = 2);
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let mut ids = Vec::new();
    for number in 0..9 {
        ids.extend(writer.append(batch(number)).await.unwrap());
    }
    let truncated = async || world.metadata().load(&channel()).await.unwrap().unwrap().meta.truncated();
    let parts = |id: MessageId| (id.segment() as i64, id.entry() as i64);
    for at in [1, 3, 5] {
        storage.truncate(&channel(), ids[at]).await.unwrap();
        assert_eq!(storage.earliest(&channel()).await, Ok(ids[at]));
        assert_eq!(truncated().await, parts(ids[at - 1]), "record {at} stays");
    }
    drop(writer);
    // Woodpecker truncates a record more.
    let store = &world.meta;
    let key = "by-dev/woodpecker/logs/conformance_0";
    let mut meta = world.metadata().load(&channel()).await.unwrap().unwrap().meta;
    (meta.truncated_segment_id, meta.truncated_entry_id) = parts(ids[6]);
    store.commit(Txn::new().put(key, meta.encode_to_vec())).await.unwrap();
    let earliest = storage.earliest(&channel()).await.unwrap();
    assert!(earliest > ids[6] && earliest <= ids[7]);
    assert_eq!(texts(&read_from(&storage, earliest).await), ["7", "8"]);
}

#[tokio::test]
async fn segments_that_a_reader_is_registered_for_are_not_removed() {
    let world = World::new(1, |config| {
        config.roll_blocks_max = 1;
        config.compact_bytes_max = 0;
    });
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.extend(writer.append(batch(number)).await.unwrap());
        tokio::task::yield_now().await;
    }
    let last = ids[7];
    assert!(last.segment() >= 4, "{last}");
    let reader = ReaderTempInfo { log_id: 1, recent_read_segment_id: 2, ..ReaderTempInfo::default() };
    let key = "by-dev/woodpecker/readers/1/somebody";
    world.meta.commit(Txn::new().put(key, reader.encode_to_vec())).await.unwrap();
    storage.truncate(&channel(), last).await.unwrap();
    assert_eq!(storage.earliest(&channel()).await, Ok(last));
    assert_eq!(world.states().await[0].0, 2);
    assert!(world.object("1/2/0.blk").await.is_some() && world.object("1/1/0.blk").await.is_none());
    world.meta.commit(Txn::new().delete(key)).await.unwrap();
    storage.truncate(&channel(), last).await.unwrap();
    assert_eq!(world.states().await[0].0, last.segment());
}

#[tokio::test]
async fn an_instance_under_the_old_prefix_is_found_there() {
    let world = World::new(1, |_| {});
    let old = World::new(2, |config| config.metadata_prefix = "woodpecker".to_owned());
    let meta = old.metadata();
    meta.init().await.unwrap();
    let entries = old.meta.scan("woodpecker/").await.unwrap().1;
    assert_eq!(entries.len(), 4);
    for entry in entries {
        world.meta.commit(Txn::new().put(entry.key, entry.value)).await.unwrap();
    }
    let storage = world.process(1).await;
    open(&storage, 1).await.append(batch("x")).await.unwrap();
    assert!(world.meta.get("woodpecker/logs/conformance_0").await.unwrap().is_some());
    assert_eq!(world.meta.scan("by-dev/").await.unwrap().1, []);
    let noted = world.meta.get("woodpecker/conditionwrite").await.unwrap().unwrap();
    assert_eq!(noted.value, "true");
}

#[tokio::test]
async fn storages_without_conditional_puts_are_refused() {
    let world = World::new(1, |_| {});
    world.store.set(Plan { unconditional: true, ..Plan::default() });
    let refused = world.try_process(Env::test(1)).await.err().unwrap().to_string();
    assert!(
        refused.contains("If-None-Match: of 4 creates of one name at once, 4 were accepted"),
        "{refused}"
    );
    world.store.set(Plan::default());
    let key = "by-dev/woodpecker/conditionwrite";
    world.meta.commit(Txn::new().put(key, "false")).await.unwrap();
    let refused = world.try_process(Env::test(1)).await.err().unwrap();
    assert!(matches!(&refused, LogError::Invalid(reason) if reason.contains(key)), "{refused}");
    assert_eq!(world.names().await, Vec::<String>::new(), "the probe removes its objects");
}
