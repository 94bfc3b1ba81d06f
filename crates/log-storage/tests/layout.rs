//! Whole files byte for byte, computed by an independent script from the description of the format.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;

use bytes::Bytes;
use cinclus_env::disk::{OpenMode, create_dir_synced, read_file};
use cinclus_log_storage::conformance::{channel, open, read_from};
use cinclus_log_storage::woodpecker::local::inspect::{self, SegmentWalk, Shape, verify_segment};
use cinclus_log_storage::woodpecker::metadata_values::SegmentState;
use cinclus_log_storage::{LogError, Record};
use cinclus_types::MessageId;
use support::{Machine, ROOT};

const VERSION_6: &str = "
    5ade30bb01100000000600000000000000000000004844520194960169051c0000000000000000000000000000000000
    00000000000015000000c5bb4a7b425e5fc7020c0000000a016112070a025f74120131aff6d9d2051c00000001000000
    01000000000000000200000000000000250000004d257a981f3ffca302040000000a026263b8d2246e020f0000001206
    0a016b12017612050a01781200c81d29dd03200000000000000019000000000000003a00000000000000000000000000
    0000000000002480c76c03200000000100000053000000000000004a00000001000000000000000200000000000000fb
    384ed1042c0000000200000002000000ef000000000000009d0000000000000052000000060000004654520102000000
    00000000";

const VERSION_5: &str = "
    a86af89201100000000500000000000000000000004844520194960169051c0000000000000000000000000000000000
    00000000000015000000c5bb4a7b425e5fc7020c0000000a016112070a025f74120131aff6d9d2051c00000001000000
    01000000000000000200000000000000250000004d257a981f3ffca302040000000a026263b8d2246e020f0000001206
    0a016b12017612050a01781200c81d29dd03200000000000000019000000000000003a00000000000000000000000000
    0000000000002480c76c03200000000100000053000000000000004a00000001000000000000000200000000000000f5
    f6445404240000000200000002000000ef000000000000009d00000000000000520000000500000046545201";

