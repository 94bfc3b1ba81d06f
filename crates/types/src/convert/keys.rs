//! Columns of primary keys from and to `schema.IDs`.

use crate::proto::schema as wire;
use crate::proto::schema::i_ds::IdField;
use crate::{Advice, Keys, Strings};

/// Why `schema.IDs` cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeysError {
    /// No column is there, so not even the type of the keys is known.
    #[error("the primary keys are neither int_id nor str_id")]
    Untyped,
    /// Keys are UUIDs.
    #[error("primary keys of type UUID are not supported")]
    Uuid,
}

impl KeysError {
    /// The bytes will not get better.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        Advice::Reject
    }
}

/// Reads `schema.IDs`.
///
/// # Errors
/// The keys are neither Int64 nor VarChar.
pub fn keys_from_wire(ids: wire::IDs) -> Result<Keys, KeysError> {
    match ids.id_field {
        Some(IdField::IntId(ids)) => Ok(Keys::Int64(ids.data)),
        Some(IdField::StrId(ids)) => Ok(Keys::VarChar(strings(&ids.data))),
        Some(IdField::UuidId(_)) => Err(KeysError::Uuid),
        None => Err(KeysError::Untyped),
    }
}

/// Writes `schema.IDs`.
#[must_use]
pub fn keys_to_wire(keys: Keys) -> wire::IDs {
    let field = match keys {
        Keys::Int64(data) => IdField::IntId(wire::LongArray { data }),
        Keys::VarChar(texts) => {
            let data = (0..texts.len()).map(|row| texts.text(row).to_owned()).collect();
            IdField::StrId(wire::StringArray { data })
        }
    };
    wire::IDs { id_field: Some(field) }
}

/// Packs byte strings into one column.
pub(crate) fn strings<S: AsRef<[u8]>>(values: &[S]) -> Strings {
    let bytes = values.iter().map(|value| value.as_ref().len()).sum();
    let mut strings = Strings::with_capacity(values.len(), bytes);
    values.iter().for_each(|value| strings.push(value));
    strings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        for keys in [Keys::Int64(vec![3, -1]), Keys::VarChar(["b", ""].into_iter().collect())] {
            assert_eq!(keys_from_wire(keys_to_wire(keys.clone())), Ok(keys));
        }
        assert_eq!(keys_from_wire(wire::IDs::default()), Err(KeysError::Untyped));
    }
}
