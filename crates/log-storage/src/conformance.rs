//! One function for each rule of [`LogStorage`](crate::LogStorage). A backend runs all of them with one
//! line: [`log_storage_conformance!`](crate::log_storage_conformance).
//!
//! The functions panic with what went wrong: they are tests.

pub mod race;

use async_trait::async_trait;
use cinclus_types::{MessageId, PChannel, Term};
use futures::FutureExt;

use crate::ack::AppendAck;
use crate::error::LogError;
use crate::record::{Record, StoredRecord};
use crate::storage::{DynLogStorage, LogReader, LogWriter, OpenOptions};

/// A backend to be tested. Each test makes a new one.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The storage; the same one at every call.
    async fn storage(&self) -> DynLogStorage;

    /// The storage after its process was killed and everything that was not durable is gone; `None` if it
    /// has no life of its own.
    async fn restarted(&self) -> Option<DynLogStorage> {
        None
    }
}

/// Makes a test of each rule for a backend. The argument is an expression that makes one, and is awaited.
#[macro_export]
macro_rules! log_storage_conformance {
    ($make:expr) => {
        $crate::log_storage_conformance! { @tests $make;
            l1_an_acked_record_is_durable
            l2_acks_come_in_call_order_and_ids_increase
            l3_an_older_writer_gets_no_ack_and_nothing_it_sent_appears_later
            l3_an_older_term_is_refused
            l4_what_is_there_is_a_prefix_of_what_was_sent
            l5_a_reader_sees_every_record_once_from_any_id_on
            l5_a_reader_at_the_end_goes_on_when_there_is_more
            l6_truncation_only_moves_forward
            l7_a_dead_writer_stays_dead
            records_of_every_shape_read_back
            logs_are_apart_and_listed
        }
    };
    (@tests $make:expr; $($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            let backend = $make.await;
            $crate::conformance::$name(&backend).await;
        }
    )*};
}

/// The log of the tests.
#[must_use]
pub fn channel() -> PChannel {
    PChannel::numbered("conformance", 0)
}

/// Opens a writer of the tests' log.
pub async fn open(storage: &DynLogStorage, term: i64) -> Box<dyn LogWriter> {
    let options = OpenOptions { term: Term(term), acknowledged: MessageId::EARLIEST };
    storage.open_writer(&channel(), options).await.expect("the log opens")
}

/// A batch of one record with that text.
#[must_use]
pub fn batch(text: impl std::fmt::Display) -> Vec<Record> {
    vec![Record::new(text.to_string(), vec![("_t".to_owned(), "1".to_owned())])]
}

/// Everything from an id on.
pub async fn read_from(storage: &DynLogStorage, from: MessageId) -> Vec<StoredRecord> {
    drain(&mut *storage.read(&channel(), from).await.expect("the log is read")).await
}

/// Everything up to the durable end.
pub async fn drain(reader: &mut dyn LogReader) -> Vec<StoredRecord> {
    let mut records = Vec::new();
    while let Some(record) = reader.next().await.expect("the log is read") {
        records.push(record);
    }
    records
}

/// The payloads as text.
#[must_use]
pub fn texts(records: &[StoredRecord]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.record.payload).into_owned()).collect()
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

async fn acked(ack: AppendAck) -> MessageId {
    ack.await.expect("the append is acked")[0]
}

/// **L1**: what was acked is read, also after a crash of everything.
pub async fn l1_an_acked_record_is_durable(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut writer = open(&storage, 1).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(acked(writer.append(batch(number))).await);
        let found = read_from(&storage, MessageId::EARLIEST).await;
        assert_eq!(texts(&found), numbers(number + 1));
    }
    drop((writer, storage));
    let Some(storage) = backend.restarted().await else { return };
    let before_open = read_from(&storage, MessageId::EARLIEST).await;
    let _writer = open(&storage, 2).await;
    let after_open = read_from(&storage, MessageId::EARLIEST).await;
    for found in [before_open, after_open] {
        assert_eq!(texts(&found), numbers(10));
        assert_eq!(found.iter().map(|record| record.id).collect::<Vec<_>>(), ids);
    }
}

/// **L2**: when an ack is there, all before it are; ids strictly increase, over writers too.
pub async fn l2_acks_come_in_call_order_and_ids_increase(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut last = None;
    for term in 1..4 {
        let mut writer = open(&storage, term).await;
        let mut waiting: Vec<AppendAck> = (0..200).map(|number| writer.append(batch(number))).collect();
        let mut ids = Vec::new();
        // Every seventh is awaited; then those before it must be there already.
        while !waiting.is_empty() {
            let group: Vec<AppendAck> = waiting.drain(..waiting.len().min(7)).collect();
            let mut group = group.into_iter();
            let newest = group.next_back().expect("a group has an ack");
            let newest = acked(newest).await;
            for earlier in group {
                // Unconstrained: tokio lets a task that has had many answers wait once in a while.
                let earlier = tokio::task::unconstrained(earlier)
                    .now_or_never()
                    .expect("an earlier ack is there when a later one is");
                ids.extend(earlier.expect("the append is acked"));
            }
            ids.push(newest);
        }
        for id in ids {
            assert!(last < Some(id), "{id} after {last:?}");
            last = Some(id);
        }
    }
}

