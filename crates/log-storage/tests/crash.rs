//! The power goes at every write, sync, change of a directory and metadata commit of a workload, and again
//! in the recovery. What was acked is there, what was not is there in order or not at all, and the log goes
//! on.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::time::Duration;

use cinclus_env::Disk;
use cinclus_env::Random;
use cinclus_env::disk::{Fault, FaultError, FaultOperation, Keep, read_file};
use cinclus_log_storage::conformance::{channel, drain};
use cinclus_log_storage::woodpecker::local::inspect::{Shape, verify_segment};
use cinclus_log_storage::{AppendAck, DynLogStorage, LogError, LogWriter, OpenOptions, Record, StoredRecord};
use cinclus_types::{MessageId, Term};
use support::Machine;

/// What the appender knows of the log.
#[derive(Default)]
struct Known {
    /// Records that are in the log, with their ids.
    certain: Vec<StoredRecord>,
    /// Records that were sent and not acked since, in order.
    maybe: Vec<Record>,
    /// The term of the newest open.
    term: i64,
    sent: u64,
}

impl Known {
    fn options(&mut self) -> OpenOptions {
        self.term += 1;
        let acknowledged = self.certain.last().map_or(MessageId::EARLIEST, |last| last.id.next());
        OpenOptions { term: Term(self.term), acknowledged }
    }

    fn batch(&mut self, random: &Random) -> Vec<Record> {
        let count = if random.chance(0.1) { 0 } else { random.range(1..4) };
        (0..count)
            .map(|_| {
                self.sent += 1;
                let long = "x".repeat(random.range(0..60) as usize);
                Record::new(format!("{} {long}", self.sent), vec![("n".to_owned(), self.sent.to_string())])
            })
            .collect()
    }

    fn acked(&mut self, ids: &[MessageId]) {
        for (id, record) in ids.iter().zip(self.maybe.drain(..ids.len())) {
            self.certain.push(StoredRecord { id: *id, record });
        }
    }

    /// Compares with what is read from `earliest` on; that is what is certain then.
    fn check(&mut self, earliest: MessageId, found: Vec<StoredRecord>, when: &str) {
        self.certain.retain(|record| record.id >= earliest);
        let common = self.certain.len().min(found.len());
        assert_eq!(found[..common], self.certain[..common], "{when}");
        assert_eq!(common, self.certain.len(), "{when}: acked records are missing");
        for (extra, sent) in found[common..].iter().zip(&self.maybe) {
            assert_eq!(&extra.record, sent, "{when}: an unacked record has a gap before it");
        }
        let extra = found.len() - common;
        assert!(extra <= self.maybe.len(), "{when}: records that nobody sent");
        assert!(found.is_sorted_by(|one, other| one.id < other.id), "{when}");
        self.certain = found;
        self.maybe.clear();
    }
}

async fn read_all(storage: &DynLogStorage) -> Result<(MessageId, Vec<StoredRecord>), LogError> {
    let earliest = storage.earliest(&channel()).await?;
    let mut reader = storage.read(&channel(), earliest).await?;
    Ok((earliest, drain(&mut *reader).await))
}

async fn settle(known: &mut Known, waiting: &mut Vec<AppendAck>) -> Result<(), LogError> {
    for ack in waiting.drain(..) {
        let ids = ack.await?;
        known.acked(&ids);
    }
    Ok(())
}

/// Appends, waits for some, truncates, opens again; until the end or the first error.
async fn work(machine: &Machine, known: &mut Known, seed: u64) -> Result<(), LogError> {
    let random = Random::seeded(seed);
    let storage = machine.start().await?;
    let mut waiting = Vec::new();
    for round in 0..3 {
        let mut writer: Box<dyn LogWriter> = storage.open_writer(&channel(), known.options()).await?;
        let (earliest, found) = read_all(&storage).await?;
        known.check(earliest, found, &format!("round {round}"));
        for _ in 0..12 {
            let batch = known.batch(&random);
            known.maybe.extend(batch.iter().cloned());
            waiting.push(writer.append(batch));
            if random.chance(0.3) {
                settle(known, &mut waiting).await?;
            }
        }
        let settled = settle(known, &mut waiting).await;
        waiting.clear();
        settled?;
        if round == 1 {
            let point = known.certain[known.certain.len() * 2 / 3].id;
            storage.truncate(&channel(), point).await?;
            writer.close().await?;
        }
    }
    Ok(())
}

const SEGMENT_BYTES: u64 = 700;

