//! M3 and M4: watches and scans.

use std::collections::BTreeMap;

use super::{Harness, committed, get};
use crate::entry::Revision;
use crate::error::WatchError;
use crate::store::MetaStore;
use crate::txn::Txn;
use crate::watch::{Change, ChangeKind, Watch};

async fn watch(store: &dyn MetaStore, prefix: &str, after: Revision) -> Watch {
    store.watch(prefix, after).await.expect("the store takes a watch")
}

async fn next(watch: &mut Watch) -> Vec<Change> {
    watch.next().await.expect("the watch goes on")
}

/// `key=value` of a put, `-key` of a delete, with the revision.
fn text(changes: &[Change]) -> Vec<(u64, String)> {
    let one = |change: &Change| match &change.kind {
        ChangeKind::Put(entry) => format!("{}={}", entry.key, String::from_utf8_lossy(&entry.value)),
        ChangeKind::Delete { key } => format!("-{key}"),
    };
    changes.iter().map(|change| (change.revision.0, one(change))).collect()
}

fn of(revision: Revision, changes: &[&str]) -> Vec<(u64, String)> {
    changes.iter().map(|change| (revision.0, (*change).to_owned())).collect()
}

/// Changes come commit by commit, each key once with its last state, only those under the prefix.
pub async fn m3_a_watch_gives_every_change_once_in_order(harness: &mut dyn Harness) {
    let store = harness.open().await;
    let start = committed(&*store, Txn::new().put("w/a", "0")).await;
    let mut early = watch(&*store, "w/", start).await;
    let one = committed(&*store, Txn::new().put("w/b", "1").put("x", "1").put("w/a", "1")).await;
    committed(&*store, Txn::new().put("x", "2")).await;
    let two =
        committed(&*store, Txn::new().put("w/c", "2").delete("w/c").delete("w/a").delete("w/none")).await;
    let three = committed(&*store, Txn::new().delete_prefix("w/").put("w/d", "3").put("w/d", "4")).await;
    let mut late = watch(&*store, "w/", start).await;
    for watch in [&mut early, &mut late] {
        assert_eq!(text(&next(watch).await), of(one, &["w/a=1", "w/b=1"]));
        assert_eq!(text(&next(watch).await), of(two, &["-w/a"]));
        assert_eq!(text(&next(watch).await), of(three, &["-w/b", "w/d=4"]));
    }
    let entry = get(&*store, "w/d").await.expect("was put");
    let mut last = watch(&*store, "", two).await;
    let changes = next(&mut last).await;
    assert_eq!(changes.last().map(|change| change.kind.clone()), Some(ChangeKind::Put(entry)));
}

/// A scan and a watch after its revision leave no gap and repeat nothing.
pub async fn m3_a_watch_goes_on_where_a_scan_ends(harness: &mut dyn Harness) {
    let store = harness.open().await;
    committed(&*store, Txn::new().put("a", "1")).await;
    let (revision, _) = store.scan("").await.expect("a scan");
    let mut watch = watch(&*store, "", revision).await;
    assert!(futures::poll!(std::pin::pin!(watch.next())).is_pending(), "what the scan saw is not repeated");
    let next_revision = committed(&*store, Txn::new().put("a", "2")).await;
    assert_eq!(text(&next(&mut watch).await), of(next_revision, &["a=2"]));
}

/// A watch over forgotten changes says so, with the revision from which one works.
pub async fn m3_a_watch_that_is_too_far_behind_is_told_so(harness: &mut dyn Harness) {
    let store = harness.open().await;
    let start = committed(&*store, Txn::new().put("a", "1")).await;
    let mut behind = watch(&*store, "", start).await;
    committed(&*store, Txn::new().put("a", "2")).await;
    harness.forget_changes(&*store).await;
    let Err(WatchError::Compacted { oldest }) = behind.next().await else {
        panic!("the watch was not told that changes are gone");
    };
    assert!(oldest > start);
    let mut behind = watch(&*store, "", start).await;
    assert_eq!(behind.next().await, Err(WatchError::Compacted { oldest }));
    let (revision, _) = store.scan("").await.expect("a scan");
    assert!(revision >= oldest, "a scan is new enough for a watch");
    let mut watch = watch(&*store, "", revision).await;
    let change = committed(&*store, Txn::new().put("a", "3")).await;
    assert_eq!(text(&next(&mut watch).await), of(change, &["a=3"]));
}

