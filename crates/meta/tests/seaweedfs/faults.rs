//! A server that is killed, and two owners.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cinclus_meta::{CommitOutcome, MetaError, MetaStore, ObjectMetaStore, Txn};
use parking_lot::Mutex;

use super::{Objects, server};

/// What writers were told of their keys.
#[derive(Default)]
struct Told {
    committed: BTreeSet<String>,
    nothing: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

async fn write(store: &ObjectMetaStore, writer: usize, told: &Mutex<Told>, stop: &AtomicBool) {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("{writer}/{n:06}");
        let outcome = store.commit(Txn::new().require_absent(&key).put(&key, "1")).await;
        let is_error = outcome.is_err();
        {
            let mut told = told.lock();
            match outcome {
                Ok(CommitOutcome::Committed(_)) => told.committed.insert(key),
                Err(MetaError::Unknown(_)) => told.unknown.insert(key),
                Err(MetaError::Unavailable(_)) => told.nothing.insert(key),
                Ok(CommitOutcome::Conflict(_)) => panic!("{key} was written twice"),
                Err(error) => panic!("{key}: {error}"),
            };
        }
        if is_error {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn keys(store: &ObjectMetaStore) -> BTreeSet<String> {
    store.scan("").await.unwrap().1.into_iter().map(|entry| entry.key).collect()
}

#[tokio::test]
async fn nothing_committed_is_lost_and_unknown_is_no_guess_over_kills() {
    const WRITERS: usize = 8;
    const KILLS: usize = 2;
    let mut server = server::Server::start().await;
    let objects = Objects::new(server::client(&server.address()));
    let store = objects.open().await;
    let (told, stop) = (Mutex::new(Told::default()), AtomicBool::new(false));
    let writers = futures::future::join_all((0..WRITERS).map(|writer| write(&store, writer, &told, &stop)));
    let kills = async {
        for _ in 0..KILLS {
            let before = told.lock().committed.len();
            while told.lock().committed.len() < before + 100 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.kill();
            // Until the writers have felt it.
            let before = told.lock().unknown.len();
            while told.lock().unknown.len() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.start_again().await;
        }
        let before = told.lock().committed.len();
        while told.lock().committed.len() < before + 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    futures::join!(writers, kills);
    let here = keys(&store).await;
    drop(store);
    let there = keys(&objects.open().await).await;
    let told = told.into_inner();
    println!(
        "{} committed, {} refused, {} unknown, of which {} are there",
        told.committed.len(),
        told.nothing.len(),
        told.unknown.len(),
        told.unknown.intersection(&there).count()
    );
    assert_eq!(here, there, "what the objects say is what was read before");
    assert!(told.committed.is_subset(&there), "a commit was lost");
    assert!(told.nothing.is_disjoint(&there), "what was said not to have happened has");
    assert_eq!(there.difference(&told.unknown).cloned().collect::<BTreeSet<_>>(), told.committed);
}

#[tokio::test]
async fn of_two_owners_only_the_later_commits() {
    let objects = Objects::new(server::shared().await);
    let mut answered = BTreeSet::new();
    let mut owners: Vec<ObjectMetaStore> = vec![objects.open().await];
    for round in 0..4 {
        let next = objects.open();
        // Its predecessors go on while it opens.
        let commits = futures::future::join_all(owners.iter().enumerate().flat_map(|(index, owner)| {
            (0..5).map(move |n| async move {
                let key = format!("{round}/{index}/{n}");
                owner.commit(Txn::new().put(&key, "1")).await.is_ok().then_some(key)
            })
        }));
        let (next, keys) = futures::join!(next, commits);
        answered.extend(keys.into_iter().flatten());
        owners.push(next);
        for (index, owner) in owners.iter().enumerate() {
            let key = format!("{round}/{index}/after");
            let outcome = owner.commit(Txn::new().put(&key, "1")).await;
            assert_eq!(outcome.is_ok(), index + 1 == owners.len(), "{key}: {outcome:?}");
            answered.extend(outcome.is_ok().then_some(key));
        }
    }
    assert_eq!(keys(&objects.open().await).await, answered);
}
