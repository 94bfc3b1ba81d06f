//! From a primary key to its rows.

use std::ops::ControlFlow;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// From the hash of a key to the rows of that key, newest first. Keys themselves stay in their column:
/// the caller says whether a row has the key that is meant.
///
/// Open addressing with linear probing; a slot is the lower half of the hash and the row, so growing a
/// table touches no key. Sixteen tables by the upper bits of the hash, each behind a lock of its own, so
/// that growing one stops a reader for no longer than a sixteenth of the rows take.
#[derive(Debug, Default)]
pub(crate) struct KeyIndex {
    tables: [RwLock<Table>; TABLES],
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<u64>,
    used: usize,
    /// From a row to the row of the same key before it: only rows that have one.
    previous: FxHashMap<u32, u32>,
}

const TABLES: usize = 16;
const EMPTY: u64 = u64::MAX;
const LEAST_SLOTS: usize = 8;

fn slot(hash: u64, row: u32) -> u64 {
    hash << 32 | u64::from(row)
}

impl KeyIndex {
    /// Adds the newest row of a key. `same` says whether a row has this key.
    pub(crate) fn insert(&self, hash: u64, row: u32, same: impl Fn(u32) -> bool) {
        let mut table = self.table(hash).write();
        if (table.used + 1) * 5 > table.slots.len() * 4 {
            let slots = (table.slots.len() * 2).max(LEAST_SLOTS);
            table.grow(slots);
        }
        let at = table.find(hash, same);
        let found = table.slots[at];
        table.slots[at] = slot(hash, row);
        if found == EMPTY {
            table.used += 1;
        } else {
            table.previous.insert(row, found as u32);
        }
    }

    /// Visits the rows of a key, newest first, until `visit` breaks. `same` says whether a row has this key.
    pub(crate) fn visit<B>(
        &self,
        hash: u64,
        same: impl Fn(u32) -> bool,
        mut visit: impl FnMut(u32) -> ControlFlow<B>,
    ) -> Option<B> {
        let table = self.table(hash).read();
        if table.slots.is_empty() {
            return None;
        }
        let found = table.slots[table.find(hash, same)];
        let mut next = (found != EMPTY).then_some(found as u32);
        while let Some(row) = next {
            if let ControlFlow::Break(value) = visit(row) {
                return Some(value);
            }
            next = table.previous.get(&row).copied();
        }
        None
    }

    /// Makes room for so many more keys.
    pub(crate) fn reserve(&self, keys: usize) {
        // A sixteenth of random keys is seldom more than an eighth off.
        let each = keys / TABLES + keys / TABLES / 8;
        for table in &self.tables {
            let mut table = table.write();
            let slots = ((table.used + each) * 5 / 4 + 1).next_power_of_two();
            if each > 0 && slots > table.slots.len().max(LEAST_SLOTS) {
                table.grow(slots);
            }
        }
    }

    /// Whether some key has more than one row.
    pub(crate) fn has_repeats(&self) -> bool {
        self.tables.iter().any(|table| !table.read().previous.is_empty())
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.tables.iter().map(|table| table.read().heap_bytes()).sum()
    }

    fn table(&self, hash: u64) -> &RwLock<Table> {
        &self.tables[(hash >> 60) as usize]
    }
}

impl Table {
    /// The slot of the key, or the empty one where it belongs.
    fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as u32 as usize & mask;
        loop {
            let found = self.slots[at];
            if found == EMPTY || ((found >> 32) as u32 == hash as u32 && same(found as u32)) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots]);
        for found in old.into_iter().filter(|&found| found != EMPTY) {
            let mut at = (found >> 32) as usize & (slots - 1);
            while self.slots[at] != EMPTY {
                at = (at + 1) & (slots - 1);
            }
            self.slots[at] = found;
        }
    }

    fn heap_bytes(&self) -> usize {
        // A map entry is a pair of rows and a control byte; the map is at most 7/8 full.
        self.slots.capacity() * size_of::<u64>() + self.previous.capacity() * 8 / 7 * 9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(index: &KeyIndex, keys: &[u64], key: u64, hash: impl Fn(u64) -> u64) -> Vec<u32> {
        let mut found = Vec::new();
        let same = |row: u32| keys[row as usize] == key;
        index.visit::<()>(hash(key), same, |row| {
            found.push(row);
            ControlFlow::Continue(())
        });
        found
    }

    #[test]
    fn rows_of_a_key_come_newest_first_also_when_all_hashes_collide() {
        let spread = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let collide = |_: u64| 7 << 60 | 5;
        for hash in [&spread as &dyn Fn(u64) -> u64, &collide] {
            let index = KeyIndex::default();
            let keys: Vec<u64> = (0..600).map(|row| row % 200).collect();
            for (row, &key) in keys.iter().enumerate() {
                index.insert(hash(key), row as u32, |other| keys[other as usize] == key);
            }
            assert!(index.has_repeats());
            for key in 0..200 {
                let expected: Vec<u32> = [400, 200, 0].map(|first| first + key as u32).to_vec();
                assert_eq!(rows(&index, &keys, key, hash), expected);
            }
            assert!(rows(&index, &keys, 200, hash).is_empty());
        }
    }

    #[test]
    fn a_key_costs_at_most_twenty_bytes_and_a_visit_can_stop() {
        let hash = |key: u64| xxhash_rust::xxh3::xxh3_64(&key.to_le_bytes());
        let index = KeyIndex::default();
        for key in 0..100_000_u64 {
            index.insert(hash(key), key as u32, |_| false);
        }
        assert!(index.heap_bytes() <= 100_000 * 21, "{}", index.heap_bytes());
        assert!(!index.has_repeats());
        assert_eq!(index.visit(hash(7), |row| row == 7, ControlFlow::Break), Some(7));
        assert_eq!(index.visit(hash(100_001), |_| false, ControlFlow::Break), None);
    }
}
