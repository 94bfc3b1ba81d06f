//! The holes of Woodpecker that its layout on objects could have, each with its number in the list of the
//! reference. H1, H2, H5 and H12 are of its service mode, H8 and H9 of its local files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cinclus_log_storage::conformance::{batch, channel, open, read_from, texts};
use cinclus_log_storage::woodpecker::metadata::SegmentState;
use cinclus_log_storage::{LogError, Record};
use cinclus_types::MessageId;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload};

use crate::layout::{BLOCK_0, BLOCK_1, blocks, hex};
use crate::world::{World, options};

#[tokio::test]
async fn h3_a_segment_that_ended_empty_does_not_close_the_log() {
    let world = World::new(1, |_| {});
    for term in 0..5 {
        let storage = world.process(term as u64).await;
        let mut writer = open(&storage, term).await;
        if term == 3 {
            writer.append(batch("only")).await.unwrap();
        }
        writer.close().await.unwrap();
    }
    let storage = world.process(9).await;
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await), ["only"]);
}

#[tokio::test(start_paused = true)]
async fn h4_a_registered_reader_stays_registered_as_long_as_it_lives() {
    let world = World::new(1, |config| {
        config.roll_blocks_max = 1;
        config.compact_bytes_max = 0;
    });
    let (owner, other) = (world.process(1).await, world.process(2).await);
    let mut writer = open(&owner, 1).await;
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.extend(writer.append(batch(number)).await.unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(ids[5].segment(), 5);
    let mut reader = other.read(&channel(), MessageId::EARLIEST).await.unwrap();
    for _ in 0..3 {
        reader.next().await.unwrap().unwrap();
    }
    // Ten times its lease.
    tokio::time::sleep(Duration::from_secs(600)).await;
    owner.truncate(&channel(), ids[5]).await.unwrap();
    let first = world.states().await[0].0;
    assert!((1..=2).contains(&first), "segments before the reader go, its own stays: {first}");
    assert!(world.object("1/2/0.blk").await.is_some());
    drop(reader);
    tokio::time::sleep(Duration::from_secs(1)).await;
    owner.truncate(&channel(), ids[5]).await.unwrap();
    assert_eq!(world.states().await[0].0, 5);
}

/// One block of one entry, as a writer of Woodpecker puts it.
pub fn one_entry_block(number: u64) -> Vec<u8> {
    let envelope = |kind: u8, payload: &[u8]| {
        let mut rest = vec![kind];
        rest.extend((payload.len() as u32).to_le_bytes());
        rest.extend(payload);
        [&crc32fast::hash(&rest).to_le_bytes()[..], &rest].concat()
    };
    let data = envelope(2, b"\x0a\x01x");
    let mut header = (number as i32).to_le_bytes().to_vec();
    header.extend((number as i64).to_le_bytes());
    header.extend((number as i64).to_le_bytes());
    header.extend((data.len() as u32).to_le_bytes());
    header.extend(crc32fast::hash(&data).to_le_bytes());
    let first = if number == 0 { hex(BLOCK_0).slice(..25).to_vec() } else { Vec::new() };
    [first, envelope(5, &header), data].concat()
}

#[tokio::test]
async fn h6_a_writer_that_is_faster_than_every_fence_is_stopped() {
    let world = World::new(1, |_| {});
    world.foreign_log(1).await;
    let next = Arc::new(AtomicU64::new(0));
    let rival = next.clone();
    // Whenever a fence is about to be put, the other writer puts its next block, if that is still free.
    world.store.set_hook(Some(Arc::new(
        move |store: &dyn ObjectStore, path: &Path, payload: &PutPayload| {
            if payload.content_length() != 1 || !path.as_ref().contains("/1/0/") {
                return;
            }
            let number = rival.load(Ordering::SeqCst);
            let key = World::path(&format!("1/0/{number}.blk"));
            let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let put = store.put_opts(&key, one_entry_block(number).into(), create).now_or_never().unwrap();
            if put.is_ok() {
                rival.fetch_add(1, Ordering::SeqCst);
            }
        },
    )));
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    world.store.set_hook(None);
    let won = next.load(Ordering::SeqCst);
    assert!((4..100).contains(&won), "{won}");
    writer.append(batch("mine")).await.unwrap();
    let found = read_from(&storage, MessageId::EARLIEST).await;
    assert_eq!(found.len() as u64, won + 1, "every block that the other put before the fence counts");
    assert_eq!(world.object(&format!("1/0/{won}.blk")).await.unwrap(), &b"F"[..]);
}

#[tokio::test]
async fn h7_a_block_that_is_there_already_counts_only_with_the_same_bytes() {
    let world = World::new(1, |_| {});
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    // The same bytes: an answer of ours that was lost.
    world.put("1/0/0.blk", hex(BLOCK_0)).await;
    assert_eq!(writer.append(blocks()[0].clone()).await.unwrap(), [MessageId::from_parts(0, 0, 0)]);
    // Others, of the same length.
    let mut other = hex(BLOCK_1).to_vec();
    *other.last_mut().unwrap() ^= 1;
    world.put("1/0/1.blk", other).await;
    assert_eq!(writer.append(blocks()[1].clone()).await, Err(LogError::Fenced));
    assert_eq!(writer.append(blocks()[1].clone()).await, Err(LogError::Fenced));
}

#[tokio::test]
async fn h10_first_starters_at_once_do_not_give_an_id_twice() {
    let world = World::new(1, |_| {});
    let (one, other) = tokio::join!(world.process(1), world.process(2));
    let names = ["a", "b", "c", "d"].map(cinclus_types::PChannel::new);
    for (name, storage) in names.iter().zip([&one, &other, &one, &other]) {
        drop(storage.open_writer(name, options(1)).await.unwrap());
        // A late starter.
        world.process(3).await;
    }
    let mut ids: Vec<i64> = world.metadata().logs().await.unwrap().into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn h11_truncation_removes_every_object_of_its_segments_and_of_no_other() {
    let world = World::new(1, |config| {
        config.block_bytes_max = 1;
        config.roll_blocks_max = 4;
    });
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let mut ids = Vec::new();
    for number in 0..60 {
        ids.extend(writer.append(batch(number)).await.unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let last = ids[59];
    assert!(last.segment() > 10);
    while world.states().await.iter().filter(|state| state.1 == SegmentState::Sealed).count() < 11 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let first_of = |segment| *ids.iter().find(|id| id.segment() == segment).unwrap();
    storage.truncate(&channel(), first_of(2)).await.unwrap();
    let names = world.names().await;
    let of = |segment: u64| names.iter().filter(|name| name.starts_with(&format!("1/{segment}/"))).count();
    assert_eq!((of(0), of(1)), (0, 0), "{names:?}");
    assert!((2..=10).all(|segment| of(segment) == 2), "a footer and a merged block each: {names:?}");
    assert_eq!(
        read_from(&storage, first_of(2)).await.len(),
        ids.iter().filter(|id| id.segment() >= 2).count()
    );
}

#[tokio::test]
async fn h13_an_owner_of_before_cannot_truncate() {
    let world = World::new(1, |_| {});
    world.meta.mute();
    let (old, new) = (world.process(1).await, world.process(2).await);
    let mut writer = open(&old, 1).await;
    let ids = writer.append(vec![Record::new("a", Vec::new()), Record::new("b", Vec::new())]).await.unwrap();
    let mut next = open(&new, 2).await;
    next.append(batch("c")).await.unwrap();
    assert_eq!(old.truncate(&channel(), ids[1]).await, Err(LogError::Fenced));
    assert_eq!(new.earliest(&channel()).await, Ok(MessageId::EARLIEST));
    assert_eq!(read_from(&new, MessageId::EARLIEST).await.len(), 3);
}

#[tokio::test]
async fn h14_what_is_read_was_checked() {
    // Each byte of each object: see the tests of damage. Here: bytes that belong to another block.
    let world = World::new(1, |_| {});
    world.foreign_log(1).await;
    world.put("1/0/0.blk", hex(BLOCK_0)).await;
    world.put("1/0/1.blk", one_entry_block(2)).await;
    let storage = world.process(1).await;
    let refused = storage.open_writer(&channel(), options(1)).await.err().unwrap();
    assert!(matches!(refused, LogError::Corrupt { block: 1, .. }), "{refused}");
}
