//! Compaction and the removal of truncated segments, beside readers, crashes and sleeping writers.

use std::time::Duration;

use cinclus_log_storage::conformance::{batch, channel, drain, open, read_from, texts};
use cinclus_log_storage::woodpecker::metadata::SegmentState;
use cinclus_log_storage::{DynLogStorage, LogError, LogWriter};
use cinclus_meta::{MetaStore, Txn};
use cinclus_types::MessageId;

use crate::world::World;

fn numbers(count: u64) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// A segment of ten blocks, and one of two.
async fn two_segments(storage: &DynLogStorage) -> (Box<dyn LogWriter>, Vec<MessageId>) {
    let mut writer = open(storage, 1).await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.extend(writer.append(batch(number)).await.unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((ids[9].segment(), ids[11].segment()), (0, 1));
    (writer, ids)
}

async fn sealed(world: &World) {
    while world.states().await[0].1 != SegmentState::Sealed {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn readers_go_on_while_their_segment_is_compacted() {
    let world = World::new(1, |config| {
        config.roll_blocks_max = 10;
        config.read_ahead_bytes = 1;
        config.compact_bytes_max = 200;
    });
    let storage = world.process(1).await;
    // The compaction waits for the metadata that says that the segment is completed.
    let mut writer = open(&storage, 1).await;
    for number in 0..10 {
        writer.append(batch(number)).await.unwrap();
    }
    let elsewhere = world.process(2).await;
    let mut readers = Vec::new();
    for storage in [&storage, &elsewhere] {
        let mut reader = storage.read(&channel(), MessageId::EARLIEST).await.unwrap();
        let mut found = Vec::new();
        for _ in 0..3 {
            found.push(reader.next().await.unwrap().unwrap());
        }
        readers.push((reader, found));
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    writer.append(batch(10)).await.unwrap();
    sealed(&world).await;
    assert_eq!(world.object("1/0/5.blk").await, None);
    assert!(world.object("1/0/m_1.blk").await.is_some());
    for (mut reader, mut found) in readers {
        found.extend(drain(&mut *reader).await);
        assert_eq!(texts(&found), numbers(11));
    }
    let all = read_from(&elsewhere, MessageId::EARLIEST).await;
    for (at, record) in all.iter().enumerate() {
        assert_eq!(read_from(&elsewhere, record.id).await, all[at..]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_compaction_that_was_cut_short_is_finished_by_the_next_owner() {
    for left in 0..4 {
        let world = World::new(left, |config| config.roll_blocks_max = 10);
        let storage = world.process(1).await;
        let (writer, _) = two_segments(&storage).await;
        sealed(&world).await;
        drop((writer, storage));
        // Go back to a state between: some blocks are still there, the metadata says Completed.
        let metadata = world.metadata();
        let fence = metadata.raise_fence(&channel(), cinclus_types::Term(1)).await.unwrap();
        metadata.cut_segment(&channel(), &fence, 0, 9, 1).await.unwrap();
        let noted = "by-dev/woodpecker/cinclus/compacted/conformance_0";
        world.meta.commit(Txn::new().delete(noted)).await.unwrap();
        for number in 0..left {
            world.put(&format!("1/0/{number}.blk"), "what was merged already").await;
        }
        let next = world.process(2).await;
        let _writer = open(&next, 2).await;
        sealed(&world).await;
        let of_0: Vec<String> =
            world.names().await.into_iter().filter(|name| name.starts_with("1/0/")).collect();
        assert_eq!(of_0, ["1/0/footer.blk", "1/0/m_0.blk"]);
        assert_eq!(texts(&read_from(&next, MessageId::EARLIEST).await), numbers(12));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_removal_left_is_removed_by_the_next_owner() {
    let world = World::new(1, |config| config.roll_blocks_max = 10);
    let storage = world.process(1).await;
    let (writer, ids) = two_segments(&storage).await;
    storage.truncate(&channel(), ids[10]).await.unwrap();
    assert_eq!(world.states().await[0].0, 1);
    drop((writer, storage));
    // An uploader of the dead writer comes late.
    world.put("1/0/10.blk", "late").await;
    let next = world.process(2).await;
    let _writer = open(&next, 2).await;
    while world.object("1/0/10.blk").await.is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(texts(&read_from(&next, ids[10]).await), ["10", "11"]);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_slept_through_everything_gets_no_ack() {
    let world = World::new(1, |config| config.roll_blocks_max = 100);
    world.meta.mute();
    let (sleepy, awake) = (world.process(1).await, world.process(2).await);
    let mut old = open(&sleepy, 1).await;
    for number in 0..10 {
        old.append(batch(number)).await.unwrap();
    }
    // Its segment is fenced, completed, merged, sealed, truncated and removed.
    let mut new = open(&awake, 2).await;
    sealed(&world).await;
    let id = new.append(batch("new")).await.unwrap()[0];
    awake.truncate(&channel(), id).await.unwrap();
    assert_eq!(world.states().await[0].0, id.segment());
    let left = world.names().await;
    assert_eq!(left, ["1/0/10.blk", &format!("1/{}/0.blk", id.segment())], "the fence stays");
    assert_eq!(old.append(batch("late")).await, Err(LogError::Fenced));
    assert_eq!(texts(&read_from(&awake, id).await), ["new"]);
}

/// What it knows of its segment is no longer true: that is not damage.
#[tokio::test(start_paused = true)]
async fn an_owner_that_slept_while_its_segment_was_compacted_reads_on() {
    let world = World::new(8, |config| config.reads_max = 1);
    // Nobody tells the sleeper anything.
    world.meta.mute();
    let sleeper = world.process(1).await;
    let mut writer = open(&sleeper, 1).await;
    for number in 0..6 {
        writer.append(batch(number)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut reader = sleeper.read(&channel(), MessageId::EARLIEST).await.unwrap();
    let first = reader.next().await.unwrap().unwrap();
    let next = world.process(2).await;
    let mut taken = open(&next, 2).await;
    taken.append(batch(6)).await.unwrap();
    sealed(&world).await;
    assert_eq!(world.object("1/0/3.blk").await, None);
    let mut found = vec![first];
    found.extend(drain(&mut *reader).await);
    assert_eq!(texts(&found), numbers(7));
    assert_eq!(writer.append(batch(7)).await, Err(LogError::Fenced));
}

#[tokio::test(start_paused = true)]
async fn an_idle_owner_hears_that_the_log_was_taken() {
    let world = World::new(1, |_| {});
    let (one, other) = (world.process(1).await, world.process(2).await);
    let mut old = open(&one, 1).await;
    old.append(batch(0)).await.unwrap();
    let mut reader = one.read(&channel(), MessageId::EARLIEST).await.unwrap();
    assert_eq!(texts(&drain(&mut *reader).await), numbers(1));
    let mut new = open(&other, 2).await;
    new.append(batch(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    // Its readers look for what the new owner writes, then.
    assert_eq!(texts(&drain(&mut *reader).await), ["1"]);
    assert_eq!(old.close().await, Err(LogError::Fenced));
}

#[tokio::test(start_paused = true)]
async fn readers_elsewhere_go_on_behind_a_segment_that_the_metadata_still_calls_active() {
    let world = World::new(1, |config| config.roll_blocks_max = 3);
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    for number in 0..3 {
        writer.append(batch(number)).await.unwrap();
    }
    // The next segment is there, and then the metadata goes away.
    while world.states().await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.meta.set(1.0, 0.0);
    for number in 3..6 {
        let id = writer.append(batch(number)).await.unwrap()[0];
        assert_eq!(id.segment(), 1);
    }
    world.meta.set(0.0, 0.0);
    assert_eq!(world.states().await[0].1, SegmentState::Active);
    let elsewhere = world.process(2).await;
    assert_eq!(texts(&read_from(&elsewhere, MessageId::EARLIEST).await), numbers(6));
}

#[tokio::test(start_paused = true)]
async fn many_segments_are_removed_with_transactions_that_etcd_takes() {
    let world = World::new(1, |config| {
        config.roll_blocks_max = 1;
        config.compact_bytes_max = 0;
    });
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let mut last = MessageId::EARLIEST;
    for number in 0..300 {
        last = writer.append(batch(number)).await.unwrap()[0];
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(last.segment() > 200, "{last}");
    storage.truncate(&channel(), last).await.unwrap();
    assert_eq!(world.states().await[0].0, last.segment());
    assert_eq!(world.names().await, [format!("1/{}/0.blk", last.segment())]);
}