/// **L3**: also an open under the same term fences, and nothing of the older writer comes after it.
pub async fn l3_an_older_writer_gets_no_ack_and_nothing_it_sent_appears_later(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut older = open(&storage, 3).await;
    let first = acked(older.append(batch("first"))).await;
    let waiting: Vec<AppendAck> = (0..50).map(|number| older.append(batch(number))).collect();
    let mut newer = open(&storage, 3).await;
    let at_open = read_from(&storage, MessageId::EARLIEST).await;
    let late = older.append(batch("late")).await;
    assert_eq!(late, Err(LogError::Fenced));
    for (number, ack) in waiting.into_iter().enumerate() {
        // Acks given before the open returned are good; a later one has no ack then.
        if let Some(Ok(ids)) = tokio::task::unconstrained(ack).now_or_never() {
            assert!(at_open.iter().any(|record| record.id == ids[0]), "{number} was acked and is not there");
        }
    }
    let next = acked(newer.append(batch("next"))).await;
    let found = read_from(&storage, MessageId::EARLIEST).await;
    assert_eq!(found.len(), at_open.len() + 1, "only the newer writer's record was added");
    assert_eq!((found[0].id, found.last().map(|record| record.id)), (first, Some(next)));
    assert!(next > at_open.last().expect("the first record is there").id);
    drop(older);
    acked(newer.append(batch("the older writer's end does not matter"))).await;
}

/// **L3**: a term that is over opens nothing and fences nobody.
pub async fn l3_an_older_term_is_refused(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut writer = open(&storage, 5).await;
    let options = OpenOptions { term: Term(4), acknowledged: MessageId::EARLIEST };
    let refused = storage.open_writer(&channel(), options).await.err();
    assert_eq!(refused, Some(LogError::StaleTerm { asked: Term(4), newest: Term(5) }));
    acked(writer.append(batch("still mine"))).await;
}

/// **L4**: of appends without ack a first part may be there, without gaps.
pub async fn l4_what_is_there_is_a_prefix_of_what_was_sent(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut writer = open(&storage, 1).await;
    let acks: Vec<AppendAck> = (0..40).map(|number| writer.append(batch(number))).collect();
    drop((acks, writer));
    let _newer = open(&storage, 2).await;
    let found = texts(&read_from(&storage, MessageId::EARLIEST).await);
    assert_eq!(found, numbers(found.len()));
}

/// **L5**: from every id on, by records and by batches, over writers and segments.
pub async fn l5_a_reader_sees_every_record_once_from_any_id_on(backend: &dyn Backend) {
    let storage = backend.storage().await;
    for term in 0..3 {
        let mut writer = open(&storage, term).await;
        let acks: Vec<AppendAck> = (0..10).map(|n| writer.append(batch(term * 10 + n))).collect();
        for ack in acks {
            acked(ack).await;
        }
    }
    let all = read_from(&storage, MessageId::EARLIEST).await;
    assert_eq!(texts(&all), numbers(30));
    assert!(all.is_sorted_by(|one, other| one.id < other.id));
    for (at, record) in all.iter().enumerate() {
        assert_eq!(read_from(&storage, record.id).await, all[at..]);
        assert_eq!(read_from(&storage, record.id.next()).await, all[at + 1..]);
        let mut reader = storage.read(&channel(), record.id).await.expect("the log is read");
        let mut batches = Vec::new();
        loop {
            let batch = reader.next_batch().await.expect("the log is read");
            if batch.is_empty() {
                break;
            }
            batches.extend(batch);
        }
        assert_eq!(batches, all[at..]);
    }
    assert_eq!(read_from(&storage, MessageId::LATEST).await, []);
}

/// **L5**: `None` is the end of this moment only.
pub async fn l5_a_reader_at_the_end_goes_on_when_there_is_more(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut writer = open(&storage, 1).await;
    let mut reader = storage.read(&channel(), MessageId::EARLIEST).await.expect("the log is read");
    for round in 0..5 {
        assert_eq!(texts(&drain(&mut *reader).await), Vec::<String>::new());
        let ids = writer.append(vec![Record::new("a", Vec::new()), Record::new("b", Vec::new())]).await;
        assert_eq!(
            reader.next().await.expect("the log is read").map(|record| record.id),
            Some(ids.expect("acked")[0])
        );
        assert_eq!(texts(&reader.next_batch().await.expect("the log is read")), ["b"]);
        if round == 2 {
            writer = open(&storage, 2).await;
        }
    }
}