fn machine(seed: u64) -> Machine {
    let machine = Machine::new(seed, SEGMENT_BYTES);
    machine.disk.set_sync_delay(Duration::from_millis(1));
    machine
}

/// The directory of the log has its name for tools, and no segments of which the metadata has forgotten.
async fn check_directory(machine: &Machine, when: &str) {
    let dir = machine.segment_file(0).parent().and_then(Path::parent).unwrap().to_owned();
    let name = read_file(&machine.disk, &dir.join("CHANNEL")).await.unwrap();
    assert_eq!(name, channel().name().as_bytes(), "{when}");
    let entry = machine.metadata().load(&channel()).await.unwrap().unwrap();
    let first = *entry.segments.keys().next().unwrap();
    for found in machine.disk.list(&dir).await.unwrap() {
        let forgotten = found.name.parse::<u64>().is_ok_and(|segment| segment < first);
        assert!(!forgotten, "{when}: segment {} stays for ever", found.name);
    }
}

/// Opens after a crash and checks everything; then the log goes on.
async fn check_after(machine: &Machine, known: &mut Known, when: &str) -> Result<(), LogError> {
    let storage = machine.start().await?;
    match read_all(&storage).await {
        Ok((earliest, found)) => {
            let mut before =
                Known { certain: known.certain.clone(), maybe: known.maybe.clone(), ..Known::default() };
            before.check(earliest, found, &format!("{when}, read before the open"));
        }
        Err(LogError::NotFound(_)) => assert!(known.certain.is_empty(), "{when}"),
        Err(error) => return Err(error),
    }
    let mut writer = storage.open_writer(&channel(), known.options()).await?;
    let (earliest, found) = read_all(&storage).await?;
    known.check(earliest, found, when);
    check_directory(machine, when).await;
    let batch = known.batch(&Random::seeded(1));
    known.maybe.extend(batch.iter().cloned());
    let ids = writer.append(batch).await?;
    known.acked(&ids);
    let (earliest, found) = read_all(&storage).await?;
    known.check(earliest, found, &format!("{when}, after one more"));
    Ok(())
}

async fn operations_of(seed: u64) -> u64 {
    let machine = machine(seed);
    work(&machine, &mut Known::default(), seed).await.unwrap();
    machine.disk.operations()
}