fn hex(text: &str) -> Bytes {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn property(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The records of both files: one block of one entry, one of two.
fn blocks() -> [Vec<Record>; 2] {
    [
        vec![Record::new("a", vec![property("_t", "1")])],
        vec![Record::new("bc", Vec::new()), Record::new("", vec![property("k", "v"), property("x", "")])],
    ]
}

#[tokio::test]
async fn a_closed_segment_has_the_golden_bytes() {
    let machine = Machine::new(1, 1 << 20);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    for block in blocks() {
        writer.append(block).await.unwrap();
    }
    writer.close().await.unwrap();
    let file = read_file(&machine.disk, &machine.segment_file(0)).await.unwrap();
    assert_eq!(file, hex(VERSION_6));
}

#[tokio::test]
async fn a_segment_that_rolls_has_the_golden_bytes() {
    let machine = Machine::new(1, 157);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    for block in blocks() {
        writer.append(block).await.unwrap();
    }
    let file = read_file(&machine.disk, &machine.segment_file(0)).await.unwrap();
    assert_eq!(file, hex(VERSION_6));
    let next = writer.append(blocks()[0].clone()).await.unwrap();
    assert_eq!(next, [MessageId::from_parts(0, 1, 0)]);
}

/// Segment 0 as another program left it: named in the metadata as active, with that content.
async fn foreign(content: Bytes) -> Machine {
    let machine = Machine::new(2, 1 << 20);
    let storage = machine.start().await.unwrap();
    drop(open(&storage, 1).await);
    drop(storage);
    let path = machine.segment_file(0);
    create_dir_synced(&machine.disk, path.parent().unwrap()).await.unwrap();
    let file = cinclus_env::Disk::open(&machine.disk, &path, OpenMode::OpenOrCreate).await.unwrap();
    file.write_and_sync(0, vec![content]).await.unwrap();
    machine
}

fn expected() -> Vec<Record> {
    blocks().concat()
}

#[tokio::test]
async fn files_of_both_versions_are_read_and_completed() {
    for content in [VERSION_5, VERSION_6] {
        let machine = foreign(hex(content)).await;
        let storage = machine.start().await.unwrap();
        for opened in [false, true] {
            let writer = if opened { Some(open(&storage, 2).await) } else { None };
            let found = read_from(&storage, MessageId::EARLIEST).await;
            let records: Vec<Record> = found.into_iter().map(|found| found.record).collect();
            assert_eq!(records, expected());
            drop(writer);
        }
        let entry = machine.metadata().load(&channel()).await.unwrap().unwrap();
        let segment = &entry.segments[&0].meta;
        assert_eq!((segment.state(), segment.last_entry_id), (SegmentState::Completed, 2));
        assert_eq!(read_file(&machine.disk, &machine.segment_file(0)).await.unwrap(), hex(content));
    }
}

#[tokio::test]
async fn a_file_without_footer_gets_the_golden_one() {
    let whole = hex(VERSION_6);
    let data_end = whole.len() - 53 - 2 * 41;
    for end in data_end..whole.len() {
        let machine = foreign(whole.slice(..end)).await;
        let storage = machine.start().await.unwrap();
        let _writer = open(&storage, 2).await;
        let file = read_file(&machine.disk, &machine.segment_file(0)).await.unwrap();
        assert_eq!(file, whole, "cut at {end}");
        assert_eq!(read_from(&storage, MessageId::EARLIEST).await.len(), 3, "cut at {end}");
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_by_name_and_not_touched() {
    let mut newer = hex(VERSION_6).to_vec();
    newer[9] = 7;
    let crc = crc32fast::hash(&newer[4..25]);
    newer[..4].copy_from_slice(&crc.to_le_bytes());
    newer.truncate(200);
    let machine = foreign(newer.clone().into()).await;
    let storage = machine.start().await.unwrap();
    let options =
        cinclus_log_storage::OpenOptions { term: cinclus_types::Term(2), acknowledged: MessageId::EARLIEST };
    let refused = storage.open_writer(&channel(), options).await.err().unwrap().to_string();
    assert!(refused.contains("format version 7"), "{refused}");
    assert_eq!(read_file(&machine.disk, &machine.segment_file(0)).await.unwrap(), newer);
}

#[tokio::test]
async fn a_running_storage_can_be_looked_at() {
    let machine = Machine::new(3, 157);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    for block in blocks().iter().chain(&blocks()[..1]) {
        writer.append(block.clone()).await.unwrap();
    }
    let disk = machine.dyn_disk();
    let logs = inspect::logs(&disk, Path::new(ROOT)).await.unwrap();
    assert_eq!((logs.len(), logs[0].id, logs[0].channel.as_deref()), (1, 1, Some("conformance_0")));
    let first = &logs[0].segments[0];
    assert_eq!((&first.shape, first.blocks, first.entries, first.bytes), (&Shape::Finished, 2, 3, 292));
    let shapes = [Shape::Finished, Shape::Unfinished { tail_bytes: Some(0) }];
    for (segment, shape) in logs[0].segments.iter().zip(shapes) {
        let report = verify_segment(&disk, &segment.file, segment.id).await.unwrap();
        assert_eq!(report.shape, shape);
        assert_eq!(report.entries, if segment.id == 0 { 3 } else { 1 });
    }
    let mut walk = SegmentWalk::open(&disk, &first.file, 0).await.unwrap();
    let mut records = Vec::new();
    while let Some(block) = walk.next_block().await.unwrap() {
        assert_eq!(block.first_entry, records.len() as u64);
        records.extend(block.records);
    }
    assert_eq!(records, expected());
}

#[tokio::test]
async fn every_changed_byte_of_a_finished_segment_is_found() {
    let whole = hex(VERSION_6);
    for at in 0..whole.len() {
        let mut bad = whole.to_vec();
        bad[at] ^= 0x40;
        let machine = foreign(bad.into()).await;
        let path = machine.segment_file(0);
        let report = verify_segment(&machine.dyn_disk(), &path, 0).await.unwrap();
        // Without its footer a segment is an unfinished one: that alone is no damage.
        let found = match report.shape {
            Shape::Damaged { .. } => true,
            Shape::Unfinished { tail_bytes } => tail_bytes.unwrap() > 0,
            Shape::Empty | Shape::Finished => false,
        };
        assert!(found, "byte {at}: {report:?}");
    }
}

#[tokio::test]
async fn two_storages_cannot_have_one_directory() {
    let machine = Machine::new(4, 1 << 20);
    let first = machine.start().await.unwrap();
    let refused = machine.start().await.err();
    assert!(matches!(refused, Some(LogError::InUse { .. })), "{refused:?}");
    drop(first);
    machine.start().await.unwrap();
}
