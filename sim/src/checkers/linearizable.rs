//! Strong reads and writes of one key are linearizable: there is one order of all of them that keeps the order of
//! those that did not overlap, and in which each read answers what was written last. Ticks are not looked at.
//!
//! Goes through beginnings and ends in their order and keeps all states that are possible: the value, and which of
//! the writes under way have taken effect. A write whose outcome is unknown stays under way for ever.

use std::collections::{BTreeMap, BTreeSet};

use cinclus_rpc::Freshness;
use cinclus_types::VChannel;

use super::{Evidence, Finding};
use crate::history::{Change, Operation, Outcome, Wish};

/// With more possible states than that a key is given up, and counted.
const STATES_MAX: usize = 4_000;

/// What an operation is for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Write(Option<i64>),
    Read(Option<i64>),
}

/// One operation on one key.
struct Item<'a> {
    operation: &'a Operation,
    step: Step,
    /// Whether it may never have happened.
    unknown: bool,
}

/// A value, and the numbers of the writes under way that made it.
type State = (Option<i64>, BTreeSet<u64>);

/// Looks at every key whose history is that of a register: keys with deletes in one partition only are not.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut histories: BTreeMap<(&VChannel, i64), Vec<Item<'_>>> = BTreeMap::new();
    let mut excluded: BTreeSet<(&VChannel, i64)> = BTreeSet::new();
    for operation in &evidence.operations {
        match &operation.wish {
            Wish::Append { vchannel, changes, .. } => {
                let unknown = match operation.outcome {
                    Outcome::Refused(_) => continue,
                    Outcome::Unknown(_) => true,
                    Outcome::Appended(_) | Outcome::Answered(_) | Outcome::Done => false,
                };
                for (key, value) in written(changes, |key| {
                    excluded.insert((vchannel, key));
                }) {
                    let item = Item { operation, step: Step::Write(value), unknown };
                    histories.entry((vchannel, key)).or_default().push(item);
                }
            }
            Wish::Read { vchannel, freshness: Freshness::Strong, keys, count_only: false } => {
                let Outcome::Answered(answer) = &operation.outcome else { continue };
                let asked: Vec<i64> = match keys {
                    Some(keys) => keys.clone(),
                    None => (0..evidence.keys as i64).collect(),
                };
                for key in asked {
                    let step = Step::Read(answer.rows.get(&key).map(|row| row.0));
                    let item = Item { operation, step, unknown: false };
                    histories.entry((vchannel, key)).or_default().push(item);
                }
            }
            Wish::Read { .. } | Wish::Other(_) => {}
        }
    }
    let checked = histories.iter().filter(|(key, _)| !excluded.contains(key));
    checked.filter_map(|((vchannel, key), items)| one(evidence, vchannel, *key, items)).collect()
}

/// What a write does to each key: inserts come after deletes of the same tick.
fn written(changes: &[Change], mut exclude: impl FnMut(i64)) -> BTreeMap<i64, Option<i64>> {
    let mut written = BTreeMap::new();
    for change in changes {
        match change {
            Change::Insert { rows, .. } => {
                written.extend(rows.iter().map(|(key, value)| (*key, Some(*value))));
            }
            Change::Delete { partition: Some(_), keys } => keys.iter().for_each(|key| exclude(*key)),
            Change::Delete { partition: None, keys } => {
                for key in keys {
                    written.entry(*key).or_insert(None);
                }
            }
            Change::Flush => {}
        }
    }
    written
}

