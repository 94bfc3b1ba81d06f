//! Segments end by bytes and by age, the next one is ready, and readers follow a writer on real files.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cinclus_env::disk::{Fault, FaultError, FaultOperation, OsDisk};
use cinclus_env::{Disk, Env, PanicPolicy, TaskGroup};
use cinclus_log_storage::conformance::{batch, channel, open};
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_log_storage::{DynLogStorage, LogError, Record, StoredRecord};
use cinclus_meta::MemoryMetaStore;
use cinclus_types::MessageId;
use support::{Machine, ROOT};

async fn segments(machine: &Machine) -> usize {
    let log = Path::new(ROOT).join("1");
    machine.disk.list(&log).await.unwrap().iter().filter(|entry| entry.is_dir).count()
}

#[tokio::test(start_paused = true)]
async fn a_segment_ends_with_the_first_block_after_its_age() {
    let machine = Machine::new(1, 1 << 20);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(segments(&machine).await, 1, "an idle log makes nothing");
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.extend(writer.append(batch(number)).await.unwrap());
        tokio::time::sleep(Duration::from_secs(200)).await;
    }
    // Begun at 0 s: the block at 600 s is old enough to be the last.
    let places: Vec<_> = ids.iter().map(|id| (id.segment(), id.entry())).collect();
    assert_eq!(places, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]);
    assert_eq!(segments(&machine).await, 3, "the next one is ready");
    let metrics = machine.env.telemetry.render();
    assert!(metrics.contains("cinclus_log_blocks_total{channel=\"conformance_0\"} 6"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn truncation_removes_files_and_metadata_of_whole_segments() {
    let machine = Machine::new(2, 150);
    let storage = machine.start().await.unwrap();
    let mut writer = open(&storage, 1).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.extend(writer.append(batch(number)).await.unwrap());
    }
    let point = ids[7];
    assert!(point.segment() >= 2);
    storage.truncate(&channel(), point).await.unwrap();
    let entry = machine.metadata().load(&channel()).await.unwrap().unwrap();
    assert_eq!(entry.segments.keys().next(), Some(&point.segment()));
    assert_eq!(entry.meta.truncated(), (point.segment() as i64, point.entry() as i64 - 1));
    for segment in 0..point.segment() + 1 {
        let there = machine.disk.exists(&machine.segment_file(segment)).await.unwrap();
        assert_eq!(there, segment == point.segment(), "segment {segment}");
    }
}

/// A commit of the metadata fails before or after its effect: the writer makes it again, and nobody thinks that another
/// owner has taken the log.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_the_metadata_does_not_end_a_writer() {
    for after in 0..12 {
        let machine = Machine::new(3, 150);
        let storage = machine.start().await.unwrap();
        let mut writer = open(&storage, 1).await;
        let path_contains = "/metadata".to_owned();
        let (operation, error) = (FaultOperation::SyncDir, FaultError::Io);
        machine.disk.inject(Fault { operation, path_contains, error, after, times: 1 });
        let mut ids = Vec::new();
        for number in 0..12 {
            let acked = writer.append(batch(number)).await;
            ids.extend(acked.unwrap_or_else(|error| panic!("append {number}, fault {after}: {error}")));
            // The keeper has time to make the next segment, and to complete the one before.
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert!(ids[11].segment() >= 3, "{ids:?}");
    }
}

struct Files {
    storage: DynLogStorage,
    tasks: TaskGroup,
    _dir: tempfile::TempDir,
}

async fn on_files(segment_bytes: u64) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let mut env = Env::os();
    env.disk = Arc::new(OsDisk::new());
    env.tasks = TaskGroup::new(PanicPolicy::Propagate);
    let meta = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
    let mut config = LocalConfig::new(dir.path().join("wp"));
    config.roll = RollPolicy { bytes_max: segment_bytes, age_max: Duration::from_secs(600) };
    let tasks = env.tasks.clone();
    let storage = WoodpeckerLocal::open(config, env, Arc::new(meta)).await.unwrap();
    Files { storage: Arc::new(storage), tasks, _dir: dir }
}