/// **L6**: idempotent, forward only, and readers below it are told where to start.
pub async fn l6_truncation_only_moves_forward(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut ids = Vec::new();
    let mut writer = open(&storage, 0).await;
    for term in 0..4 {
        writer = if term > 0 { open(&storage, term).await } else { writer };
        for number in 0..5 {
            ids.push(acked(writer.append(batch(term * 5 + number))).await);
        }
    }
    let mut slow = storage.read(&channel(), MessageId::EARLIEST).await.expect("the log is read");
    assert_eq!(slow.next().await.expect("the log is read").map(|record| record.id), Some(ids[0]));
    for point in [7, 3, 7, 12] {
        storage.truncate(&channel(), ids[point]).await.expect("the log is truncated");
        let earliest = ids[point.max(7)];
        assert_eq!(storage.earliest(&channel()).await, Ok(earliest));
        let refused = storage.read(&channel(), ids[2]).await.err();
        assert_eq!(refused, Some(LogError::Truncated { earliest }));
        assert_eq!(read_from(&storage, earliest).await.len(), ids.len() - point.max(7));
    }
    loop {
        match slow.next().await {
            Ok(Some(record)) => assert!(record.id < ids[7], "a slow reader has a gap before {}", record.id),
            Ok(None) => panic!("a slow reader ends as if nothing were missing"),
            Err(error) => break assert_eq!(error, LogError::Truncated { earliest: ids[12] }),
        }
    }
    storage.truncate(&channel(), MessageId::LATEST).await.expect("the log is truncated");
    let earliest = storage.earliest(&channel()).await.expect("the log is there");
    assert_eq!(read_from(&storage, earliest).await, []);
    let next = acked(writer.append(batch("next"))).await;
    assert!(next > ids[19] && next >= earliest, "what comes after the end stays");
    assert_eq!(texts(&read_from(&storage, earliest).await), ["next"]);
    drop((writer, slow, storage));
    let Some(storage) = backend.restarted().await else { return };
    assert_eq!(storage.earliest(&channel()).await, Ok(earliest));
    let _writer = open(&storage, 9).await;
    assert_eq!(texts(&read_from(&storage, earliest).await), ["next"]);
}

/// **L7**: only a new open goes on.
pub async fn l7_a_dead_writer_stays_dead(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut older = open(&storage, 1).await;
    let mut newer = open(&storage, 1).await;
    for _ in 0..3 {
        assert_eq!(older.append(batch("x")).await, Err(LogError::Fenced));
        acked(newer.append(batch("y"))).await;
    }
    assert_eq!(older.close().await, Err(LogError::Fenced));
    newer.close().await.expect("a live writer closes");
    let mut again = open(&storage, 1).await;
    acked(again.append(batch("z"))).await;
    assert_eq!(texts(&read_from(&storage, MessageId::EARLIEST).await), ["y", "y", "y", "z"]);
}

/// Empty batches, empty payloads, large records, many records at once.
pub async fn records_of_every_shape_read_back(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let mut writer = open(&storage, 1).await;
    let properties = |count: u32| (0..count).map(|n| (format!("k{n:03}"), "v".repeat(n as usize))).collect();
    let batches = [
        vec![Record::default()],
        vec![Record::new("", properties(3)), Record::new("x", Vec::new())],
        Vec::new(),
        vec![Record::new(vec![7; 3 << 20], properties(1)), Record::new(vec![8; 9000], properties(100))],
        (0..5000_u32).map(|n| Record::new(n.to_le_bytes().to_vec(), properties(n % 3))).collect(),
    ];
    let acks: Vec<AppendAck> = batches.iter().map(|batch| writer.append(batch.clone())).collect();
    let mut expected = Vec::new();
    for (batch, ack) in batches.into_iter().zip(acks) {
        let ids = ack.await.expect("the append is acked");
        assert_eq!(ids.len(), batch.len());
        expected.extend(ids.into_iter().zip(batch).map(|(id, record)| StoredRecord { id, record }));
    }
    assert_eq!(writer.in_flight_bytes(), 0);
    assert!(read_from(&storage, MessageId::EARLIEST).await == expected, "the records differ");
}

/// What is in one log is in no other.
pub async fn logs_are_apart_and_listed(backend: &dyn Backend) {
    let storage = backend.storage().await;
    let names = ["log_10", "log_1", "other"].map(PChannel::new);
    let missing = storage.read(&names[0], MessageId::EARLIEST).await.err();
    assert_eq!(missing, Some(LogError::NotFound(names[0].clone())));
    for name in &names {
        let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
        let mut writer = storage.open_writer(name, options).await.expect("the log opens");
        acked(writer.append(batch(name))).await;
    }
    assert_eq!(storage.channels().await, Ok([1, 0, 2].map(|at: usize| names[at].clone()).to_vec()));
    for name in &names {
        let mut reader = storage.read(name, MessageId::EARLIEST).await.expect("the log is read");
        assert_eq!(texts(&drain(&mut *reader).await), [name.name()]);
    }
}
