//! The checker sees what is wrong, and nothing else.

use cinclus_types::Keys;

use super::calls::SHARDS;
use super::history::{History, KEYS_OF_A_CLIENT};
use super::request::{Request, Write};
use super::violation::{Broken, Violation};

fn request(write: Write, keys: impl IntoIterator<Item = i64>, version: i64) -> Request {
    Request { write, keys: keys.into_iter().collect(), version }
}

/// Keys 0 to 9 were inserted with version 1, 2 and 3 upserted with version 2, 5 deleted: all acknowledged.
fn history() -> History {
    let mut history = History::default();
    for request in
        [request(Write::Insert, 0..10, 1), request(Write::Upsert, [2, 3], 2), request(Write::Delete, [5], 3)]
    {
        history.send(&request);
        history.acknowledge(&request);
    }
    history
}

/// What is there if nothing went wrong.
fn truth() -> Vec<(i64, i64)> {
    (0..10).filter(|key| *key != 5).map(|key| (key, if key == 2 || key == 3 { 2 } else { 1 })).collect()
}

fn kinds(violations: &[Violation]) -> Vec<(Broken, i64)> {
    violations.iter().map(|violation| (violation.broken, violation.key)).collect()
}

#[test]
fn the_truth_breaks_nothing() {
    assert_eq!(history().check(&truth()), []);
}

#[test]
fn a_lost_and_a_repeated_row_are_named() {
    let mut found = truth();
    found.retain(|(key, _)| *key != 7);
    found.push((8, 1));
    let mut history = history();
    let violations = history.check(&found);
    assert_eq!(kinds(&violations), [(Broken::Lost, 7), (Broken::Repeated, 8)]);
    assert_eq!(
        violations[0].to_string(),
        "lost: the row with key 7: version 1 was acknowledged, there is no row"
    );
    assert_eq!(history.check(&found), [], "each row is reported once");
}

#[test]
fn an_older_row_a_row_that_came_back_and_a_row_of_nobody_are_named() {
    let mut found = truth();
    found[2].1 = 1;
    found.extend([(5, 1), (10, 9), (KEYS_OF_A_CLIENT, 1)]);
    let mut broken = kinds(&history().check(&found));
    broken.sort();
    assert_eq!(
        broken,
        [(Broken::Lost, 2), (Broken::Lost, 5), (Broken::Stray, 10), (Broken::Stray, KEYS_OF_A_CLIENT)]
    );
    let mut found = truth();
    found[0].1 = 7;
    assert_eq!(kinds(&history().check(&found)), [(Broken::Stray, 0)], "nobody wrote this version");
}

#[test]
fn a_write_without_an_answer_may_have_happened_or_not_but_does_not_vanish_again() {
    for write in [Write::Insert, Write::Upsert, Write::Delete] {
        let key = if write == Write::Insert { 20 } else { 1 };
        let mut after = truth();
        after.retain(|row| row.0 != key);
        if write != Write::Delete {
            after.push((key, 4));
        }
        let mut history = history();
        history.send(&request(write, [key], 4));
        assert_eq!(history.check(&truth()), [], "{write:?} did not happen yet");
        assert_eq!(history.open(), 1);
        assert_eq!(history.check(&after), [], "{write:?} happened");
        assert_eq!(history.open(), 0);
        assert_eq!(kinds(&history.check(&truth())), [(Broken::Lost, key)], "{write:?} was there and is not");
    }
}

#[test]
fn a_strong_read_shows_what_was_acknowledged_before_it_was_sent() {
    let mut history = history();
    let expected = history.expect(vec![1, 2, 5, 9]);
    let delete = request(Write::Delete, [9], 6);
    history.send(&delete);
    history.send(&request(Write::Upsert, [1], 5));
    for found in [vec![(1, 1), (2, 2), (9, 1)], vec![(1, 5), (2, 2)]] {
        assert_eq!(history.judge(&expected, &found), [], "writes under way show or not");
    }
    history.acknowledge(&delete);
    assert_eq!(history.judge(&expected, &[(1, 1), (2, 2)]), [], "answered before the delete, or after");
    let stale = history.judge(&expected, &[(2, 1), (5, 1), (9, 1)]);
    assert_eq!(kinds(&stale), [(Broken::Stale, 1), (Broken::Stale, 2), (Broken::Stale, 5)]);
    let expected = history.expect(vec![4, 9]);
    let wrong = history.judge(&expected, &[(4, 1), (4, 1), (9, 1)]);
    assert_eq!(kinds(&wrong), [(Broken::Repeated, 4), (Broken::Stale, 9)]);
}

#[test]
fn a_write_without_an_answer_is_whole_in_each_shard() {
    let shard = |key: i64| Keys::Int64(vec![key]).shard_of(0, SHARDS as u32);
    let (ones, others): (Vec<i64>, Vec<i64>) = (20..40).partition(|key| shard(*key) == 0);
    assert!(ones.len() > 1 && !others.is_empty());
    let sent = || {
        let mut history = history();
        history.send(&request(Write::Insert, 20..40, 4));
        history
    };
    let with = |keys: &[i64]| truth().into_iter().chain(keys.iter().map(|key| (*key, 4))).collect::<Vec<_>>();
    // One shard did it, the other did not.
    assert_eq!(sent().check(&with(&ones)), []);
    assert_eq!(sent().check(&with(&others)), []);
    let violations = sent().check(&with(&ones[1..]));
    assert_eq!(kinds(&violations), [(Broken::Torn, ones[0])]);
    assert!(violations[0].said.contains("of the same shard"), "{}", violations[0]);
    // Deletes as well: of the keys of a shard all go, or none.
    let mut history = history();
    let keys: Vec<i64> = (0..10).filter(|key| shard(*key) == 0 && *key != 5).collect();
    assert!(keys.len() > 1);
    history.send(&request(Write::Delete, keys.iter().copied(), 5));
    let found: Vec<(i64, i64)> = truth().into_iter().filter(|(key, _)| *key != keys[0]).collect();
    assert_eq!(kinds(&history.check(&found)), [(Broken::Torn, keys[1])]);
}
