//! M1: transactions.

use bytes::Bytes;

use super::{Harness, committed, conflict, get, texts};
use crate::entry::Revision;
use crate::error::MetaError;
use crate::txn::{CommitOutcome, Condition, Txn};

/// A commit that returned is there in the store that is opened next, with its revisions.
pub async fn m1_a_commit_that_returned_is_there_when_the_store_is_opened_again(harness: &mut dyn Harness) {
    let store = harness.open().await;
    committed(&*store, Txn::new().put("a", "1").put("b", "2")).await;
    let last = committed(&*store, Txn::new().put("a", "3").delete("b")).await;
    let before = get(&*store, "a").await;
    drop(store);
    let store = harness.open().await;
    assert_eq!(get(&*store, "a").await, before);
    assert_eq!(texts(&*store, "").await, [("a".to_owned(), "3".to_owned())]);
    assert!(committed(&*store, Txn::new().put("c", "4")).await > last, "revisions grow over a restart");
}

/// Of many writers that count one key up, each on condition that nobody else did, none is lost.
pub async fn m1_conditions_and_writes_hold_at_one_revision(harness: &mut dyn Harness) {
    const WRITERS: u64 = 8;
    const TIMES: u64 = 20;
    let store = harness.open().await;
    let count = |entry: &Option<crate::Entry>| -> u64 {
        let text = entry.as_ref().map_or(Bytes::from_static(b"0"), |entry| entry.value.clone());
        std::str::from_utf8(&text).expect("written as text").parse().expect("written as a number")
    };
    let writer = || async {
        let mut done = Vec::new();
        while (done.len() as u64) < TIMES {
            let entry = get(&*store, "count").await;
            let next = (count(&entry) + 1).to_string();
            let read = entry.map(|entry| entry.modified);
            let txn = Txn::new().require_unchanged("count", read).put("count", next);
            if let CommitOutcome::Committed(revision) = store.commit(txn).await.expect("a commit") {
                done.push(revision);
            }
        }
        done
    };
    let all = futures::future::join_all((0..WRITERS).map(|_| writer())).await;
    let mut revisions: Vec<Revision> = all.into_iter().flatten().collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len() as u64, WRITERS * TIMES, "each commit has a revision of its own");
    let entry = get(&*store, "count").await;
    assert_eq!(count(&entry), WRITERS * TIMES);
    assert_eq!(entry.map(|entry| entry.modified), revisions.last().copied());
}

/// Revisions grow by every change, and a key that is made anew is younger than its deletion.
pub async fn m1_revisions_only_grow_also_over_deletes(harness: &mut dyn Harness) {
    let store = harness.open().await;
    let made = committed(&*store, Txn::new().put("a", "1")).await;
    let changed = committed(&*store, Txn::new().put("a", "2")).await;
    let entry = get(&*store, "a").await.expect("was put");
    assert_eq!((entry.created, entry.modified), (made, changed));
    let deleted = committed(&*store, Txn::new().delete("a")).await;
    assert!(made < changed && changed < deleted);
    assert_eq!(get(&*store, "a").await, None);
    let (scanned, _) = store.scan("").await.expect("a scan");
    assert_eq!(scanned, deleted, "the deletion is the newest revision although nothing is left");
    let again = committed(&*store, Txn::new().put("a", "1")).await;
    let entry = get(&*store, "a").await.expect("was put");
    assert!(again > deleted);
    assert_eq!((entry.created, entry.modified), (again, again));
}

/// All conditions are judged, and one that fails stops every write.
pub async fn m1_a_conflict_names_every_failed_condition_and_writes_nothing(harness: &mut dyn Harness) {
    let store = harness.open().await;
    let first = committed(&*store, Txn::new().put("a", "1")).await;
    let second = committed(&*store, Txn::new().put("a", "2")).await;
    let txn = Txn::new()
        .require(Condition::Absent("a".into()))
        .require(Condition::Exists("a".into()))
        .require(Condition::Exists("b".into()))
        .require(Condition::ModifiedAt("a".into(), first))
        .require(Condition::ModifiedAt("a".into(), second))
        .require(Condition::ModifiedAt("b".into(), second))
        .require(Condition::ValueIs("a".into(), "1".into()))
        .require(Condition::ValueIs("a".into(), "2".into()))
        .require(Condition::ValueIs("b".into(), Bytes::new()))
        .require(Condition::Absent("b".into()))
        .put("c", "3")
        .delete("a");
    assert_eq!(conflict(&*store, txn).await, [0, 2, 3, 5, 6, 8]);
    assert_eq!(texts(&*store, "").await, [("a".to_owned(), "2".to_owned())]);
    let (revision, _) = store.scan("").await.expect("a scan");
    assert_eq!(revision, second);
    let holds =
        Txn::new().require(Condition::ValueIs("a".into(), "2".into())).require_absent("b").delete("a");
    committed(&*store, holds).await;
    assert_eq!(get(&*store, "a").await, None);
}

/// A later write of a transaction sees the earlier ones; conditions see none of them.
pub async fn m1_writes_take_effect_in_order(harness: &mut dyn Harness) {
    let store = harness.open().await;
    let base = Txn::new().put("p/1", "old").put("p/2", "old").put("q", "old");
    let made = committed(&*store, base).await;
    let txn = Txn::new()
        .require_absent("p/3")
        .put("p/3", "gone again")
        .delete_prefix("p/")
        .put("p/2", "new")
        .put("q", "newer")
        .put("q", "newest")
        .delete("r");
    let revision = committed(&*store, txn).await;
    let (scanned, entries) = store.scan("").await.expect("a scan");
    assert_eq!(scanned, revision);
    let seen: Vec<_> =
        entries.iter().map(|e| (e.key.as_str(), &e.value[..], e.created, e.modified)).collect();
    let expected = [("p/2", &b"new"[..], made, revision), ("q", &b"newest"[..], made, revision)];
    assert_eq!(seen, expected, "both were changed in place: no revision is without them");
}

/// Asking, and deleting what is not there, leave the revision as it is.
pub async fn m1_a_transaction_that_changes_nothing_makes_no_revision(harness: &mut dyn Harness) {
    let store = harness.open().await;
    let made = committed(&*store, Txn::new().put("a", "1")).await;
    assert_eq!(committed(&*store, Txn::new()).await, made);
    assert_eq!(committed(&*store, Txn::new().require(Condition::Exists("a".into()))).await, made);
    let nothing = Txn::new().delete("b").delete_prefix("c/").put("d", "1").delete("d");
    assert_eq!(committed(&*store, nothing).await, made);
    assert_eq!(committed(&*store, Txn::new().put("a", "1")).await, made.next(), "a put is a change");
}

/// The empty text is a prefix of everything but no key.
pub async fn m1_an_empty_key_is_refused(harness: &mut dyn Harness) {
    let store = harness.open().await;
    for txn in [Txn::new().put("", "1"), Txn::new().delete(""), Txn::new().require_absent("").put("a", "1")] {
        let refused = store.commit(txn).await;
        assert!(matches!(refused, Err(MetaError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(get(&*store, "").await, None);
    assert_eq!(texts(&*store, "").await, []);
}
