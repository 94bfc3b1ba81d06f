//! What is a torn tail, what is damage, and what a repair gives up.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::time::Duration;

use cinclus_env::disk::{Fault, FaultError, FaultOperation, read_file};
use cinclus_log_storage::conformance::{batch, channel, open, read_from, texts};
use cinclus_log_storage::woodpecker::local::inspect::{Shape, verify_segment};
use cinclus_log_storage::woodpecker::local::repair::{self, Lost, Repair};
use cinclus_log_storage::{DynLogStorage, LogError, LogWriter, OpenOptions};
use cinclus_types::{Advice, MessageId, PChannel, Term};
use support::{Machine, ROOT};

/// Bytes of a block with one record of one digit: header 37, envelope 9, entry 12.
const BLOCK: u64 = 37 + 9 + 12;
const HEADER: u64 = 25;

fn id(segment: u64, entry: u64) -> MessageId {
    MessageId::from_parts(0, segment, entry)
}

/// A log with blocks of one record each, "0" to "9" in two finished segments and an unfinished one.
async fn log_of_ten(seed: u64) -> Machine {
    let machine = Machine::new(seed, HEADER + 4 * BLOCK);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    for number in 0..10 {
        writer.append(batch(number)).await.unwrap();
    }
    stop(&machine).await;
    drop((writer, storage));
    machine
}

/// Ends the process without closing anything.
async fn stop(machine: &Machine) {
    let clock = machine.env.clock.clone();
    machine.env.tasks.join(&*clock, Duration::from_secs(60)).await.unwrap();
}

async fn restart(machine: &mut Machine) -> DynLogStorage {
    machine.crash(cinclus_env::disk::Keep::Everything).await;
    machine.start().await.unwrap()
}

async fn try_open(storage: &DynLogStorage, acknowledged: MessageId) -> Result<Box<dyn LogWriter>, LogError> {
    storage.open_writer(&channel(), OpenOptions { term: Term(2), acknowledged }).await
}

fn block_offset(block: u64) -> u64 {
    HEADER + block * BLOCK
}

#[tokio::test(start_paused = true)]
async fn a_bad_last_block_is_a_torn_tail_unless_somebody_knows_of_it() {
    for at in [0, 4, 20, 36, 40, BLOCK - 1] {
        let mut machine = log_of_ten(1).await;
        machine.disk.corrupt(&machine.segment_file(2), block_offset(1) + at, b"\xee");
        let before = read_file(&machine.disk, &machine.segment_file(2)).await.unwrap();
        let storage = restart(&mut machine).await;

        // Somebody was told that record 2/1 is durable: nothing is cut, and everybody hears of it.
        let error = try_open(&storage, id(2, 2)).await.err().unwrap();
        let LogError::Corrupt { file, segment: 2, block: 1, reason } = &error else { panic!("{error}") };
        assert_eq!(*file, machine.segment_file(2));
        assert!(reason.contains("records up to 0/2/2 were durable"), "{reason}");
        assert_eq!(error.advice(), Advice::Reject);
        assert_eq!(storage.read(&channel(), MessageId::EARLIEST).await.err(), Some(error));
        assert_eq!(read_file(&machine.disk, &machine.segment_file(2)).await.unwrap(), before);

        // Nobody was: it is cut, and the log goes on in a new segment.
        let mut writer = try_open(&storage, id(2, 1)).await.unwrap();
        assert_eq!(
            texts(&read_from(&storage, MessageId::EARLIEST).await),
            (0..9).map(|n| n.to_string()).collect::<Vec<_>>()
        );
        assert_eq!(writer.append(batch("next")).await.unwrap(), [id(3, 0)]);
    }
}

