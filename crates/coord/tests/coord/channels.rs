//! Terms: durable before a node hears of them, and never the same again (C1; the fake node checks both).

use std::collections::BTreeMap;

use cinclus_coord::{CoordConfig, StartError, keys};
use cinclus_meta::{MetaError, Txn};
use cinclus_rpc::CoordApi;
use cinclus_types::{PChannel, Term};

use crate::faults::Fault;
use crate::samples;
use crate::world::World;

fn with_channels(channels: u32) -> CoordConfig {
    CoordConfig { channels, ..CoordConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn terms_are_durable_in_one_commit_before_the_first_log_is_opened() {
    let world = World::with(with_channels(16));
    let process = world.start().await;
    let log = world.faults.log();
    let commits: Vec<usize> = (0..log.len())
        .filter(|at| log[*at].contains(keys::CHANNELS) && log[*at].starts_with("commit"))
        .collect();
    let opens: Vec<usize> = (0..log.len()).filter(|at| log[*at].starts_with("open")).collect();
    assert_eq!((commits.len(), opens.len()), (1, 16), "{log:#?}");
    assert!(commits[0] < opens[0]);
    assert_eq!(process.coord.assignments().borrow().channels.len(), 16);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn all_logs_are_opened_at_once() {
    let world = World::with(with_channels(16));
    (0..16).for_each(|index| world.node.hang(&PChannel::numbered("by-dev-rootcoord-dml", index)));
    let process = world.start().await;
    assert_eq!(world.node.terms().len(), 16);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_of_the_start_repeats_no_term() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for skip in 0.. {
            let world = World::new();
            world.start().await.kill().await;
            world.faults.arm(skip, fault);
            let process = world.start_or_crash().await;
            let (died, before) = (process.is_none(), world.node.terms());
            if let Some(process) = process {
                process.kill().await;
            }
            world.faults.disarm();
            let process = world.start().await;
            for (channel, term) in world.node.terms() {
                assert!(term > before[&channel] || term == Term(2) && died, "{channel}: {term}");
            }
            process.ddl(&samples::create("books")).await.unwrap();
            process.kill().await;
            if !died {
                assert!(skip > 6);
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_terms_may_not_be_durable_opens_nothing() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let mut failed_starts = 0;
        for skip in 0.. {
            let world = World::new();
            world.start().await.kill().await;
            let before = world.node.terms();
            let commits_of_terms = || {
                let log = world.faults.log();
                log.iter().filter(|line| line.starts_with("commit") && line.contains(keys::CHANNELS)).count()
            };
            let known = commits_of_terms();
            world.faults.arm(skip, fault);
            let started = world.try_start().await;
            let struck = world.faults.struck();
            world.faults.disarm();
            match started {
                Ok(process) => process.kill().await,
                Err(error) => {
                    let unknown = matches!(error, StartError::Meta(MetaError::Unknown(_)));
                    failed_starts += usize::from(unknown);
                    assert!(!unknown || world.node.terms() == before);
                    assert!(!unknown || commits_of_terms() == known + usize::from(fault == Fault::LostAfter));
                }
            }
            let process = world.start().await;
            assert!(world.node.terms().iter().all(|(channel, term)| *term > before[channel]));
            process.kill().await;
            if !struck {
                break;
            }
        }
        // Of all lost answers, only that of the terms ends a start.
        assert_eq!(failed_starts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn more_logs_may_be_asked_for_and_fewer_are_not_taken_away() {
    let mut world = World::with(with_channels(2));
    world.start().await.kill().await;
    world.config.channels = 4;
    let process = world.start().await;
    let terms: BTreeMap<String, i64> =
        world.node.terms().iter().map(|(channel, term)| (channel.name().to_owned(), term.0)).collect();
    let name = |index: u32| format!("by-dev-rootcoord-dml_{index}");
    assert_eq!(terms, BTreeMap::from([(name(0), 2), (name(1), 2), (name(2), 1), (name(3), 1)]));
    process.ddl(&samples::create_in("", "books", 4)).await.unwrap();
    process.kill().await;

    world.config.channels = 1;
    let process = world.start().await;
    assert_eq!(process.coord.assignments().borrow().channels.len(), 4);
    process.ddl(&samples::drop("books")).await.unwrap();
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn the_control_channel_stays_where_it_was_chosen() {
    let mut world = World::with(with_channels(2));
    let process = world.start().await;
    process.ddl(&samples::create_database("a")).await.unwrap();
    process.kill().await;
    world.config.channel_prefix = "another".to_owned();
    let process = world.start().await;
    process.ddl(&samples::create_database("b")).await.unwrap();
    assert_eq!(process.coord.assignments().borrow().channels.len(), 4);
    let channels: Vec<String> =
        world.node.logs().iter().map(|logged| logged.vchannel.name().to_owned()).collect();
    assert_eq!(channels, ["by-dev-rootcoord-dml_0_vcchan"; 2]);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn views_of_later_coordinators_are_newer() {
    let world = World::new();
    let process = world.start().await;
    let first = process.coord.assignments().borrow().version;
    process.kill().await;
    let process = world.start().await;
    assert!(process.coord.assignments().borrow().version > first);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_newer_release_is_refused_by_name() {
    let world = World::new();
    let record = r#"{"format":2,"term":1,"node":{"id":7,"address":""}}"#;
    world.durable.commit(Txn::new().put("coord/pchannel/log_9", record)).await.unwrap();
    let error = world.try_start().await.err().unwrap().to_string();
    assert_eq!(error, "the record coord/pchannel/log_9 cannot be read: format 2 is newer than 1");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_written_otherwise_does_not_stop_the_start() {
    let world = World::new();
    // The same record as an older release may have written it.
    let record = r#"{ "node": {"address": "", "id": 7}, "term": 41, "format": 1 }"#;
    world.durable.commit(Txn::new().put("coord/pchannel/by-dev-rootcoord-dml_0", record)).await.unwrap();
    world.start().await.kill().await;
    assert_eq!(world.node.terms()[&PChannel::new("by-dev-rootcoord-dml_0")], Term(42));
}
