//! What clients were told, and whether what is there agrees with it.

use std::collections::BTreeMap;

use cinclus_types::Keys;
use rustc_hash::{FxHashMap, FxHashSet};

use super::calls::SHARDS;
use super::request::{Fact, Request, Write};
use super::violation::{Broken, Violation};

/// Keys of one client stand in a range of so many.
pub(super) const KEYS_OF_A_CLIENT: i64 = 1 << 40;

/// All that is known of one key.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// After the last acknowledged write.
    settled: Fact,
    /// After the write that is under way, or that never got an answer: then it may happen or not, and no other
    /// write names the key any more.
    open: Option<Fact>,
}

/// The writes of all clients and their answers.
#[derive(Debug, Default)]
pub(super) struct History {
    keys: FxHashMap<i64, Known>,
    /// Keys from here on were not written yet, by client.
    unused: BTreeMap<i64, i64>,
    /// Each row is reported once.
    reported: FxHashSet<i64>,
}

/// What a read that is sent now has to show.
#[derive(Clone, Debug)]
pub(super) struct Expectation(Vec<(i64, Option<Fact>)>);

impl History {
    /// A write is sent.
    pub(super) fn send(&mut self, request: &Request) {
        let fact = request.fact();
        for &key in &request.keys {
            let unused = self.unused.entry(key / KEYS_OF_A_CLIENT).or_default();
            *unused = (*unused).max(key + 1);
            let nothing = Fact { version: 0, there: false };
            if request.write == Write::Insert {
                self.keys.insert(key, Known { settled: nothing, open: Some(fact) });
            } else if let Some(known) = self.keys.get_mut(&key) {
                known.open = Some(fact);
            }
        }
    }

    /// It was acknowledged.
    pub(super) fn acknowledge(&mut self, request: &Request) {
        for &key in &request.keys {
            self.settle(key, request.fact());
        }
    }

    fn settle(&mut self, key: i64, fact: Fact) {
        if !fact.there {
            // Its client does not write it again.
            self.keys.remove(&key);
        } else if let Some(known) = self.keys.get_mut(&key) {
            *known = Known { settled: fact, open: None };
        }
    }

    /// What a read of these keys has to show if it is sent now.
    pub(super) fn expect(&self, keys: Vec<i64>) -> Expectation {
        Expectation(
            keys.into_iter().map(|key| (key, self.keys.get(&key).map(|known| known.settled))).collect(),
        )
    }

    /// Compares what a Strong read found, key and version of each row, with what was known when it was sent. Writes
    /// that were under way meanwhile may show or not.
    pub(super) fn judge(&mut self, expected: &Expectation, found: &[(i64, i64)]) -> Vec<Violation> {
        let mut rows: FxHashMap<i64, i64> = FxHashMap::default();
        let mut violations = Vec::new();
        for &(key, version) in found {
            if rows.insert(key, version).is_some() {
                violations.push(Violation::new(Broken::Repeated, key, "a read shows it twice"));
            }
        }
        for (key, settled) in &expected.0 {
            let now = self.keys.get(key);
            violations.extend(judge_key(*key, *settled, now, rows.get(key).copied()));
        }
        self.once(violations)
    }