/// Nothing behind the last block vouches for it, and nobody may remember that it was acknowledged.
#[tokio::test(start_paused = true)]
async fn a_last_block_of_which_one_bit_is_wrong_is_damage() {
    for at in 0..BLOCK {
        let bit = (at % 8) as u8;
        let mut machine = log_of_ten(1).await;
        assert!(machine.disk.flip(&machine.segment_file(2), block_offset(1) + at, bit));
        let storage = restart(&mut machine).await;
        let error = try_open(&storage, id(2, 1)).await.err().unwrap();
        let LogError::Corrupt { segment: 2, block: 1, reason, .. } = &error else { panic!("{at}: {error}") };
        assert!(reason.contains("whole but for one bit"), "{at}: {reason}");

        // Healed, it is there.
        assert!(machine.disk.flip(&machine.segment_file(2), block_offset(1) + at, bit));
        drop(storage);
        let storage = restart(&mut machine).await;
        drop(try_open(&storage, id(2, 1)).await.unwrap());
        assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await).len(), 10, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_block_before_a_whole_one_is_damage() {
    for at in [0, 4, 20, 36, 40, BLOCK - 1] {
        let mut machine = log_of_ten(2).await;
        machine.disk.corrupt(&machine.segment_file(2), block_offset(0) + at, b"\xee");
        let storage = restart(&mut machine).await;
        let error = try_open(&storage, MessageId::EARLIEST).await.err().unwrap();
        let LogError::Corrupt { segment: 2, block: 0, reason, .. } = &error else { panic!("{error}") };
        assert!(
            reason.contains(&format!("a whole block stands behind it at byte {}", block_offset(1))),
            "{reason}"
        );
        let shape = verify_segment(&machine.dyn_disk(), &machine.segment_file(2), 2).await.unwrap().shape;
        assert!(matches!(shape, Shape::Damaged { block: 0, .. }), "{shape:?}");

        // The others serve.
        let other = PChannel::new("other");
        let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
        let mut writer = storage.open_writer(&other, options).await.unwrap();
        writer.append(batch("fine")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn damage_in_a_finished_segment_is_told_by_file_segment_and_block() {
    let mut machine = log_of_ten(3).await;
    machine.disk.corrupt(&machine.segment_file(0), block_offset(2) + 50, b"\xee");
    let storage = restart(&mut machine).await;
    let _writer = try_open(&storage, id(2, 2)).await.unwrap();
    let mut reader = storage.read(&channel(), MessageId::EARLIEST).await.unwrap();
    assert_eq!(
        texts(&[reader.next().await.unwrap().unwrap(), reader.next().await.unwrap().unwrap()]),
        ["0", "1"]
    );
    let error = reader.next().await.unwrap_err();
    assert!(matches!(&error, LogError::Corrupt { segment: 0, block: 2, .. }), "{error}");
    assert!(error.to_string().contains("/data/wp/1/0/data.log: segment 0, block 2"), "{error}");
    assert_eq!(texts(&read_from(&storage, id(1, 0)).await).len(), 6, "what is behind can be read");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_ends_too_early_is_damage() {
    let mut machine = log_of_ten(4).await;
    let storage = restart(&mut machine).await;
    for known in [id(2, 3), id(4, 1)] {
        let error = try_open(&storage, known).await.err().unwrap();
        assert!(matches!(error, LogError::Corrupt { .. }), "{error}");
    }
    try_open(&storage, id(2, 2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_repair_wants_the_block_named_and_says_what_is_lost() {
    let mut machine = log_of_ten(5).await;
    machine.disk.corrupt(&machine.segment_file(1), block_offset(2) + 50, b"\xee");
    machine.crash(cinclus_env::disk::Keep::Everything).await;
    let metadata = machine.metadata();
    let disk = machine.dyn_disk();
    let repair = |segment, block| Repair {
        disk: &disk,
        root: Path::new(ROOT),
        metadata: &metadata,
        channel: Box::leak(Box::new(channel())),
        segment,
        block,
    };
    let wrong = repair::drop_after(&repair(1, 1)).await.unwrap_err();
    assert_eq!(wrong, LogError::Invalid("the first bad block of segment 1 is 2, not 1".to_owned()));
    assert!(repair::plan(&repair(0, 0)).await.is_err(), "segment 0 is whole");

    let lost = |segment, from: u64, last, bytes| Lost {
        segment,
        file: machine.segment_file(segment),
        from_block: from,
        from_entry: from,
        last_entry: last,
        bytes,
    };
    let footer = 4 * 41 + 53;
    let expected = [lost(1, 2, Some(3), 2 * BLOCK + footer), lost(2, 0, None, HEADER + 2 * BLOCK)];
    assert_eq!(repair::plan(&repair(1, 2)).await.unwrap(), expected);
    {
        let _open = machine.start().await.unwrap();
        let refused = repair::drop_after(&repair(1, 2)).await.unwrap_err();
        assert!(matches!(refused, LogError::InUse { .. }), "{refused}");
    }
    assert_eq!(repair::drop_after(&repair(1, 2)).await.unwrap(), expected);

    // The checkpoint may lie in what was given up.
    let storage = machine.start().await.unwrap();
    let mut writer = try_open(&storage, id(2, 2)).await.unwrap();
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(writer.append(batch("next")).await.unwrap(), [id(3, 0)], "no id is given twice");
    for segment in 0..3 {
        let report = verify_segment(&disk, &machine.segment_file(segment), segment).await.unwrap();
        assert_eq!(report.shape, Shape::Finished);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_sync_only_a_new_open_goes_on() {
    let machine = Machine::new(6, 1 << 20);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    writer.append(batch("kept")).await.unwrap();
    machine.disk.inject(Fault {
        operation: FaultOperation::Sync,
        path_contains: "data.log".to_owned(),
        error: FaultError::Io,
        after: 0,
        times: 1,
    });
    let failed = writer.append(batch("lost")).await.unwrap_err();
    assert!(matches!(failed, LogError::Unavailable(_)) && failed.advice() == Advice::Unknown, "{failed}");
    assert_eq!(writer.append(batch("later")).await.unwrap_err(), failed);
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await), ["kept"], "reads go on");
    let mut writer = open(&storage, 1).await;
    assert_eq!(writer.append(batch("next")).await.unwrap(), [id(1, 0)]);
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await), ["kept", "next"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_and_an_open_after_it_goes_on() {
    let machine = Machine::new(7, 1 << 20);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    writer.append(batch("kept")).await.unwrap();
    machine.disk.set_capacity_bytes(300);
    let full = writer.append(batch("x".repeat(1000))).await.unwrap_err();
    assert_eq!(full, LogError::OutOfSpace { file: machine.segment_file(0) });
    assert!(storage.available_bytes().await.unwrap().unwrap() < 300);
    machine.disk.set_capacity_bytes(1 << 20);
    let mut writer = open(&storage, 1).await;
    writer.append(batch("x".repeat(1000))).await.unwrap();
    assert_eq!(read_from(&storage, MessageId::EARLIEST).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn appends_wait_for_a_segment_that_is_late_and_hear_of_one_that_cannot_be_made() {
    let machine = Machine::new(8, HEADER + BLOCK);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    let acks: Vec<_> = (0..20).map(|number| writer.append(batch(number))).collect();
    let mut ids = Vec::new();
    for ack in acks {
        ids.extend(ack.await.unwrap());
    }
    assert!(ids.len() == 20 && ids.is_sorted() && ids[19].segment() > 0, "{ids:?}");
    machine.disk.inject(Fault {
        operation: FaultOperation::Create,
        path_contains: "data.log".to_owned(),
        error: FaultError::OutOfSpace,
        after: 0,
        times: u32::MAX,
    });
    let mut last = Ok(Vec::new());
    for number in 0..5 {
        last = writer.append(batch(number)).await;
    }
    assert!(matches!(last, Err(LogError::OutOfSpace { .. })), "{last:?}");
    machine.disk.clear_faults();
    let mut writer = open(&storage, 1).await;
    writer.append(batch("again")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn appends_that_come_during_a_sync_share_the_next_block() {
    let machine = Machine::new(9, 1 << 20);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    machine.disk.set_sync_delay(Duration::from_millis(5));
    let acks: Vec<_> = (0..50).map(|number| writer.append(batch(number))).collect();
    for ack in acks {
        ack.await.unwrap();
    }
    let report = verify_segment(&machine.dyn_disk(), &machine.segment_file(0), 0).await.unwrap();
    assert_eq!((report.blocks, report.entries), (2, 50), "the first goes out alone, the rest together");
}
