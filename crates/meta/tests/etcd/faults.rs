//! Servers that are killed, and servers that hang.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cinclus_env::OsClock;
use cinclus_meta::{ChangeKind, CommitOutcome, DynMetaStore, EtcdConfig, EtcdMetaStore, MetaError, Txn};
use parking_lot::Mutex;

use super::server::Server;

/// What writers were told of their keys.
#[derive(Default)]
struct Told {
    committed: BTreeSet<String>,
    nothing: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

/// Puts new keys until it is told to stop. No key is tried twice.
async fn write(store: &DynMetaStore, writer: usize, told: &Mutex<Told>, stop: &AtomicBool) {
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

/// Gathers what a watch tells until it has told of `end`.
async fn follow(store: &DynMetaStore) -> Vec<String> {
    let mut watch = store.watch("", cinclus_meta::Revision(0)).await.unwrap();
    let (mut keys, mut last) = (Vec::new(), cinclus_meta::Revision(0));
    loop {
        for change in watch.next().await.unwrap() {
            assert!(change.revision > last);
            last = change.revision;
            let ChangeKind::Put(entry) = change.kind else { panic!("nothing is deleted") };
            if entry.key == "end" {
                return keys;
            }
            keys.push(entry.key);
        }
    }
}

/// Kills the server again and again while many write and one watches.
#[tokio::test]
async fn nothing_committed_is_lost_and_unknown_is_no_guess_over_kills() {
    const WRITERS: usize = 16;
    const KILLS: usize = 8;
    let mut server = Server::start(&[]).await;
    let store = server.open("p/").await;
    let (told, stop) = (Mutex::new(Told::default()), AtomicBool::new(false));
    let writers = futures::future::join_all((0..WRITERS).map(|writer| write(&store, writer, &told, &stop)));
    let kills = async {
        for _ in 0..KILLS {
            let before = told.lock().committed.len();
            while told.lock().committed.len() < before + 200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.kill();
            tokio::time::sleep(Duration::from_millis(30)).await;
            server.start_again().await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let all = async {
        futures::join!(writers, kills);
        while store.commit(Txn::new().put("end", "1")).await.is_err() {}
    };
    let (watched, ()) = futures::join!(follow(&store), all);
    let (_, entries) = store.scan("").await.unwrap();
    let there: BTreeSet<String> =
        entries.into_iter().map(|entry| entry.key).filter(|key| key != "end").collect();
    let told = told.into_inner();
    println!(
        "{} committed, {} refused, {} unknown, of which {} are there",
        told.committed.len(),
        told.nothing.len(),
        told.unknown.len(),
        told.unknown.intersection(&there).count()
    );
    assert!(told.committed.is_subset(&there), "a commit was lost");
    assert!(told.nothing.is_disjoint(&there), "what was said not to have happened has");
    let others: Vec<&String> =
        there.iter().filter(|key| !told.committed.contains(*key) && !told.unknown.contains(*key)).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(!told.unknown.is_empty() && !told.nothing.is_empty(), "the kills were not felt");
    assert_eq!(watched.len(), there.len(), "the watch told of each key once");
    assert_eq!(watched.into_iter().collect::<BTreeSet<_>>(), there);
}

/// A server that hangs answers nobody: reads say so, and a commit may happen later.
#[tokio::test]
async fn a_commit_to_a_server_that_hangs_is_unknown_and_may_happen_later() {
    let server = Server::start(&[]).await;
    let config = EtcdConfig { request_timeout: Duration::from_millis(500), ..server.config("p/") };
    let store: DynMetaStore = Arc::new(EtcdMetaStore::open(&config, Arc::new(OsClock)).await.unwrap());
    let lease = store.grant(Duration::from_secs(60)).await.unwrap();
    server.pause().await;
    let outcome = store.commit(Txn::new().put("a", "1")).await;
    assert!(matches!(outcome, Err(MetaError::Unknown(_))), "{outcome:?}");
    assert!(matches!(store.get("a").await, Err(MetaError::Unavailable(_))));
    assert!(matches!(store.scan("").await, Err(MetaError::Unavailable(_))));
    assert!(matches!(store.keep_alive(lease).await, Err(MetaError::Unknown(_))));
    server.resume();
    let answers = async {
        while store.get("a").await.is_err() {}
        let fence = store.commit(Txn::new().put("b", "1")).await.unwrap().committed().unwrap();
        (fence, store.get("a").await.unwrap())
    };
    let (fence, found) = answers.await;
    if let Some(entry) = found {
        assert!(entry.modified < fence, "a request that waited is before later ones");
    }
    store.keep_alive(lease).await.unwrap();
}

/// Counters that are raised on condition, over kills: an unknown answer is found out by reading.
#[tokio::test]
async fn conditions_hold_over_kills() {
    const WRITERS: usize = 8;
    const KILLS: usize = 4;
    let mut server = Server::start(&[]).await;
    let store = server.open("p/").await;
    let (stop, raised) = (AtomicBool::new(false), Mutex::new(BTreeMap::<String, u64>::new()));
    let raise = |writer: usize| {
        let (store, stop, raised) = (&store, &stop, &raised);
        async move {
            for n in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(entry) = store.get("count").await else { continue };
                let count = entry.as_ref().map_or(0, |entry| {
                    let text = String::from_utf8(entry.value.to_vec()).unwrap();
                    text.split(' ').next().unwrap().parse::<u64>().unwrap()
                });
                let mine = format!("{writer}.{n}");
                let read = entry.map(|entry| entry.modified);
                let txn = Txn::new()
                    .require_unchanged("count", read)
                    .put("count", format!("{} {mine}", count + 1))
                    .put(format!("log/{:08}", count + 1), mine.clone());
                if let Ok(CommitOutcome::Committed(_)) = store.commit(txn).await {
                    raised.lock().insert(mine, count + 1);
                }
            }
        }
    };
    let kills = async {
        for _ in 0..KILLS {
            let before = raised.lock().len();
            while raised.lock().len() < before + 50 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.kill_and_start().await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    futures::join!(futures::future::join_all((0..WRITERS).map(raise)), kills);
    let (_, log) = store.scan("log/").await.unwrap();
    for (index, entry) in log.iter().enumerate() {
        assert_eq!(entry.key, format!("log/{:08}", index + 1));
        assert_eq!(entry.created, entry.modified, "no place was taken twice");
    }
    for (mine, place) in raised.into_inner() {
        assert_eq!(log[place as usize - 1].value, mine);
    }
}