fn one(evidence: &Evidence, vchannel: &VChannel, key: i64, items: &[Item<'_>]) -> Option<Finding> {
    let read: BTreeSet<i64> = items
        .iter()
        .filter_map(|item| if let Step::Read(value) = item.step { value } else { None })
        .collect();
    // A write that nobody knows of and whose value nobody read need not have happened.
    let matters = |item: &&Item<'_>| match item.step {
        Step::Write(Some(value)) => !item.unknown || read.contains(&value),
        Step::Write(None) | Step::Read(_) => true,
    };
    let mut moments: BTreeMap<u64, (&Item<'_>, bool)> = BTreeMap::new();
    for item in items.iter().filter(matters) {
        moments.insert(item.operation.invoked, (item, true));
        if let Some(ended) = item.operation.ended.filter(|_| !item.unknown) {
            moments.insert(ended, (item, false));
        }
    }
    let mut states: BTreeSet<State> = BTreeSet::from([(None, BTreeSet::new())]);
    let mut under_way: BTreeMap<u64, Step> = BTreeMap::new();
    for (item, begins) in moments.into_values() {
        let number = item.operation.number;
        if begins {
            under_way.insert(number, item.step);
            continue;
        }
        let Some(possible) = after(&states, &under_way, number) else {
            evidence.tally.count("given up: linearizability");
            return None;
        };
        under_way.remove(&number);
        states = possible;
        evidence.tally.count("checked: linearizability");
        if states.is_empty() {
            let text = format!("{vchannel}, key {key}: operation {number}, {:?}, fits no order", item.step);
            return Some(Finding::new("Q3", text));
        }
    }
    None
}

/// The states in which an operation has taken effect, in whatever order with the others under way; `None` if there
/// are too many.
fn after(states: &BTreeSet<State>, under_way: &BTreeMap<u64, Step>, number: u64) -> Option<BTreeSet<State>> {
    let mut seen = states.clone();
    let mut open: Vec<State> = states.iter().cloned().collect();
    let mut done = BTreeSet::new();
    while let Some((value, taken)) = open.pop() {
        if taken.contains(&number) {
            let mut taken = taken;
            taken.remove(&number);
            done.insert((value, taken));
            continue;
        }
        for (next, step) in under_way.iter().filter(|(next, _)| !taken.contains(next)) {
            let value = match step {
                Step::Write(written) => *written,
                Step::Read(seen) if *seen == value => value,
                Step::Read(_) => continue,
            };
            let mut taken = taken.clone();
            taken.insert(*next);
            let state = (value, taken);
            if seen.insert(state.clone()) {
                open.push(state);
            }
        }
        if seen.len() > STATES_MAX {
            return None;
        }
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cinclus_types::{MessageId, PartitionId, Tick};

    use super::*;
    use crate::history::{Answer, By, History};
    use crate::tally::Tally;

    const PARTITION: PartitionId = PartitionId(1);

    fn vchannel() -> VChannel {
        VChannel::new("log_0_1v0")
    }

    fn write(history: &History) -> u64 {
        let changes = |number| vec![Change::Insert { partition: PARTITION, rows: vec![(7, number as i64)] }];
        history
            .begin(0, |number| Wish::Append {
                vchannel: vchannel(),
                changes: changes(number),
                key: None,
                by: By::Call,
            })
            .0
    }

    fn wrote(history: &History, number: u64) {
        let appended = cinclus_rpc::Appended {
            ids: Vec::new(),
            tick: Tick(1),
            sealed: Vec::new(),
            last_confirmed: MessageId::EARLIEST,
        };
        history.end(number, Outcome::Appended(appended));
    }

    fn read(history: &History, value: Option<i64>) {
        let wish = |_| Wish::Read {
            vchannel: vchannel(),
            freshness: Freshness::Strong,
            keys: Some(vec![7]),
            count_only: false,
        };
        let (number, _) = history.begin(1, wish);
        let rows = value.map(|value| (7, (value, Tick(1)))).into_iter().collect();
        history.end(number, Outcome::Answered(Answer { at: Tick(1), count: 0, rows }));
    }

    fn findings(history: &History) -> usize {
        let (evidence, _) = Evidence::new(history.operations(), BTreeMap::new(), Tally::default());
        check(&evidence).len()
    }

    #[test]
    fn a_read_that_misses_a_write_before_it_fits_no_order() {
        let history = History::default();
        let first = write(&history);
        wrote(&history, first);
        read(&history, Some(first as i64));
        assert_eq!(findings(&history), 0);
        let second = write(&history);
        // Under way: either is right, but not back.
        read(&history, Some(first as i64));
        read(&history, Some(second as i64));
        assert_eq!(findings(&history), 0);
        read(&history, Some(first as i64));
        assert_eq!(findings(&history), 1);
    }

    #[test]
    fn a_write_that_never_ended_may_come_at_any_time_or_never() {
        let history = History::default();
        let lost = write(&history);
        let second = write(&history);
        wrote(&history, second);
        read(&history, Some(second as i64));
        assert_eq!(findings(&history), 0);
        read(&history, Some(lost as i64));
        assert_eq!(findings(&history), 0);
        read(&history, None);
        assert_eq!(findings(&history), 1);
    }
}
