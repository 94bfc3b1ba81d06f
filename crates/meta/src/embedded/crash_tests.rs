//! The power goes off at every operation of the disk; syncs fail; the disk is full.
//!
//! redb overwrites its header in place and asks of the medium that each byte of a torn write is the old or the
//! new one. So the random crashes here are [`Keep::RandomOverOld`]: under [`Keep::Random`], whose holes put
//! zeros over durable bytes, a file can be lost.

use std::collections::BTreeMap;
use std::path::Path;

use cinclus_env::disk::{Fault, FaultError, FaultOperation, Keep, MemoryDisk, create_dir_synced};
use cinclus_env::{Disk, Env};

use super::format::FILE_NAME;
use crate::conformance::texts;
use crate::{
    ChangeKind, CommitOutcome, Config, EmbeddedMetaStore, MetaError, MetaStore, OpenError, Revision, Txn,
    WatchError,
};

const DIRECTORY: &str = "/data/meta";
const COMMITS: u64 = 12;

type State = BTreeMap<String, String>;

async fn open(env: &Env) -> Result<EmbeddedMetaStore, OpenError> {
    EmbeddedMetaStore::open(Path::new(DIRECTORY), &Config::default(), env).await
}

async fn new_disk(seed: u64) -> (Env, MemoryDisk) {
    let (env, disk) = Env::test_with_disk(seed);
    create_dir_synced(&disk, Path::new(DIRECTORY)).await.unwrap();
    (env, disk)
}

/// The `n`th commit of the workload, from 1: two keys that must stay equal, a large value now and then, and
/// deletes.
fn txn(n: u64) -> Txn {
    let filler = "x".repeat(if n.is_multiple_of(4) { 20_000 } else { 10 });
    let txn = Txn::new().put("left", n.to_string()).put("right", n.to_string());
    txn.put(format!("only/{n}"), filler).delete(format!("only/{}", n.saturating_sub(3)))
}

fn after(n: u64) -> State {
    let mut state = State::new();
    for n in 1..=n {
        let filler = "x".repeat(if n.is_multiple_of(4) { 20_000 } else { 10 });
        state.insert("left".into(), n.to_string());
        state.insert("right".into(), n.to_string());
        state.insert(format!("only/{n}"), filler);
        state.remove(&format!("only/{}", n.saturating_sub(3)));
    }
    state
}

/// The number of the last commit that the store holds; everything must be as after it.
async fn held(store: &EmbeddedMetaStore) -> u64 {
    let (revision, _) = store.scan("").await.unwrap();
    let state: State = texts(store, "").await.into_iter().collect();
    assert_eq!(state, after(revision.0), "the state is that of revision {revision}");
    revision.0
}

/// Runs the workload one by one until something fails: commits acknowledged, and whether one may be there.
async fn run(env: &Env) -> (u64, bool) {
    let Ok(store) = open(env).await else { return (0, false) };
    for n in 1..=COMMITS {
        match store.commit(txn(n)).await {
            Ok(outcome) => assert_eq!(outcome, CommitOutcome::Committed(Revision(n))),
            Err(MetaError::Unknown(_)) => return (n - 1, true),
            Err(MetaError::Unavailable(_)) => return (n - 1, false),
            Err(other) => panic!("{other:?}"),
        }
    }
    (COMMITS, false)
}