async fn crash_everywhere(seed: u64, keep: Keep) {
    let operations = operations_of(seed).await;
    assert!(operations > 100, "{operations} operations are no workload");
    for n in 1..=operations {
        let mut machine = machine(seed);
        let mut known = Known::default();
        machine.disk.crash_at(n);
        let ended = work(&machine, &mut known, seed).await;
        assert!(
            ended.is_err() || !machine.disk.is_powered() || n + 12 > operations,
            "operation {n} is not reached"
        );
        machine.crash(keep).await;
        let when = format!("seed {seed}, {keep:?}, operation {n}");
        if let Err(error) = check_after(&machine, &mut known, &when).await {
            panic!("{when}: {error}\n{}", machine.disk.trace().join("\n"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_acked_is_lost_when_only_synced_bytes_survive() {
    crash_everywhere(1, Keep::Nothing).await;
}

#[tokio::test(start_paused = true)]
async fn unacked_records_stay_in_order_when_everything_survives() {
    crash_everywhere(2, Keep::Everything).await;
}

#[tokio::test(start_paused = true)]
async fn torn_writes_are_cut_and_nothing_else() {
    for seed in 3..8 {
        crash_everywhere(seed, Keep::Random).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_in_the_recovery_changes_nothing() {
    for seed in 10..13 {
        let operations = operations_of(seed).await;
        for n in (5..operations).step_by(7) {
            for later in 1..30 {
                let mut machine = machine(seed);
                let mut known = Known::default();
                machine.disk.crash_at(n);
                let _ = work(&machine, &mut known, seed).await;
                machine.crash(Keep::Random).await;
                machine.disk.crash_at(machine.disk.operations() + later);
                let when = format!("seed {seed}, operations {n} and then {later}");
                let _ = check_after(&machine, &mut known, &when).await;
                machine.crash(Keep::Random).await;
                if let Err(error) = check_after(&machine, &mut known, &when).await {
                    panic!("{when}: {error}\n{}", machine.disk.trace().join("\n"));
                }
            }
        }
    }
}

/// As kill -9: the next process finds what never became durable. It may go on with it only after it made it
/// so, since the power can still go.
#[tokio::test(start_paused = true)]
async fn what_a_killed_process_left_is_durable_before_it_is_read_or_built_on() {
    for seed in 30..33 {
        for n in 1..=operations_of(seed).await {
            for reads_only in [true, false] {
                let mut machine = machine(seed);
                let mut known = Known::default();
                machine.disk.crash_at(n);
                let _ = work(&machine, &mut known, seed).await;
                machine.kill().await;
                let when = format!("seed {seed}, killed at operation {n}, reads only: {reads_only}");
                let checked = async {
                    if reads_only {
                        let read = read_all(&machine.start().await?).await;
                        if let Ok((earliest, found)) = read {
                            known.check(earliest, found, &when);
                        }
                    } else {
                        check_after(&machine, &mut known, &when).await?;
                    }
                    machine.crash(Keep::Nothing).await;
                    check_after(&machine, &mut known, &format!("{when}, power cut")).await
                };
                if let Err(error) = checked.await {
                    panic!("{when}: {error}\n{}", machine.disk.trace().join("\n"));
                }
            }
        }
    }
}

/// A footer says how much there is: when the end of a log was lost later, somebody notices.
#[tokio::test(start_paused = true)]
async fn a_closed_log_has_its_footer_after_a_power_cut() {
    let mut machine = machine(40);
    let storage = machine.start().await.unwrap();
    let mut writer = storage.open_writer(&channel(), Known::default().options()).await.unwrap();
    writer.append(vec![Record::new("the only one", Vec::new())]).await.unwrap();
    writer.close().await.unwrap();
    drop(storage);
    machine.crash(Keep::Nothing).await;
    let file = machine.segment_file(0);
    let shape = verify_segment(&machine.dyn_disk(), &file, 0).await.unwrap().shape;
    assert_eq!(shape, Shape::Finished);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_trace() {
    async fn trace(seed: u64) -> Vec<String> {
        let mut machine = machine(seed);
        machine.disk.crash_at(70);
        let mut known = Known::default();
        let _ = work(&machine, &mut known, seed).await;
        machine.crash(Keep::Random).await;
        check_after(&machine, &mut known, "once").await.unwrap();
        machine.disk.trace()
    }
    assert_eq!(trace(21).await, trace(21).await);
    assert_ne!(trace(21).await, trace(22).await);
}

/// One sync fails, at each place in turn; then the process goes on, or restarts without a power cut, and
/// the power goes afterwards.
#[tokio::test(start_paused = true)]
async fn after_a_failed_sync_the_page_cache_is_not_believed() {
    for after in 0..40 {
        for restart in [false, true] {
            let mut machine = machine(after.into());
            let mut known = Known::default();
            machine.disk.inject(Fault {
                operation: FaultOperation::Sync,
                path_contains: "data.log".to_owned(),
                error: FaultError::Io,
                after,
                times: 1,
            });
            let failed = work(&machine, &mut known, 5).await;
            machine.disk.clear_faults();
            let when = format!("sync {after} fails, restart {restart}");
            if restart && failed.is_err() {
                // The process ends; the kernel keeps what it shows.
                let clock = machine.env.clock.clone();
                machine.env.tasks.join(&*clock, Duration::from_secs(60)).await.unwrap();
                machine.env.tasks = cinclus_env::Env::test(1).tasks;
                check_after(&machine, &mut known, &when).await.unwrap();
            }
            machine.crash(Keep::Nothing).await;
            check_after(&machine, &mut known, &when).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_was_not_synced_is_made_again() {
    let seed = 3;
    for (n, after) in (1..=operations_of(seed).await).flat_map(|n| (0..3).map(move |after| (n, after))) {
        let mut machine = machine(seed);
        let mut known = Known::default();
        machine.disk.crash_at(n);
        let _ = work(&machine, &mut known, seed).await;
        machine.crash(Keep::Random).await;
        // An open cuts the torn tail, and the sync of that fails; the next open sees a file in order.
        let (operation, path_contains) = (FaultOperation::Sync, "data.log".to_owned());
        machine.disk.inject(Fault { operation, path_contains, error: FaultError::Io, after, times: 1 });
        let when = format!("operation {n}, sync {after} fails");
        let mut opened = check_after(&machine, &mut known, &when).await;
        machine.disk.clear_faults();
        if opened.is_err() {
            opened = check_after(&machine, &mut known, &when).await;
        }
        opened.unwrap();
        machine.crash(Keep::Nothing).await;
        check_after(&machine, &mut known, &when).await.unwrap();
        // What was finished is read from its footer.
        machine.kill().await;
        check_after(&machine, &mut known, &when).await.unwrap();
    }
}
