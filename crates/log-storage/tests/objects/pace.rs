//! When things are put, how long they take and what idle logs cost. Time is simulated.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cinclus_log_storage::conformance::{batch, channel, drain, open, read_from, texts};
use cinclus_log_storage::{AppendAck, DynLogStorage, LogError};
use cinclus_types::MessageId;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{ObjectStore, PutOptions, PutPayload};
use tokio::time::Instant;

use crate::holes::one_entry_block;
use crate::store::Plan;
use crate::world::World;

const PUT: Duration = Duration::from_millis(50);

fn slow(span: Duration) -> Plan {
    Plan { delay_min: span, delay_max: span, ..Plan::default() }
}

async fn all(acks: Vec<AppendAck>) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for ack in acks {
        ids.extend(ack.await.unwrap());
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn a_lone_append_takes_one_put_and_those_that_come_meanwhile_go_together() {
    let world = World::new(1, |_| {});
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    world.store.set(slow(PUT));
    for number in 0..5 {
        let (start, puts) = (Instant::now(), world.store.puts.load(Ordering::SeqCst));
        writer.append(batch(number)).await.unwrap();
        assert_eq!((start.elapsed(), world.store.puts.load(Ordering::SeqCst)), (PUT, puts + 1));
    }
    let (start, puts) = (Instant::now(), world.store.puts.load(Ordering::SeqCst));
    let acks = (0..500).map(|number| writer.append(batch(number))).collect();
    all(acks).await;
    assert_eq!((start.elapsed(), world.store.puts.load(Ordering::SeqCst)), (PUT * 2, puts + 2));
}

#[tokio::test(start_paused = true)]
async fn full_blocks_go_out_beside_each_other_and_over_the_ends_of_segments() {
    let world = World::new(1, |config| {
        config.block_bytes_max = 1;
        config.uploads_max = 8;
        config.roll_blocks_max = 16;
    });
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    world.store.set(slow(PUT));
    let start = Instant::now();
    let acks = (0..80).map(|number| writer.append(batch(number))).collect();
    let ids = all(acks).await;
    assert!(ids.is_sorted() && ids[79].segment() >= 3, "{}", ids[79]);
    // Ten rounds of eight puts. At each end of a segment the footer and the first block come after each
    // other, beside the blocks that follow.
    assert!(start.elapsed() <= PUT * 16, "{:?}", start.elapsed());
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await).len(), 80);
}