/// Dropping the call that waits loses nothing.
pub async fn m3_a_watch_may_be_dropped_while_it_waits_and_asked_again(harness: &mut dyn Harness) {
    let store = harness.open().await;
    let start = committed(&*store, Txn::new().put("a", "1")).await;
    let mut watch = watch(&*store, "a", start).await;
    for n in 0..10 {
        assert!(futures::poll!(std::pin::pin!(watch.next())).is_pending());
        let changed = committed(&*store, Txn::new().put("a", n.to_string())).await;
        committed(&*store, Txn::new().put("b", "other")).await;
        assert_eq!(text(&next(&mut watch).await), of(changed, &[&format!("a={n}")]));
    }
}

/// Watches that run beside many writers arrive at what a scan shows, in rising revisions.
pub async fn m3_watches_beside_writers_see_what_a_scan_sees(harness: &mut dyn Harness) {
    const WRITERS: u64 = 4;
    const TIMES: u64 = 25;
    let store = harness.open().await;
    let (start, _) = store.scan("").await.expect("a scan");
    let write = |writer: u64| {
        let store = store.clone();
        async move {
            for n in 0..TIMES {
                let (mine, shared) = (format!("k/{writer}/{}", n % 3), format!("k/{}", n % 5));
                let txn = Txn::new().put(mine, n.to_string()).put(shared.clone(), writer.to_string());
                committed(&*store, txn).await;
                committed(&*store, Txn::new().delete(shared).put(format!("k/{writer}/n"), n.to_string()))
                    .await;
            }
        }
    };
    let follow = || async {
        let mut watch = watch(&*store, "k/", start).await;
        let (mut state, mut last) = (BTreeMap::new(), start);
        let ended = |state: &BTreeMap<String, bytes::Bytes>| {
            let last = (TIMES - 1).to_string();
            (0..WRITERS)
                .all(|writer| state.get(&format!("k/{writer}/n")).is_some_and(|n| n == last.as_bytes()))
        };
        while !ended(&state) {
            let changes = next(&mut watch).await;
            let revision = changes[0].revision;
            assert!(revision > last, "{revision} came after {last}");
            assert!(changes.iter().all(|change| change.revision == revision));
            last = revision;
            for change in changes {
                match change.kind {
                    ChangeKind::Put(entry) => state.insert(entry.key, entry.value),
                    ChangeKind::Delete { key } => state.remove(&key),
                };
            }
        }
        (last, state)
    };
    let writers = futures::future::join_all((0..WRITERS).map(write));
    let (_, one, other) = futures::join!(writers, follow(), follow());
    let (revision, entries) = store.scan("k/").await.expect("a scan");
    let scanned: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(one, (revision, scanned));
    assert_eq!(one, other);
}

async fn yield_once() {
    let mut yielded = false;
    futures::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// A scan sees all of a commit or nothing of it, and orders keys by their bytes.
pub async fn m4_a_scan_is_one_revision_in_key_order(harness: &mut dyn Harness) {
    let store = harness.open().await;
    let keys = ["s", "s/", "s/10", "s/9", "s/a", "s/é", "s0", "t"];
    let all = |n: u64| keys.iter().fold(Txn::new(), |txn, key| txn.put(*key, n.to_string()));
    committed(&*store, all(0)).await;
    let write = async {
        for n in 1..=50 {
            committed(&*store, all(n)).await;
        }
    };
    let read = async {
        let mut last = Revision(0);
        for _ in 0..200 {
            yield_once().await;
            let (revision, entries) = store.scan("s/").await.expect("a scan");
            let seen: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
            assert_eq!(seen, ["s/", "s/10", "s/9", "s/a", "s/é"]);
            assert!(entries.iter().all(|e| e.value == entries[0].value && e.modified == revision));
            assert!(revision >= last);
            last = revision;
        }
    };
    // Reads take turns with the writer on one thread, and meet its syncs on another.
    futures::join!(write, read);
}
