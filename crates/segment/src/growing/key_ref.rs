//! A primary key in place.

use cinclus_types::{ColumnData, Key, Keys};

/// A primary key that is not copied out of its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyRef<'a> {
    Int64(i64),
    VarChar(&'a [u8]),
}

/// Other than the seed of the shard hash: the keys of one shard must still spread over all slots.
const SEED: u64 = 0x5e67_6d65_6e74_6b65;

impl<'a> KeyRef<'a> {
    /// The key of a row, if the column is one of keys.
    pub(crate) fn in_column(data: &'a ColumnData, row: usize) -> Option<KeyRef<'a>> {
        match data {
            ColumnData::Int64(values) => Some(KeyRef::Int64(values[row])),
            ColumnData::VarChar(values) => Some(KeyRef::VarChar(values.get(row))),
            ColumnData::Bool(_)
            | ColumnData::Int8(_)
            | ColumnData::Int16(_)
            | ColumnData::Int32(_)
            | ColumnData::Float(_)
            | ColumnData::Double(_)
            | ColumnData::Json(_)
            | ColumnData::Array(_)
            | ColumnData::FloatVector { .. } => None,
        }
    }

    pub(crate) fn of(key: &'a Key) -> KeyRef<'a> {
        match key {
            Key::Int64(key) => KeyRef::Int64(*key),
            Key::VarChar(key) => KeyRef::VarChar(key.as_bytes()),
        }
    }

    pub(crate) fn nth(keys: &'a Keys, row: usize) -> KeyRef<'a> {
        match keys {
            Keys::Int64(keys) => KeyRef::Int64(keys[row]),
            Keys::VarChar(keys) => KeyRef::VarChar(keys.get(row)),
        }
    }

    pub(crate) fn to_key(self) -> Key {
        match self {
            KeyRef::Int64(key) => Key::Int64(key),
            KeyRef::VarChar(key) => Key::VarChar(std::str::from_utf8(key).unwrap_or_default().into()),
        }
    }

    pub(crate) fn hash(self) -> u64 {
        match self {
            KeyRef::Int64(key) => xxhash_rust::xxh3::xxh3_64_with_seed(&key.to_le_bytes(), SEED),
            KeyRef::VarChar(key) => xxhash_rust::xxh3::xxh3_64_with_seed(key, SEED),
        }
    }
}
