//! Single values: defaults of fields from and to `schema.ValueField`, and filling columns with them.

use crate::proto::schema as wire;
use crate::proto::schema::value_field::Data;
use crate::{ColumnData, DataType, Strings, Value};

/// The default of a field of a type; `None` if the value is not of that type.
#[must_use]
pub fn default_from_wire(value: &wire::ValueField, data_type: DataType) -> Option<Value> {
    let range = match data_type {
        DataType::Int8 => i64::from(i8::MIN)..=i64::from(i8::MAX),
        DataType::Int16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        DataType::Int32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        DataType::Int64
        | DataType::Bool
        | DataType::Float
        | DataType::Double
        | DataType::VarChar
        | DataType::Json
        | DataType::Array
        | DataType::FloatVector => i64::MIN..=i64::MAX,
    };
    match (data_type, value.data.as_ref()?) {
        (DataType::Bool, Data::BoolData(value)) => Some(Value::Bool(*value)),
        (DataType::Int8 | DataType::Int16 | DataType::Int32, Data::IntData(value)) => {
            Some(i64::from(*value)).filter(|value| range.contains(value)).map(Value::Int)
        }
        (DataType::Int64, Data::LongData(value)) => Some(Value::Int(*value)),
        (DataType::Float, Data::FloatData(value)) => Some(Value::Float(f64::from(*value))),
        (DataType::Double, Data::DoubleData(value)) => Some(Value::Float(*value)),
        (DataType::VarChar, Data::StringData(value)) => Some(Value::Text(value.clone())),
        (DataType::Json, Data::BytesData(value)) => serde_json::from_slice(value).ok().map(Value::Json),
        _ => None,
    }
}

/// The wire form of a default of a field of a type; `None` if the value is not of that type.
#[must_use]
pub fn default_to_wire(value: &Value, data_type: DataType) -> Option<wire::ValueField> {
    let data = match (data_type, value) {
        (DataType::Bool, Value::Bool(value)) => Data::BoolData(*value),
        (DataType::Int8 | DataType::Int16 | DataType::Int32, Value::Int(value)) => {
            Data::IntData(i32::try_from(*value).ok()?)
        }
        (DataType::Int64, Value::Int(value)) => Data::LongData(*value),
        (DataType::Float, Value::Float(value)) => Data::FloatData(*value as f32),
        (DataType::Double, Value::Float(value)) => Data::DoubleData(*value),
        (DataType::VarChar, Value::Text(value)) => Data::StringData(value.clone()),
        (DataType::Json, Value::Json(value)) => Data::BytesData(value.to_string().into_bytes().into()),
        _ => return None,
    };
    Some(wire::ValueField { data: Some(data) })
}

/// Puts a value at some rows, in ascending order; `None` if it is not of the column's type.
pub(crate) fn fill(data: &mut ColumnData, rows: impl Iterator<Item = usize>, value: &Value) -> Option<()> {
    match (data, value) {
        (ColumnData::Bool(values), Value::Bool(value)) => put(values, rows, *value),
        (ColumnData::Int8(values), Value::Int(value)) => put(values, rows, (*value).try_into().ok()?),
        (ColumnData::Int16(values), Value::Int(value)) => put(values, rows, (*value).try_into().ok()?),
        (ColumnData::Int32(values), Value::Int(value)) => put(values, rows, (*value).try_into().ok()?),
        (ColumnData::Int64(values), Value::Int(value)) => put(values, rows, *value),
        (ColumnData::Float(values), Value::Float(value)) => put(values, rows, *value as f32),
        (ColumnData::Double(values), Value::Float(value)) => put(values, rows, *value),
        (ColumnData::VarChar(values), Value::Text(value)) => put_text(values, rows, value),
        (ColumnData::Json(values), Value::Json(value)) => put_text(values, rows, &value.to_string()),
        _ => return None,
    }
    Some(())
}

fn put<T: Copy>(values: &mut [T], rows: impl Iterator<Item = usize>, value: T) {
    for row in rows {
        values[row] = value;
    }
}

/// Packed texts cannot be replaced in place: they are written anew.
fn put_text(values: &mut Strings, rows: impl Iterator<Item = usize>, value: &str) {
    let mut rows = rows.peekable();
    let mut fresh = Strings::with_capacity(values.len(), values.byte_len());
    for row in 0..values.len() {
        if rows.next_if_eq(&row).is_some() {
            fresh.push(value);
        } else {
            fresh.push(values.get(row));
        }
    }
    *values = fresh;
}
