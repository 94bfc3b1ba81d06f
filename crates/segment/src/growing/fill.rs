//! The values of rows that are older than a field.

use std::borrow::Cow;

use cinclus_types::{CollectionSchema, Column, ColumnData, DataType, FieldId, FieldSchema, Strings, Value};

use super::Block;
use crate::SegmentError;

/// The column of a field in a block. If the block is older than the field, its rows have the default of
/// the field, or null.
pub(crate) fn filled<'a>(
    block: &'a Block,
    field: FieldId,
    schema: &CollectionSchema,
) -> Result<Cow<'a, Column>, SegmentError> {
    if let Some(column) = block.column(field) {
        return Ok(Cow::Borrowed(column));
    }
    if field == FieldId::TIMESTAMP {
        let ticks = (0..block.len()).map(|row| block.ticks().get(row).0 as i64).collect();
        return Ok(Cow::Owned(Column::new(field, ColumnData::Int64(ticks))));
    }
    let field = schema.field_by_id(field).ok_or(SegmentError::UnknownField(field))?;
    Ok(Cow::Owned(default_column(field, block.len())))
}

/// The values of some rows of a block, in this order, as [`filled`] gives them.
pub(super) fn filled_rows(
    block: &Block,
    field: FieldId,
    schema: &CollectionSchema,
    rows: &[usize],
) -> Result<Column, SegmentError> {
    if let Some(column) = block.column(field) {
        return Ok(column.take(rows));
    }
    if field == FieldId::TIMESTAMP {
        let ticks = rows.iter().map(|&row| block.ticks().get(row).0 as i64).collect();
        return Ok(Column::new(field, ColumnData::Int64(ticks)));
    }
    let field = schema.field_by_id(field).ok_or(SegmentError::UnknownField(field))?;
    Ok(default_column(field, rows.len()))
}

/// A column of `rows` rows of which each has the default of the field, or null if it has none.
pub(crate) fn default_column(field: &FieldSchema, rows: usize) -> Column {
    let default = field.default.as_ref().filter(|value| !matches!(value, Value::Null));
    let data = match default {
        Some(value) => repeated(field, value, rows),
        None => placeholders(field, rows),
    };
    Column { field: field.id, data, valid: default.is_none().then(|| vec![false; rows]) }
}

/// A column of placeholders of the type of a field.
pub(crate) fn placeholders(field: &FieldSchema, rows: usize) -> ColumnData {
    match field.data_type {
        DataType::Array => ColumnData::Array(vec![no_items(field); rows]),
        DataType::FloatVector => {
            ColumnData::FloatVector { dim: field.dim(), data: vec![0.0; rows * field.dim()] }
        }
        DataType::Bool
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float
        | DataType::Double
        | DataType::VarChar
        | DataType::Json => scalars(field.data_type, rows),
    }
}

/// An empty list of the items of an Array.
pub(crate) fn no_items(field: &FieldSchema) -> ColumnData {
    scalars(field.element_type.unwrap_or(DataType::Int64), 0)
}

fn scalars(data_type: DataType, rows: usize) -> ColumnData {
    let texts = || std::iter::repeat_n("", rows).collect();
    match data_type {
        DataType::Bool => ColumnData::Bool(vec![false; rows]),
        DataType::Int8 => ColumnData::Int8(vec![0; rows]),
        DataType::Int16 => ColumnData::Int16(vec![0; rows]),
        DataType::Int32 => ColumnData::Int32(vec![0; rows]),
        DataType::Int64 => ColumnData::Int64(vec![0; rows]),
        DataType::Float => ColumnData::Float(vec![0.0; rows]),
        DataType::Double => ColumnData::Double(vec![0.0; rows]),
        DataType::VarChar => ColumnData::VarChar(texts()),
        DataType::Json => ColumnData::Json(texts()),
        DataType::Array => ColumnData::Array(vec![ColumnData::Int64(Vec::new()); rows]),
        DataType::FloatVector => ColumnData::FloatVector { dim: 0, data: Vec::new() },
    }
}

/// The default value in each row. A default of another type than the field, which no accepted schema has,
/// reads as the placeholder.
fn repeated(field: &FieldSchema, value: &Value, rows: usize) -> ColumnData {
    let strings = |text: &str| {
        let mut strings = Strings::with_capacity(rows, rows * text.len());
        (0..rows).for_each(|_| strings.push(text));
        strings
    };
    match (field.data_type, value) {
        (DataType::Bool, Value::Bool(value)) => ColumnData::Bool(vec![*value; rows]),
        (DataType::Int8, Value::Int(value)) => ColumnData::Int8(vec![*value as i8; rows]),
        (DataType::Int16, Value::Int(value)) => ColumnData::Int16(vec![*value as i16; rows]),
        (DataType::Int32, Value::Int(value)) => ColumnData::Int32(vec![*value as i32; rows]),
        (DataType::Int64, Value::Int(value)) => ColumnData::Int64(vec![*value; rows]),
        (DataType::Float, Value::Float(value)) => ColumnData::Float(vec![*value as f32; rows]),
        (DataType::Double, Value::Float(value)) => ColumnData::Double(vec![*value; rows]),
        (DataType::VarChar, Value::Text(text)) => ColumnData::VarChar(strings(text)),
        (DataType::Json, Value::Json(json)) => ColumnData::Json(strings(&json.to_string())),
        _ => placeholders(field, rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_fills_rows_and_no_default_is_null() {
        let mut field = FieldSchema::new(FieldId(105), "age", DataType::Int16);
        let column = default_column(&field, 2);
        assert_eq!((column.data.len(), column.value(1)), (2, Value::Null));
        field.default = Some(Value::Int(-4));
        let column = default_column(&field, 2);
        assert_eq!((column.value(0), column.valid), (Value::Int(-4), None));
    }
}