#[tokio::test(start_paused = true)]
async fn a_segment_ends_by_age_and_by_blocks() {
    let world = World::new(1, |config| config.roll_blocks_max = 3);
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let mut places = Vec::new();
    for pause in [0, 1, 1, 1, 700, 1, 1] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let id = writer.append(batch(pause)).await.unwrap()[0];
        places.push((id.segment(), id.entry()));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // The one that makes a segment too old is still in it, as the next one is asked for then.
    assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_segment_grows_on_while_the_metadata_is_away() {
    let world = World::new(1, |config| config.roll.bytes_max = 100);
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    world.meta.set(1.0, 0.0);
    for number in 0..50 {
        let id = writer.append(batch(number)).await.unwrap()[0];
        assert_eq!((id.segment(), id.entry()), (0, number));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // And goes on when it is back, whether its answers come or not.
    world.meta.set(0.0, 0.5);
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.meta.set(0.0, 0.0);
    let id = writer.append(batch("next")).await.unwrap()[0];
    assert_eq!((id.segment(), id.entry()), (1, 0));
    writer.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn idle_logs_and_idle_readers_make_no_requests() {
    let world = World::new(1, |_| {});
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    writer.append(batch("x")).await.unwrap();
    let mut reader = storage.read(&channel(), MessageId::EARLIEST).await.unwrap();
    assert_eq!(drain(&mut *reader).await.len(), 1);
    let before = world.store.requests();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(reader.next_batch().await, Ok(Vec::new()));
    }
    assert_eq!(world.store.requests(), before);
    writer.append(batch("y")).await.unwrap();
    assert_eq!(drain(&mut *reader).await.len(), 1);
    assert_eq!(world.store.requests(), before + 2, "one put and one get");
}

async fn thousand_blocks(world: &World) -> DynLogStorage {
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let acks = (0..1_000).map(|number| writer.append(batch(number))).collect();
    all(acks).await;
    assert_eq!(world.names().await.len(), 1_000);
    drop(writer);
    world.process(2).await
}

#[tokio::test(start_paused = true)]
async fn a_thousand_blocks_are_recovered_within_a_second_at_20_ms() {
    let world = World::new(1, |config| {
        config.block_bytes_max = 1;
        config.roll_blocks_max = 100_000;
    });
    let storage = thousand_blocks(&world).await;
    world.store.set(slow(Duration::from_millis(20)));
    let start = Instant::now();
    let _writer = open(&storage, 2).await;
    let took = start.elapsed();
    assert!(took <= Duration::from_secs(1), "{took:?}");
    world.store.set(Plan::default());
    assert_eq!(read_from(&storage, MessageId::EARLIEST).await.len(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_reader_far_behind_reads_blocks_beside_each_other() {
    let world = World::new(1, |config| {
        config.block_bytes_max = 1;
        config.roll_blocks_max = 100_000;
    });
    // By a process that does not write the log, of a segment without footer.
    let storage = thousand_blocks(&world).await;
    world.store.set(slow(Duration::from_millis(20)));
    let start = Instant::now();
    assert_eq!(read_from(&storage, MessageId::EARLIEST).await.len(), 1_000);
    let took = start.elapsed();
    assert!(took <= Duration::from_millis(1_500), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_far_behind_does_not_stop_at_the_ends_of_segments() {
    let world = World::new(1, |config| {
        config.block_bytes_max = 1;
        config.roll_blocks_max = 50;
        config.compact_bytes_max = 0;
    });
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let mut last = MessageId::EARLIEST;
    for number in 0..1_000 {
        last = writer.append(batch(number)).await.unwrap()[0];
        tokio::task::yield_now().await;
    }
    assert!(last.segment() >= 15, "{last}");
    writer.close().await.unwrap();
    let elsewhere = world.process(2).await;
    world.store.set(slow(Duration::from_millis(20)));
    let start = Instant::now();
    assert_eq!(read_from(&elsewhere, MessageId::EARLIEST).await.len(), 1_000);
    let took = start.elapsed();
    // 1,000 blocks, 64 at once, are 16 rounds. A stop at each end would be three rounds for each segment.
    assert!(took <= Duration::from_millis(20 * 30), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_segment_counts_before_all_of_the_one_before_is_there() {
    let world = World::new(1, |config| {
        config.block_bytes_max = 1;
        config.roll_blocks_max = 3;
        config.uploads_max = 8;
    });
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    // Somebody else's block comes in the place of the third one.
    world.store.set_hook(Some(Arc::new(|store: &dyn ObjectStore, path: &Path, _: &PutPayload| {
        if path.as_ref().ends_with("/1/0/2.blk") {
            let put = store.put_opts(path, one_entry_block(2).into(), PutOptions::default());
            put.now_or_never().unwrap().unwrap();
        }
    })));
    world.store.set(slow(PUT));
    let mut acks: Vec<AppendAck> = (0..3).map(|number| writer.append(batch(number))).collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    acks.extend((3..6).map(|number| writer.append(batch(number))));
    let mut outcomes = Vec::new();
    for ack in acks {
        outcomes.push(ack.await.map(|ids| (ids[0].segment(), ids[0].entry())));
    }
    let fenced = || Err(LogError::Fenced);
    assert_eq!(outcomes, [Ok((0, 0)), Ok((0, 1)), fenced(), fenced(), fenced(), fenced()]);
    tokio::time::sleep(PUT * 4).await;
    let names = world.names().await;
    assert!(names.contains(&"1/1/2.blk".to_owned()), "later blocks went out beside it: {names:?}");
    world.store.set_hook(None);
    world.store.set(Plan::default());
    let _next = open(&storage, 2).await;
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await), ["0", "1", "x"]);
}
