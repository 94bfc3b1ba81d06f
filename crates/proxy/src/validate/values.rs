//! Judging the values of one column.

use std::ops::RangeInclusive;

use cinclus_types::proto::schema::{ScalarField, scalar_field};
use cinclus_types::{DataType, FieldSchema};
use serde::de::IgnoredAny;

use crate::validate::RowError;

/// Bytes of a JSON value, at most.
pub(crate) const JSON_BYTES_MAX: usize = 65536;

/// The numbers that an integer type holds; everything for other types.
#[must_use]
pub fn int_range(data_type: DataType) -> RangeInclusive<i64> {
    match data_type {
        DataType::Int8 => i64::from(i8::MIN)..=i64::from(i8::MAX),
        DataType::Int16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        DataType::Int32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        DataType::Bool
        | DataType::Int64
        | DataType::Float
        | DataType::Double
        | DataType::VarChar
        | DataType::Json
        | DataType::Array
        | DataType::FloatVector => i64::MIN..=i64::MAX,
    }
}

/// Checks floats.
///
/// # Errors
/// The first that is not a number, or infinite.
pub fn finite(field: &FieldSchema, values: &[f32]) -> Result<(), RowError> {
    /// All bits of the exponent are set in infinities and in what is not a number, and in nothing else.
    const EXPONENT: u32 = 0x7f80_0000;
    // Without a way out of the inner loop it is compiled to vector instructions: vectors are most of what
    // is inserted.
    let odd = |part: &&[f32]| part.iter().fold(false, |odd, v| odd | (v.to_bits() & EXPONENT == EXPONENT));
    match values.chunks(1024).find(odd) {
        None => Ok(()),
        Some(part) => finite_doubles(field, part.iter().map(|value| f64::from(*value))),
    }
}

/// Checks doubles.
///
/// # Errors
/// The first that is not a number, or infinite.
pub fn finite_doubles(field: &FieldSchema, values: impl IntoIterator<Item = f64>) -> Result<(), RowError> {
    match values.into_iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(RowError::NotFinite { field: field.name.clone(), value: not_finite(value) }),
    }
}

/// What is not finite, as Milvus writes it.
fn not_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => "NaN",
    }
}

/// Checks the values of a scalar column (or of one Array) against the field.
///
/// # Errors
/// The first value that does not fit.
pub fn scalars(field: &FieldSchema, data_type: DataType, values: &ScalarField) -> Result<(), RowError> {
    use scalar_field::Data;
    let Some(data) = &values.data else { return Ok(()) };
    match (data_type, data) {
        (DataType::Bool, Data::BoolData(_)) | (DataType::Int64, Data::LongData(_)) => Ok(()),
        (DataType::Int8 | DataType::Int16 | DataType::Int32, Data::IntData(values)) => {
            let range = int_range(data_type);
            match values.data.iter().enumerate().find(|(_, v)| !range.contains(&i64::from(**v))) {
                None => Ok(()),
                Some((row, value)) => Err(RowError::OutOfRange {
                    row,
                    value: i64::from(*value),
                    low: *range.start(),
                    high: *range.end(),
                }),
            }
        }
        (DataType::Float, Data::FloatData(values)) => finite(field, &values.data),
        (DataType::Double, Data::DoubleData(values)) => finite_doubles(field, values.data.iter().copied()),
        (DataType::VarChar, Data::StringData(values)) => {
            let limit = field.max_length();
            match values.data.iter().enumerate().find(|(_, text)| text.len() > limit) {
                None => Ok(()),
                Some((row, text)) => {
                    Err(RowError::TooLong { field: field.name.clone(), row, length: text.len(), limit })
                }
            }
        }
        (DataType::Json, Data::JsonData(values)) => json(field, &values.data),
        (DataType::Array, Data::ArrayData(values)) => arrays(field, &values.data),
        _ => Err(RowError::WrongType { field: field.name.clone(), expected: data_type }),
    }
}

fn arrays(field: &FieldSchema, rows: &[ScalarField]) -> Result<(), RowError> {
    let element = field.element_type.unwrap_or(DataType::Int64);
    let limit = field.max_capacity();
    for (row, values) in rows.iter().enumerate() {
        let length = crate::convert::columns::scalar_len(values);
        if length > limit {
            return Err(RowError::TooMany { field: field.name.clone(), row, length, limit });
        }
        // The log has no form for them: such rows could not be read back.
        if values.valid_data.contains(&false) {
            return Err(RowError::NullItem { field: field.name.clone(), row });
        }
        scalars(field, element, values).map_err(|error| in_row(error, row))?;
    }
    Ok(())
}

/// What is wrong with an item, told of its row.
fn in_row(error: RowError, row: usize) -> RowError {
    if let RowError::TooLong { field, row: item, length, limit } = error {
        RowError::ItemTooLong { field, row, item, length, limit }
    } else if let RowError::WrongType { field, expected } = error {
        RowError::WrongItems { field, expected }
    } else {
        error
    }
}

fn json(field: &FieldSchema, rows: &[bytes::Bytes]) -> Result<(), RowError> {
    for (row, text) in rows.iter().enumerate() {
        let length = text.len();
        if length > JSON_BYTES_MAX {
            return Err(RowError::JsonTooLong { field: field.name.clone(), length, limit: JSON_BYTES_MAX });
        }
        let bad = |reason: String| RowError::Json { field: field.name.clone(), row, reason };
        if std::str::from_utf8(text).is_err() {
            return Err(bad("it is not UTF-8 text".to_owned()));
        }
        if field.dynamic {
            // The two bytes that a client without extra values sends for each row.
            if text.as_ref() != b"{}" {
                serde_json::from_slice::<Keyed>(text).map_err(|error| bad(error.to_string()))?;
            }
        } else {
            serde_json::from_slice::<IgnoredAny>(text).map_err(|error| bad(error.to_string()))?;
        }
    }
    Ok(())
}

/// A JSON object whose keys may stand in `$meta`.
struct Keyed;

impl<'de> serde::Deserialize<'de> for Keyed {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Keyed, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Keyed;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keyed, A::Error> {
                while let Some((key, IgnoredAny)) =
                    map.next_entry::<std::borrow::Cow<'de, str>, IgnoredAny>()?
                {
                    if key == cinclus_types::CollectionSchema::DYNAMIC_FIELD {
                        return Err(serde::de::Error::custom("the key $meta is reserved"));
                    }
                }
                Ok(Keyed)
            }
        }
        from.deserialize_map(Visitor)
    }
}