/// As [`run`], with all commits waiting at once.
async fn run_together(env: &Env) -> (u64, bool) {
    let Ok(store) = open(env).await else { return (0, false) };
    let mut waiting = Vec::new();
    for n in 1..=COMMITS {
        let mut commit = Box::pin(futures::future::maybe_done(store.commit(txn(n))));
        let _ = futures::poll!(&mut commit);
        waiting.push(commit);
    }
    let (mut acknowledged, mut unknown) = (0, false);
    for (index, mut commit) in waiting.into_iter().enumerate() {
        commit.as_mut().await;
        match commit.as_mut().take_output().unwrap() {
            Ok(outcome) => {
                assert_eq!(acknowledged, index as u64, "answers come in order");
                acknowledged += 1;
                assert_eq!(outcome, CommitOutcome::Committed(Revision(acknowledged)));
            }
            Err(MetaError::Unknown(_)) => unknown = true,
            Err(MetaError::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    (acknowledged, unknown)
}

#[tokio::test]
async fn an_acknowledged_commit_survives_a_crash_at_every_operation() {
    let (env, disk) = new_disk(0).await;
    assert_eq!(run(&env).await, (COMMITS, false));
    let operations = disk.operations();
    let (mut unknown_kept, mut unknown_lost) = (0, 0);
    for n in 1..=operations {
        for keep in [Keep::Nothing, Keep::Everything, Keep::RandomOverOld] {
            let (env, disk) = new_disk(n).await;
            disk.crash_at(n);
            let (acknowledged, unknown) = run(&env).await;
            disk.crash(keep);
            let store = open(&env).await.unwrap_or_else(|error| panic!("crash at {n}, {keep:?}: {error}"));
            let held = held(&store).await;
            // Invariant M1, and M2 for the one commit whose answer was lost.
            assert!(
                held == acknowledged || (unknown && held == acknowledged + 1),
                "crash at {n}, {keep:?}: {acknowledged} acknowledged, unknown: {unknown}, held: {held}"
            );
            unknown_kept += u32::from(unknown && held > acknowledged);
            unknown_lost += u32::from(unknown && held == acknowledged);
            let next = store.commit(txn(held + 1)).await.unwrap();
            assert_eq!(next, CommitOutcome::Committed(Revision(held + 1)), "the store goes on");
        }
    }
    assert!(unknown_kept > 0 && unknown_lost > 0, "both ends of a lost answer were met");
}

#[tokio::test]
async fn commits_that_share_a_sync_survive_together() {
    let (env, disk) = new_disk(0).await;
    assert_eq!(run_together(&env).await, (COMMITS, false));
    for n in 1..=disk.operations() {
        for keep in [Keep::Nothing, Keep::RandomOverOld] {
            let (env, disk) = new_disk(1000 + n).await;
            disk.crash_at(n);
            let (acknowledged, unknown) = run_together(&env).await;
            disk.crash(keep);
            let held = held(&open(&env).await.unwrap()).await;
            assert!(held == acknowledged || (unknown && held > acknowledged), "crash at {n}, {keep:?}");
        }
    }
}

/// As kill -9: the next process finds what never became durable. It may go on with it only after it made it
/// so, since the power can still go.
#[tokio::test]
async fn what_a_killed_process_left_is_durable_before_it_is_read_or_built_on() {
    let (env, disk) = new_disk(0).await;
    let first = disk.operations() + 1;
    assert_eq!(run(&env).await, (COMMITS, false));
    for n in first..=disk.operations() {
        for more in [0, 1] {
            let (env, disk) = new_disk(n).await;
            disk.crash_at(n);
            let (acknowledged, unknown) = run(&env).await;
            disk.restart();
            let store = open(&env).await.unwrap();
            let seen = held(&store).await;
            assert!(seen == acknowledged || (unknown && seen == acknowledged + 1), "killed at {n}");
            for next in seen + 1..=seen + more {
                let outcome = store.commit(txn(next)).await.unwrap();
                assert_eq!(outcome, CommitOutcome::Committed(Revision(next)));
            }
            disk.crash(Keep::Nothing);
            drop(store);
            // Invariant M1, and M2 for what was read.
            assert_eq!(
                held(&open(&env).await.unwrap()).await,
                seen + more,
                "killed at {n}, then {more} more"
            );
        }
    }
}

/// redb syncs as well when it opens a file. But then its first writes are on their way, and which of them and of
/// those of the process of before come first is up to the kernel.
#[tokio::test]
async fn what_is_written_again_at_opening_is_synced_before_redb_writes() {
    let (env, disk) = new_disk(1).await;
    assert_eq!(run(&env).await, (COMMITS, false));
    let before = disk.trace().len();
    let _store = open(&env).await.unwrap();
    let trace = disk.trace().split_off(before);
    let offset =
        |line: &str| line.split_once(" at ").map(|(_, rest)| rest.split_once(',').unwrap().0.to_owned());
    let begin = trace.iter().position(|line| line.contains("set length")).unwrap() + 1;
    let (mut last, mut pieces) = (None, 0);
    for line in &trace[begin..] {
        let Some(offset) = offset(line).map(|offset| offset.parse::<u64>().unwrap()) else {
            assert!(line.contains("fdatasync") && pieces > 0, "{line} came first:\n{trace:#?}");
            return;
        };
        // The pieces of the file are written in their order; redb begins with the header.
        assert!(Some(offset) > last, "redb writes before the sync:\n{trace:#?}");
        (last, pieces) = (Some(offset), pieces + 1);
    }
    panic!("nothing was synced:\n{trace:#?}");
}

/// Runs the whole workload against a disk that fails now and then, as a caller must: after a lost answer it
/// reads, after a refusal it asks again. Gives the number of answers that were lost and of refusals.
async fn insist(store: &EmbeddedMetaStore) -> (u32, u32) {
    let (mut unknown, mut refused, mut done) = (0, 0, held(store).await);
    while done < COMMITS {
        match store.commit(txn(done + 1)).await {
            Ok(outcome) => {
                done += 1;
                assert_eq!(outcome, CommitOutcome::Committed(Revision(done)));
            }
            Err(MetaError::Unknown(_)) => {
                unknown += 1;
                // Closed after the error: whoever reads has it opened again, as soon as that is possible.
                let mut tries = 0;
                while store.scan("").await.is_err() {
                    tries += 1;
                    assert!(tries < 10, "reading does not open the file");
                }
                done = held(store).await;
            }
            Err(MetaError::Unavailable(_)) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        assert!(unknown + refused < 100, "the store does not recover");
    }
    (unknown, refused)
}

fn fault(operation: FaultOperation, error: FaultError, after: u32, times: u32) -> Fault {
    Fault { operation, path_contains: "meta.".into(), error, after, times }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_that_is_acknowledged_is_lost() {
    let mut lost_answers = 0;
    for failing in 0..12 {
        for times in [1, 2, 3] {
            let (env, disk) = new_disk(u64::from(failing)).await;
            let store = open(&env).await.unwrap();
            disk.inject(fault(FaultOperation::Sync, FaultError::Io, failing, times));
            lost_answers += insist(&store).await.0;
            // What the page cache showed after the failed sync must not have been believed.
            disk.clear_faults();
            disk.crash(Keep::Nothing);
            drop(store);
            let store = open(&env).await.unwrap();
            assert_eq!(held(&store).await, COMMITS, "sync {failing} failed {times} times");
        }
    }
    assert!(lost_answers > 0);
}

/// Commits on a disk with faults until the power goes or all is done: the commits that are certain.
async fn insist_until_power_goes(env: &Env, disk: &MemoryDisk) -> u64 {
    let Ok(store) = open(env).await else { return 0 };
    let mut certain = 0;
    while disk.is_powered() && certain < COMMITS {
        match store.commit(txn(certain + 1)).await {
            Ok(_) => certain += 1,
            Err(_) => certain = store.scan("").await.map_or(certain, |(revision, _)| revision.0),
        }
    }
    certain
}

#[tokio::test]
async fn a_crash_while_a_failed_sync_is_got_over_loses_nothing() {
    for failing in 0..14 {
        for later in 1..40 {
            for keep in [Keep::Nothing, Keep::RandomOverOld] {
                let (env, disk) = new_disk(u64::from(failing)).await;
                drop(open(&env).await.unwrap());
                disk.inject(fault(FaultOperation::Sync, FaultError::Io, failing, 1));
                disk.crash_at(disk.operations() + 2 * u64::from(failing) + later);
                let certain = insist_until_power_goes(&env, &disk).await;
                disk.clear_faults();
                disk.crash(keep);
                let when = format!("sync {failing}, {later} later, {keep:?}");
                let store = open(&env).await.unwrap_or_else(|error| {
                    panic!("{when}: {error}\n{}", disk.trace().join("\n"));
                });
                let held = held(&store).await;
                assert!(held == certain || held == certain + 1, "{when}: {held} of {certain}");
            }
        }
    }
}

/// The process is killed while syncs fail. The next one finds in the page cache what is on no disk, and takes it
/// for clean.
#[tokio::test]
async fn what_a_failed_sync_left_is_not_believed_by_the_next_process() {
    let mut there = 0;
    for failing in 0..16 {
        for seed in 0..4 {
            for more in [0, 1] {
                let (env, disk) = new_disk(seed).await;
                let store = open(&env).await.unwrap();
                disk.inject(fault(FaultOperation::Sync, FaultError::Io, failing, u32::MAX));
                let mut acknowledged = 0;
                while acknowledged < COMMITS && store.commit(txn(acknowledged + 1)).await.is_ok() {
                    acknowledged += 1;
                }
                disk.restart();
                disk.clear_faults();
                drop(store);
                let store = open(&env).await.unwrap();
                let seen = held(&store).await;
                there += u32::from(seen > acknowledged);
                assert!(seen >= acknowledged);
                for next in seen + 1..=seen + more {
                    let outcome = store.commit(txn(next)).await.unwrap();
                    assert_eq!(outcome, CommitOutcome::Committed(Revision(next)));
                }
                disk.crash(Keep::Nothing);
                drop(store);
                let store = open(&env).await.unwrap();
                let when = format!("sync {failing} failed, seed {seed}, {more} more");
                assert_eq!(held(&store).await, seen + more, "{when}");
            }
        }
    }
    assert!(there > 0, "some commit whose answer was lost was there");
}

#[tokio::test]
async fn what_is_read_after_a_lost_answer_is_durable() {
    let mut there = 0;
    for failing in 0..20 {
        for seed in 0..4 {
            let (env, disk) = new_disk(seed).await;
            let store = open(&env).await.unwrap();
            disk.inject(fault(FaultOperation::Sync, FaultError::Io, failing, 1));
            let mut acknowledged = 0;
            while acknowledged < COMMITS && store.commit(txn(acknowledged + 1)).await.is_ok() {
                acknowledged += 1;
            }
            let seen = held(&store).await;
            there += u32::from(seen > acknowledged);
            // Invariant M2: the page cache after the failed sync showed more than the disk has.
            disk.crash(Keep::Nothing);
            disk.clear_faults();
            drop(store);
            assert_eq!(held(&open(&env).await.unwrap()).await, seen, "sync {failing} failed, seed {seed}");
        }
    }
    assert!(there > 0, "some commit whose answer was lost was there");
}

/// redb syncs also when it makes the file longer, in the middle of a transaction. An answer of that moment is a
/// refusal, since nothing was committed, and it comes when the writer is through with the file: whoever has it
/// meets no file that is just being opened again.
#[tokio::test]
async fn a_sync_that_fails_before_the_commit_is_a_refusal_and_the_store_is_at_rest() {
    let (mut refusals, mut lost_answers) = (0, 0);
    for failing in 0..20 {
        let (env, disk) = new_disk(u64::from(failing)).await;
        let store = open(&env).await.unwrap();
        disk.inject(fault(FaultOperation::Sync, FaultError::Io, failing, 1));
        let mut done = 0;
        let error = loop {
            match store.commit(txn(done + 1)).await {
                Ok(_) if done < COMMITS => done += 1,
                Ok(_) => break None,
                Err(error) => break Some(error),
            }
        };
        let operations = disk.operations();
        let seen = held(&store).await;
        match error {
            Some(MetaError::Unavailable(_)) => {
                refusals += 1;
                assert_eq!(seen, done, "sync {failing}: refused, so it is not there");
            }
            Some(MetaError::Unknown(_)) => lost_answers += 1,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
        assert_eq!(disk.operations(), operations, "sync {failing}: the writer goes on after its answer");
    }
    assert!(refusals > 0 && lost_answers > 0, "{refusals} refusals, {lost_answers} lost answers");
}

/// A write can fail and all its bytes be there: then the file shows a commit that is not durable, and the disk
/// takes nothing that would make it so.
#[tokio::test]
async fn what_is_read_while_the_disk_takes_no_writes_is_durable() {
    let mut there = 0;
    for failing in 0..60 {
        for seed in 0..8 {
            let (env, disk) = new_disk(seed).await;
            let store = open(&env).await.unwrap();
            disk.inject(fault(FaultOperation::Write, FaultError::OutOfSpace, failing, u32::MAX));
            let mut acknowledged = 0;
            while acknowledged < COMMITS && store.commit(txn(acknowledged + 1)).await.is_ok() {
                acknowledged += 1;
            }
            let seen = held(&store).await;
            there += u32::from(seen > acknowledged);
            // Invariant M2.
            disk.crash(Keep::Nothing);
            disk.clear_faults();
            drop(store);
            assert_eq!(held(&open(&env).await.unwrap()).await, seen, "write {failing} failed, seed {seed}");
        }
    }
    assert!(there > 0, "some commit whose answer was lost was there");
}

#[tokio::test]
async fn a_full_disk_refuses_commits_until_there_is_room() {
    for failing in 0..25 {
        let (env, disk) = new_disk(u64::from(failing)).await;
        let store = open(&env).await.unwrap();
        disk.inject(fault(FaultOperation::Write, FaultError::OutOfSpace, failing, 4));
        insist(&store).await;
        disk.crash(Keep::Nothing);
        drop(store);
        assert_eq!(held(&open(&env).await.unwrap()).await, COMMITS, "write {failing} failed");
    }
}

#[tokio::test]
async fn a_watch_over_a_lost_answer_misses_nothing_or_says_so() {
    for failing in 0..12 {
        let (env, disk) = new_disk(u64::from(failing)).await;
        let store = open(&env).await.unwrap();
        let mut watch = store.watch("", Revision(0)).await.unwrap();
        disk.inject(fault(FaultOperation::Sync, FaultError::Io, failing, 1));
        insist(&store).await;
        let (mut state, mut seen) = (State::new(), Revision(0));
        while seen < Revision(COMMITS) {
            match watch.next().await {
                Ok(changes) => {
                    for change in changes {
                        seen = change.revision;
                        match change.kind {
                            ChangeKind::Put(entry) => {
                                state.insert(entry.key, String::from_utf8(entry.value.to_vec()).unwrap());
                            }
                            ChangeKind::Delete { key } => drop(state.remove(&key)),
                        }
                    }
                }
                Err(WatchError::Compacted { oldest }) => {
                    assert!(oldest > seen);
                    let (revision, _) = store.scan("").await.unwrap();
                    state = texts(&store, "").await.into_iter().collect();
                    seen = revision;
                    watch = store.watch("", revision).await.unwrap();
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(state, after(COMMITS), "sync {failing} failed");
    }
}

#[tokio::test]
async fn reads_go_on_beside_writes_that_fail() {
    let (env, disk) = new_disk(1).await;
    let store = open(&env).await.unwrap();
    store.commit(txn(1)).await.unwrap();
    disk.inject(fault(FaultOperation::Write, FaultError::OutOfSpace, 0, u32::MAX));
    let refused = store.commit(txn(2)).await;
    assert!(matches!(refused, Err(MetaError::Unavailable(_) | MetaError::Unknown(_))), "{refused:?}");
    assert_eq!(held(&store).await, 1);
    disk.clear_faults();
    assert_eq!(store.commit(txn(2)).await.unwrap(), CommitOutcome::Committed(Revision(2)));
}

#[tokio::test]
async fn a_damaged_file_is_refused_by_name() {
    let (env, disk) = new_disk(1).await;
    let store = open(&env).await.unwrap();
    for n in 1..=COMMITS {
        store.commit(txn(n)).await.unwrap();
    }
    drop(store);
    let path = Path::new(DIRECTORY).join(FILE_NAME);
    let len = disk.metadata(&path).await.unwrap().len;
    disk.corrupt(&path, 0, &vec![0xA5; usize::try_from(len).unwrap()]);
    let refused = open(&env).await.map(drop).unwrap_err();
    assert!(matches!(&refused, OpenError::Corrupt { file, .. } if *file == path), "{refused:?}");
}
