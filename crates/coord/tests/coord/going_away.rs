//! A caller that goes away at any await leaves nothing half done and nothing locked.

use std::time::Duration;

use cinclus_coord::keys;
use cinclus_rpc::{DdlDone, DdlError};

use crate::samples::{self, scenarios};
use crate::world::World;

/// Time stands still while anything can go on: when it has passed, nothing is under way.
async fn quiet(world: &World) {
    world.env.clock.sleep(Duration::from_secs(60)).await;
    assert!(world.durable.scan(keys::BROADCASTS).await.unwrap().1.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_go_away_at_any_await() {
    for scenario in scenarios() {
        for polls in 0.. {
            let what = format!("{}, gone after {polls} polls", scenario.name);
            let world = World::new();
            let process = world.start().await;
            for ddl in &scenario.setup {
                process.ddl(ddl).await.unwrap();
            }
            let (before, known) = (process.digest(), world.broadcasts().len());
            let mut told = None;
            {
                let mut call = Box::pin(process.ddl(&scenario.ddl));
                for _ in 0..polls {
                    if let std::task::Poll::Ready(done) = futures::poll!(&mut call) {
                        told = Some(done);
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            quiet(&world).await;
            let broadcasts = world.broadcasts();
            for (having, targets, _) in broadcasts.values() {
                assert_eq!(having, targets, "{what}");
            }
            let there = broadcasts.len() > known;
            if scenario.name != "alter database to what it is" {
                assert_eq!(process.digest() != before, there, "{what}");
            }
            let again: Result<DdlDone, DdlError> = process.ddl(&scenario.ddl).await;
            assert!(!matches!(again, Err(DdlError::Unavailable(_))), "{what}: {again:?}");
            process.kill().await;
            if let Some(done) = told {
                assert!(there && done.is_ok(), "{what}");
                break;
            }
            assert!(polls < 1_000, "{what}: it never ends");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_a_lock_may_go_away() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    let (a, b) = (samples::create_partition("books", "a"), samples::create_partition("books", "b"));
    let mut first = Box::pin(process.ddl(&a));
    assert!(futures::poll!(&mut first).is_pending());
    let mut second = Box::pin(process.ddl(&b));
    assert!(futures::poll!(&mut second).is_pending());
    drop(second);
    first.await.unwrap();
    process.ddl(&samples::create_partition("books", "c")).await.unwrap();
    let view = process.collections.view();
    let entry = view.all_collections().next().unwrap();
    let partitions: Vec<&str> = entry.partitions.iter().map(|partition| partition.name.as_str()).collect();
    assert_eq!(partitions, ["_default", "a", "c"]);
    process.kill().await;
}
