//! A log that does not open, or is corrupt, holds up only what concerns it.

use std::time::Duration;

use cinclus_coord::{CoordConfig, keys};
use cinclus_rpc::{CoordApi, DdlError};
use cinclus_types::{CollectionId, PChannel};

use crate::faults::Fault;
use crate::samples;
use crate::world::{Process, World};

fn log(index: u32) -> PChannel {
    PChannel::numbered("by-dev-rootcoord-dml", index)
}

fn logs_of(process: &Process, name: &str) -> Vec<PChannel> {
    let view = process.collections.view();
    let entry = view.all_collections().find(|entry| entry.name == name).unwrap();
    entry.vchannels.iter().map(|vchannel| vchannel.pchannel()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_log_gets_no_new_collections_and_the_others_serve() {
    let world = World::with(CoordConfig { channels: 3, ..CoordConfig::default() });
    world.node.corrupt(&log(1), "segment 4, block 2");
    let process = world.start().await;
    // It is published: its owner says what is wrong with it.
    assert_eq!(process.coord.assignments().borrow().channels.len(), 3);
    process.ddl(&samples::create_in("", "books", 3)).await.unwrap();
    assert!(!logs_of(&process, "books").contains(&log(1)));
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_collection_in_a_corrupt_log_is_refused_before_it_begins() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    assert_eq!(logs_of(&process, "books"), [log(0), log(1)]);
    process.kill().await;
    world.node.corrupt(&log(1), "segment 4, block 2");
    let process = world.start().await;
    let text = "the log by-dev-rootcoord-dml_1 is corrupt: segment 4, block 2".to_owned();
    assert_eq!(process.ddl(&samples::drop("books")).await, Err(DdlError::Unavailable(text)));
    assert!(world.durable.scan(keys::BROADCASTS).await.unwrap().1.is_empty());
    // What only the control channel hears of goes on.
    process.ddl(&samples::create_index("books", "vector", "")).await.unwrap();
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_does_not_open_yet_is_served_when_it_does() {
    let world = World::new();
    world.node.shut(&log(1), "an I/O error");
    let process = world.start().await;
    let mut view = process.coord.assignments();
    // It is published: its owner says why it is not open.
    assert_eq!(view.borrow().channels.len(), 2);
    // A new collection does not wait for it.
    process.ddl(&samples::create("books")).await.unwrap();
    assert_eq!(logs_of(&process, "books"), [log(0), log(0)]);
    let failing = view.borrow().version;
    world.node.let_open(&log(1));
    view.wait_for(|view| view.version != failing).await.unwrap();
    process.ddl(&samples::create("films")).await.unwrap();
    assert!(logs_of(&process, "films").contains(&log(1)));
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_left_behind_in_a_log_that_stays_shut_holds_up_only_its_own_names() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    process.ddl(&samples::create("films")).await.unwrap();
    world.node.all_forgotten().await;
    // The task is stored, nothing is appended.
    world.faults.arm(0, Fault::CrashAfter);
    tokio::select! {
        biased;
        () = world.faults.crashed() => {}
        done = process.coord.ddl(samples::create_partition("books", "late")) => panic!("{done:?}"),
    }
    process.kill().await;
    world.faults.disarm();
    world.node.shut(&log(1), "an I/O error");

    let process = world.start().await;
    let text = "the change did not end within 60s; if it has begun it will be completed".to_owned();
    let waiting = process.ddl(&samples::create_index("books", "vector", "")).await;
    assert_eq!(waiting, Err(DdlError::Unavailable(text)));
    process.ddl(&samples::create_index("films", "vector", "")).await.unwrap();
    world.node.let_open(&log(1));
    process.ddl(&samples::create_index("books", "vector", "")).await.unwrap();
    // The one that was left behind came first.
    let view = process.collections.view();
    let books = view.all_collections().find(|entry| entry.name == "books").unwrap();
    assert!(books.partition("late").is_some() && books.indexes.len() == 1);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn collections_that_are_created_at_once_are_spread_over_the_logs() {
    let world = World::with(CoordConfig { channels: 16, ..CoordConfig::default() });
    let process = world.start().await;
    let names: Vec<String> = (0..32).map(|index| format!("c{index}")).collect();
    let creations: Vec<_> = names.iter().map(|name| samples::create_in("", name, 1)).collect();
    let done = futures::future::join_all(creations.iter().map(|ddl| process.ddl(ddl))).await;
    assert!(done.iter().all(Result::is_ok));
    let mut shards: Vec<PChannel> = names.iter().flat_map(|name| logs_of(&process, name)).collect();
    shards.sort_unstable();
    let counts: Vec<usize> = shards.chunk_by(|a, b| a == b).map(<[PChannel]>::len).collect();
    assert_eq!(counts, [2; 16]);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_by_an_alias_that_moves_meanwhile_takes_the_lock_of_where_it_leads() {
    let world = World::new();
    let process = world.start().await;
    for ddl in [samples::create("books"), samples::create("films"), samples::put_alias("x", "books", false)] {
        process.ddl(&ddl).await.unwrap();
    }
    world.node.shut(&log(0), "an I/O error");
    let (alter, by_alias, by_name) = (
        samples::put_alias("x", "films", true),
        samples::create_partition("x", "p"),
        samples::create_partition("films", "q"),
    );
    let mut calls: Vec<_> = [&alter, &by_alias, &by_name].map(|ddl| Box::pin(process.ddl(ddl))).into();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
        tokio::task::yield_now().await;
    }
    world.node.let_open(&log(0));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    let view = process.collections.view();
    let films = view.all_collections().find(|entry| entry.name == "films").unwrap();
    assert!(films.partition("p").is_some() && films.partition("q").is_some(), "{:?}", films.partitions);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_takes_too_long_is_completed_without_its_caller() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    world.node.shut(&log(1), "an I/O error");
    let told = process.ddl(&samples::create_partition("books", "late")).await;
    assert!(matches!(told, Err(DdlError::Unavailable(_))), "{told:?}");
    world.node.let_open(&log(1));
    world.settled().await;
    process.ddl(&samples::create_partition("books", "late")).await.unwrap();
    assert_eq!(world.broadcasts().len(), 2);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_turns_out_corrupt_is_remembered() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    world.node.corrupt(&log(1), "segment 4, block 2");
    assert!(process.ddl(&samples::create_partition("books", "late")).await.is_err());
    process.ddl(&samples::create("films")).await.unwrap();
    assert_eq!(logs_of(&process, "films"), [log(0), log(0)]);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_beyond_the_limit_is_refused() {
    let world = World::with(CoordConfig { channels: 2, ddl_bytes_max: 20_000, ..CoordConfig::default() });
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    let large = "x".repeat(20_000);
    let told = process.ddl(&samples::alter("books", &[("large", &large)], &[])).await;
    let Err(DdlError::Invalid(text)) = told else { panic!("{told:?}") };
    assert!(text.ends_with("bytes, the limit is 20000"), "{text}");
    assert!(world.durable.scan(keys::BROADCASTS).await.unwrap().1.is_empty());
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_goes_to_the_shards_only_and_needs_no_task() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    let before = world.node.logs().len();
    process.ddl(&samples::flush("books")).await.unwrap();
    let logged = world.node.logs().split_off(before);
    let collection = process.collections.view().all_collections().next().unwrap().id;
    let shards = [log(0).shard(CollectionId(collection.0), 0), log(1).shard(CollectionId(collection.0), 1)];
    assert_eq!(logged.iter().map(|l| l.vchannel.clone()).collect::<Vec<_>>(), shards);
    assert!(logged.iter().all(|l| l.draft.broadcast.is_none()));
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn the_start_does_not_wait_for_a_log_that_hangs() {
    let world = World::new();
    let start = world.env.clock.monotonic();
    world.node.hang(&log(1));
    let process = world.start().await;
    assert_eq!(world.env.clock.monotonic() - start, Duration::from_secs(10));
    assert_eq!(process.coord.assignments().borrow().channels.len(), 1);
    process.kill().await;
}