    /// Compares all rows that there are, key and version of each, with all that was acknowledged. Nothing may be
    /// under way. A write without an answer that shows has happened, from now on.
    pub(super) fn check(&mut self, found: &[(i64, i64)]) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut seen: FxHashMap<i64, i64> = FxHashMap::default();
        let mut happened = Vec::new();
        for &(key, version) in found {
            if seen.insert(key, version).is_some() {
                violations.push(Violation::new(Broken::Repeated, key, "it is there twice"));
                continue;
            }
            match self.keys.get(&key) {
                Some(known) if known.settled == (Fact { version, there: true }) => {}
                Some(Known { open: Some(open), .. }) if *open == (Fact { version, there: true }) => {
                    happened.push((key, *open));
                }
                Some(Known { settled, .. }) => violations.push(wrong_version(key, *settled, version)),
                None => violations.push(self.unexpected(key, version)),
            }
        }
        for (&key, known) in &self.keys {
            match known {
                _ if seen.contains_key(&key) => {}
                Known { open: Some(open), .. } if !open.there => happened.push((key, *open)),
                Known { settled, .. } if settled.there => violations.push(missing(key, *settled)),
                Known { .. } => {}
            }
        }
        violations.extend(self.torn(&seen));
        for (key, fact) in happened {
            self.settle(key, fact);
        }
        violations.sort_by_key(|violation| violation.key);
        self.once(violations)
    }

    /// A request is a transaction in each shard: without an answer it happened to all of its rows there, or to none.
    fn torn(&self, found: &FxHashMap<i64, i64>) -> Vec<Violation> {
        // Of each such write in each shard, a row that shows it and one that does not.
        let mut parts: BTreeMap<(i64, i64, u32), [Option<i64>; 2]> = BTreeMap::new();
        for (&key, known) in &self.keys {
            let Some(open) = known.open else { continue };
            let shard = Keys::Int64(vec![key]).shard_of(0, SHARDS as u32);
            let shows = found.get(&key).copied() == open.there.then_some(open.version);
            let part = parts.entry((key / KEYS_OF_A_CLIENT, open.version, shard)).or_default();
            let row = &mut part[usize::from(shows)];
            *row = Some(row.map_or(key, |first| first.min(key)));
        }
        let torn = parts.into_iter().filter_map(|((_, version, shard), part)| {
            let [Some(without), Some(with)] = part else { return None };
            let said = format!(
                "write {version} without an answer is not there, and it is for key {with} of the same shard {shard}"
            );
            Some(Violation::new(Broken::Torn, without, said))
        });
        torn.collect()
    }

    /// A row that is found and was not expected: one that was deleted, or one that nobody wrote.
    fn unexpected(&self, key: i64, version: i64) -> Violation {
        match self.unused.get(&(key / KEYS_OF_A_CLIENT)) {
            Some(unused) if key < *unused => {
                let said = format!("its delete was acknowledged, version {version} is there");
                Violation::new(Broken::Lost, key, said)
            }
            Some(_) | None => {
                Violation::new(Broken::Stray, key, format!("nobody wrote it (version {version})"))
            }
        }
    }

    /// Only the first violation of a row.
    pub(super) fn once(&mut self, mut violations: Vec<Violation>) -> Vec<Violation> {
        violations.retain(|violation| self.reported.insert(violation.key));
        violations
    }

    /// How many keys have a write without an answer.
    pub(super) fn open(&self) -> usize {
        self.keys.values().filter(|known| known.open.is_some()).count()
    }
}

fn missing(key: i64, settled: Fact) -> Violation {
    Violation::new(
        Broken::Lost,
        key,
        format!("version {} was acknowledged, there is no row", settled.version),
    )
}

fn wrong_version(key: i64, settled: Fact, version: i64) -> Violation {
    let said = format!("version {} was acknowledged, version {version} is there", settled.version);
    let broken = if settled.there && version < settled.version { Broken::Lost } else { Broken::Stray };
    Violation::new(broken, key, said)
}

/// One key of a read: `settled` when it was sent, `now` when it is answered.
fn judge_key(key: i64, settled: Option<Fact>, now: Option<&Known>, row: Option<i64>) -> Option<Violation> {
    let Some(settled) = settled else {
        // It was deleted for good before the read was sent.
        let version = row?;
        let said = format!("its delete was acknowledged, a Strong read shows version {version}");
        return Some(Violation::new(Broken::Stale, key, said));
    };
    let acknowledged = settled.version;
    match row {
        Some(version) if version >= acknowledged => None,
        Some(version) => {
            let said =
                format!("version {acknowledged} was acknowledged, a Strong read shows version {version}");
            Some(Violation::new(Broken::Stale, key, said))
        }
        // Nothing to see yet, or nothing any more: a delete came, or is under way.
        None if !settled.there => None,
        None => match now {
            None => None,
            Some(Known { open: Some(open), .. }) if !open.there => None,
            Some(_) => {
                let said = format!("version {acknowledged} was acknowledged, a Strong read shows no row");
                Some(Violation::new(Broken::Stale, key, said))
            }
        },
    }
}
