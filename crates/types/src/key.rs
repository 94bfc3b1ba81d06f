//! Primary keys.

use serde::{Deserialize, Serialize};

use crate::Strings;

/// One primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// Of an Int64 field.
    Int64(i64),
    /// Of a VarChar field.
    VarChar(Box<str>),
}

/// A column of primary keys, all of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Of an Int64 field.
    Int64(Vec<i64>),
    /// Of a VarChar field.
    VarChar(Strings),
}

impl Keys {
    /// How many keys.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Keys::Int64(keys) => keys.len(),
            Keys::VarChar(keys) => keys.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Key {
        match self {
            Keys::Int64(keys) => Key::Int64(keys[row]),
            Keys::VarChar(keys) => Key::VarChar(keys.text(row).into()),
        }
    }

    /// All keys in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Key> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The rows named by `rows`, in that order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Keys {
        match self {
            Keys::Int64(keys) => Keys::Int64(rows.iter().map(|&row| keys[row]).collect()),
            Keys::VarChar(keys) => Keys::VarChar(rows.iter().map(|&row| keys.get(row)).collect()),
        }
    }

    /// The shard of each key: the hash that picks it is fixed for ever (golden test below).
    ///
    /// XXH3-64 with seed 0 over the 8 little-endian bytes of an Int64 or the UTF-8 bytes of a VarChar,
    /// modulo the number of shards.
    #[must_use]
    pub fn shard_of(&self, row: usize, shards: u32) -> u32 {
        let hash = match self {
            Keys::Int64(keys) => xxhash_rust::xxh3::xxh3_64(&keys[row].to_le_bytes()),
            Keys::VarChar(keys) => xxhash_rust::xxh3::xxh3_64(keys.get(row)),
        };
        (hash % u64::from(shards.max(1))) as u32
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Int64(key) => key.fmt(f),
            Key::VarChar(key) => key.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_hash_never_changes() {
        let numbers = Keys::Int64(vec![0, 1, 2, -1, i64::MAX, 1 << 40]);
        let shards: Vec<u32> = (0..6).map(|row| numbers.shard_of(row, 16)).collect();
        let texts = Keys::VarChar(["", "a", "cinclus"].into_iter().collect());
        let text_shards: Vec<u32> = (0..3).map(|row| texts.shard_of(row, 16)).collect();
        assert_eq!((shards, text_shards), (GOLDEN_NUMBERS.to_vec(), GOLDEN_TEXTS.to_vec()));
    }

    const GOLDEN_NUMBERS: [u32; 6] = [9, 14, 3, 3, 6, 6];
    const GOLDEN_TEXTS: [u32; 3] = [2, 15, 3];
}
