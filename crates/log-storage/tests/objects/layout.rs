//! Whole objects byte for byte, computed by an independent script from the description of the format.

use bytes::Bytes;
use cinclus_log_storage::Record;
use cinclus_log_storage::conformance::{channel, open, read_from};
use cinclus_log_storage::woodpecker::metadata::SegmentState;
use cinclus_types::MessageId;
use object_store::{Attribute, ObjectStoreExt};

use crate::world::{World, options};

pub const BLOCK_0: &str = "
    5ade30bb01100000000600000000000000000000004844520194960169051c00000000000000000000000000000000000000
    0000000015000000c5bb4a7b425e5fc7020c0000000a016112070a025f74120131";
pub const BLOCK_1: &str = "
    aff6d9d2051c0000000100000001000000000000000200000000000000250000004d257a981f3ffca302040000000a026263
    b8d2246e020f00000012060a016b12017612050a01781200";
pub const FOOTER: &str = "
    04c4d41d032000000000000000000000000000000053000000000000000000000000000000000000008eec8c190320000000
    0100000001000000000000004a00000001000000000000000200000000000000160ce720042c00000002000000020000009d
    0000000000000000000000000000005200000006000000465452010200000000000000";
const MERGED_0: &str = "
    2c3f3f26011000000006000100000000000000000048445201a658d951051c00000000000000000000000000000002000000
    000000003a000000d8371309425e5fc7020c0000000a016112070a025f741201311f3ffca302040000000a026263b8d2246e
    020f00000012060a016b12017612050a01781200";
const MERGED_FOOTER: &str = "
    0a087f77032000000000000000000000000000000078000000000000000000000002000000000000006ba5dbde042c000000
    0100000002000000780000000000000000000000000000002900000006000100465452010200000000000000";
const BLOCK_0_V5: &str = "
    a86af89201100000000500000000000000000000004844520194960169051c00000000000000000000000000000000000000
    0000000015000000c5bb4a7b425e5fc7020c0000000a016112070a025f74120131";
const FOOTER_V5: &str = "
    04c4d41d032000000000000000000000000000000053000000000000000000000000000000000000008eec8c190320000000
    0100000001000000000000004a000000010000000000000002000000000000005bd4d62a042400000002000000020000009d
    000000000000000000000000000000520000000500000046545201";
const FOOTER_EMPTY: &str = "
    3e70f2b3042c000000000000000000000000000000000000000000000000000000000000000600000046545201ffffffffff
    ffffff";
/// Both blocks, and only entries 0 and 1 confirmed.
const FOOTER_SHORT: &str = "
    04c4d41d032000000000000000000000000000000053000000000000000000000000000000000000008eec8c190320000000
    0100000001000000000000004a00000001000000000000000200000000000000f50b68ae042c00000002000000020000009d
    0000000000000000000000000000005200000006000000465452010100000000000000";

pub fn hex(text: &str) -> Bytes {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn property(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The records of both blocks.
pub fn blocks() -> [Vec<Record>; 2] {
    [
        vec![Record::new("a", vec![property("_t", "1")])],
        vec![Record::new("bc", Vec::new()), Record::new("", vec![property("k", "v"), property("x", "")])],
    ]
}

async fn records(world: &World) -> Vec<Record> {
    let storage = world.process(50).await;
    read_from(&storage, MessageId::EARLIEST).await.into_iter().map(|found| found.record).collect()
}

#[tokio::test(start_paused = true)]
async fn blocks_footer_and_merged_blocks_have_the_golden_bytes() {
    let world = World::new(1, |_| {});
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    for block in blocks() {
        writer.append(block).await.unwrap();
    }
    assert_eq!(world.names().await, ["1/0/0.blk", "1/0/1.blk"]);
    writer.close().await.unwrap();
    for (name, golden) in [("0.blk", BLOCK_0), ("1.blk", BLOCK_1), ("footer.blk", FOOTER)] {
        assert_eq!(world.object(&format!("1/0/{name}")).await, Some(hex(golden)), "{name}");
    }
    assert_eq!(world.states().await, [(0, SegmentState::Completed, 2)]);
    // The next owner merges the blocks in the background.
    let _next = open(&storage, 2).await;
    while world.states().await[0].1 != SegmentState::Sealed {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(world.names().await, ["1/0/footer.blk", "1/0/m_0.blk"]);
    assert_eq!(world.object("1/0/m_0.blk").await, Some(hex(MERGED_0)));
    assert_eq!(world.object("1/0/footer.blk").await, Some(hex(MERGED_FOOTER)));
    assert_eq!(records(&world).await, blocks().concat());
}

#[tokio::test]
async fn a_fence_is_one_byte_that_is_marked() {
    let world = World::new(1, |_| {});
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    writer.append(blocks()[0].clone()).await.unwrap();
    let other = world.process(2).await;
    drop(open(&other, 2).await);
    assert_eq!(world.names().await, ["1/0/0.blk", "1/0/1.blk", "1/0/footer.blk"]);
    let fence = world.store.inner.get(&World::path("1/0/1.blk")).await.unwrap();
    let mark = fence.attributes.get(&Attribute::Metadata("Fenced".into())).unwrap();
    assert_eq!(mark.as_ref(), "true");
    assert_eq!(fence.bytes().await.unwrap(), &b"F"[..]);
}

#[tokio::test]
async fn objects_of_version_5_are_read() {
    let world = World::new(1, |config| config.compact_bytes_max = 0);
    world.foreign_log(1).await;
    for (name, golden) in [("0.blk", BLOCK_0_V5), ("1.blk", BLOCK_1), ("footer.blk", FOOTER_V5)] {
        world.put(&format!("1/0/{name}"), hex(golden)).await;
    }
    let storage = world.process(1).await;
    drop(open(&storage, 1).await);
    assert_eq!(world.states().await, [(0, SegmentState::Completed, 2), (1, SegmentState::Active, -1)]);
    assert_eq!(records(&world).await, blocks().concat());
    assert_eq!(world.object("1/0/footer.blk").await, Some(hex(FOOTER_V5)), "it is left as it is");
}

#[tokio::test]
async fn entries_that_were_not_confirmed_are_not_read() {
    let world = World::new(1, |config| config.compact_bytes_max = 0);
    world.foreign_log(1).await;
    for (name, golden) in [("0.blk", BLOCK_0), ("1.blk", BLOCK_1), ("footer.blk", FOOTER_SHORT)] {
        world.put(&format!("1/0/{name}"), hex(golden)).await;
    }
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    writer.append(vec![Record::new("next", Vec::new())]).await.unwrap();
    let [first, second] = blocks();
    assert_eq!(
        records(&world).await,
        [&first[0], &second[0], &Record::new("next", Vec::new())].map(Clone::clone)
    );
    assert_eq!(world.states().await[0], (0, SegmentState::Completed, 1));
}

#[tokio::test]
async fn an_empty_segment_has_the_golden_footer() {
    let world = World::new(1, |_| {});
    let storage = world.process(1).await;
    for term in 0..3 {
        drop(storage.open_writer(&channel(), options(term)).await.unwrap());
    }
    for segment in [0, 1] {
        assert_eq!(world.object(&format!("1/{segment}/footer.blk")).await, Some(hex(FOOTER_EMPTY)));
    }
    assert_eq!(records(&world).await, []);
}
