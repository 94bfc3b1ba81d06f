//! The holes of Woodpecker that its layout on local files could have, each with its number in the list of the
//! reference; those of the layout on objects are in `objects/holes.rs`, H10 and H13 there too: both layouts have the same
//! metadata. H14, the directory that is synced before anything refers to a file, is in `crash.rs`.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::Duration;

use cinclus_env::disk::{Keep, read_file};
use cinclus_log_storage::conformance::{batch, channel, open, read_from, texts};
use cinclus_log_storage::woodpecker::local::inspect::{Shape, verify_segment};
use cinclus_types::MessageId;
use support::Machine;

#[tokio::test(start_paused = true)]
async fn h3_a_segment_that_ended_empty_does_not_close_the_log() {
    let mut machine = Machine::new(3, 1 << 20);
    let mut expected = Vec::new();
    for term in 1..8 {
        let storage = machine.start().await.unwrap();
        let mut writer = open(&storage, term).await;
        if term % 3 == 0 {
            writer.append(batch(term)).await.unwrap();
            expected.push(term.to_string());
        }
        if term % 2 == 0 {
            writer.close().await.unwrap();
        }
        drop(storage);
        machine.crash(Keep::Everything).await;
    }
    let storage = machine.start().await.unwrap();
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await), expected);
}

/// A writer that is replaced while its block is on the way to the disk: what it acknowledges is there, and the footer that
/// the next one writes speaks of all of it.
#[tokio::test(start_paused = true)]
async fn h8_what_is_acknowledged_while_the_next_writer_opens_stays() {
    for ahead in 0..6 {
        let machine = Machine::new(8, 1 << 20);
        machine.disk.set_sync_delay(Duration::from_millis(5));
        let storage = machine.start().await.unwrap();
        let mut old = open(&storage, 1).await;
        let acks: Vec<_> = (0..4).map(|number| old.append(batch(number))).collect();
        tokio::time::sleep(Duration::from_millis(ahead * 2)).await;
        let next = open(&storage, 2).await;
        let mut acknowledged = Vec::new();
        for (number, ack) in acks.into_iter().enumerate() {
            if let Ok(ids) = ack.await {
                acknowledged.push((ids[0], number.to_string()));
            }
        }
        let found = read_from(&storage, MessageId::EARLIEST).await;
        let found: Vec<_> = found.iter().map(|record| record.id).zip(texts(&found)).collect();
        assert_eq!(found[..acknowledged.len()], acknowledged, "opened after {ahead}");
        let report = verify_segment(&machine.dyn_disk(), &machine.segment_file(0), 0).await.unwrap();
        assert_eq!(
            (report.shape, report.entries),
            (Shape::Finished, found.len() as u64),
            "opened after {ahead}"
        );
        drop(next);
    }
}

/// A torn last block is cut from the file, and in no index.
#[tokio::test(start_paused = true)]
async fn h9_a_torn_last_block_is_nowhere_after_the_next_open() {
    let mut machine = Machine::new(9, 1 << 20);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    let mut ends = Vec::new();
    for number in 0..3 {
        writer.append(batch(number)).await.unwrap();
        ends.push(read_file(&machine.disk, &machine.segment_file(0)).await.unwrap().len() as u64);
    }
    drop((writer, storage));
    machine.crash(Keep::Everything).await;
    // Of the last block a part came to the disk: its header is whole, its record is not.
    machine.disk.corrupt(&machine.segment_file(0), ends[2] - 5, b"\0\0\0\0\0");
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 2).await;
    let next = writer.append(batch("next")).await.unwrap();
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await), ["0", "1", "next"]);
    assert_eq!(next, [MessageId::from_parts(0, 1, 0)]);
    let report = verify_segment(&machine.dyn_disk(), &machine.segment_file(0), 0).await.unwrap();
    assert_eq!((report.shape, report.blocks, report.entries), (Shape::Finished, 2, 2));
    let meta = machine.metadata().load(&channel()).await.unwrap().unwrap();
    assert_eq!(meta.segments[&0].meta.last_entry_id, 1);
    writer.close().await.unwrap();
}
