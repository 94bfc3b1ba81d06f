//! A coordinator that a later one has replaced, and that does not know it yet.

use cinclus_coord::keys;
use cinclus_rpc::DdlError;

use crate::faults::Fault;
use crate::samples;
use crate::world::{Process, World};

fn partitions(process: &Process) -> Vec<String> {
    let view = process.collections.view();
    let entry = view.all_collections().next().unwrap();
    entry.partitions.iter().map(|partition| partition.name.clone()).collect()
}

async fn nothing_is_under_way(world: &World) {
    assert!(world.durable.scan(keys::BROADCASTS).await.unwrap().1.is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_begins_nothing() {
    let world = World::new();
    let first = world.start().await;
    let second = world.start().await;
    let refused = first.ddl(&samples::create("books")).await;
    assert!(matches!(refused, Err(DdlError::Unavailable(_))), "{refused:?}");
    nothing_is_under_way(&world).await;
    second.ddl(&samples::create("books")).await.unwrap();
    first.kill().await;
    second.kill().await;
}

#[tokio::test(start_paused = true)]
async fn what_it_was_about_to_begin_does_not_begin_later() {
    let world = World::new();
    let first = world.start().await;
    first.ddl(&samples::create("books")).await.unwrap();
    world.node.all_forgotten().await;
    world.faults.arm(0, Fault::Late);
    let partition = samples::create_partition("books", "a");
    let mut change = Box::pin(first.ddl(&partition));
    while !world.faults.struck() {
        assert!(futures::poll!(&mut change).is_pending());
        tokio::task::yield_now().await;
    }
    let second = world.start().await;
    assert!(world.faults.deliver_late(&world.durable).await);
    // Nobody would hold its locks.
    nothing_is_under_way(&world).await;
    assert!(matches!(change.await, Err(DdlError::Unavailable(_))));
    second.ddl(&samples::create_partition("books", "b")).await.unwrap();
    assert_eq!(partitions(&second), ["_default", "b"]);
    first.kill().await;
    second.kill().await;
}

/// Whatever it was at when it was replaced, it takes nothing back that came later.
#[tokio::test(start_paused = true)]
async fn it_takes_nothing_back() {
    for skip in 0..6 {
        let world = World::new();
        let first = world.start().await;
        first.ddl(&samples::create("books")).await.unwrap();
        world.node.all_forgotten().await;
        world.faults.arm(skip, Fault::Refused);
        let partition = samples::create_partition("books", "a");
        let mut change = Box::pin(first.ddl(&partition));
        while !world.faults.struck() && futures::poll!(&mut change).is_pending() {
            tokio::task::yield_now().await;
        }
        let second = world.start().await;
        second.ddl(&samples::create_partition("books", "b")).await.unwrap();
        let made = partitions(&second);
        // It tries again what failed.
        world.env.clock.sleep(std::time::Duration::from_secs(60)).await;
        drop(change);
        assert_eq!(partitions(&second), made, "operation {skip} failed");
        assert!(made.contains(&"b".to_owned()), "operation {skip} failed: {made:?}");
        nothing_is_under_way(&world).await;
        first.kill().await;
        second.kill().await;
    }
}