/// Follows the log from its start until `done` and the end; checks order and content.
async fn follow(storage: DynLogStorage, done: Arc<AtomicBool>) -> Vec<StoredRecord> {
    let mut reader = storage.read(&channel(), MessageId::EARLIEST).await.unwrap();
    let mut all: Vec<StoredRecord> = Vec::new();
    loop {
        let was_done = done.load(Ordering::SeqCst);
        let batch = reader.next_batch().await.unwrap();
        if batch.is_empty() && was_done {
            return all;
        }
        for record in batch {
            assert!(all.last().is_none_or(|last| last.id < record.id));
            all.push(record);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_follow_writers_that_fence_each_other() {
    let files = on_files(40_000).await;
    drop(open(&files.storage, 1).await);
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..3).map(|_| files.tasks.spawn("reader", follow(files.storage.clone(), done.clone()))).collect();
    // Each writer appends until it is fenced by the next, which is opened while it is at it.
    let mut writers = Vec::new();
    for term in 0..8 {
        let storage = files.storage.clone();
        let (first_ack, first_acked) = tokio::sync::oneshot::channel();
        writers.push(files.tasks.spawn("writer", async move {
            let mut writer = open(&storage, term + 2).await;
            let (mut first_ack, mut waiting, mut acked) = (Some(first_ack), Vec::new(), Vec::new());
            for number in 0..1_000 {
                let record = Record::new(format!("{term} {number}"), Vec::new());
                waiting.push((record.clone(), writer.append(vec![record])));
                if number % 16 == 15 {
                    for (record, ack) in waiting.drain(..) {
                        match ack.await {
                            Ok(ids) => acked.push(StoredRecord { id: ids[0], record }),
                            Err(error) => assert_eq!(error, LogError::Fenced),
                        }
                    }
                    let _ = first_ack.take().map(|send| send.send(()));
                }
            }
            acked
        }));
        first_acked.await.unwrap();
    }
    let mut acked = Vec::new();
    for writer in writers {
        acked.extend(writer.join().await.unwrap());
    }
    // The last writer left appends that nobody waits for: after this open they are there or never will be.
    let _last = open(&files.storage, 100).await;
    done.store(true, Ordering::SeqCst);
    acked.sort_by_key(|record| record.id);
    assert!(acked.len() > 1_000);
    let mut seen = Vec::new();
    for reader in readers {
        seen.push(reader.join().await.unwrap());
    }
    for other in &seen[1..] {
        let ids = |records: &[StoredRecord]| records.iter().map(|record| record.id).collect::<Vec<_>>();
        let (one, other) = (ids(&seen[0]), ids(other));
        let differ = one.iter().zip(&other).position(|(one, other)| one != other);
        let around = differ.map(|at| (&one[at.saturating_sub(1)..=at], &other[at.saturating_sub(1)..=at]));
        assert_eq!((one.len(), around), (other.len(), None), "readers differ");
    }
    let found: std::collections::BTreeMap<MessageId, &Record> =
        seen[0].iter().map(|found| (found.id, &found.record)).collect();
    assert!(acked.iter().all(|record| found.get(&record.id) == Some(&&record.record)), "acked and missing");
    // Of each writer a first part is there, and nothing of it after the next one's first record.
    let terms: Vec<&str> =
        seen[0].iter().map(|found| std::str::from_utf8(&found.record.payload).unwrap()).collect();
    let mut expected = (0, 0);
    for text in terms {
        let (term, number) = text.split_once(' ').unwrap();
        let at = (term.parse::<u64>().unwrap(), number.parse::<u64>().unwrap());
        assert!(at == expected || at == (expected.0 + 1, 0), "{at:?} where {expected:?} follows");
        expected = (at.0, at.1 + 1);
    }
    files.tasks.check();
}
