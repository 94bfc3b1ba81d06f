//! Our columns as Arrow arrays, and back.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListArray, StringArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType as ArrowType, Field};
use cinclus_types::{Column, ColumnData, DataType, FieldId, FieldSchema, Strings};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

/// The Arrow type of a field.
pub(super) fn arrow_type(field: &FieldSchema) -> ArrowType {
    match field.data_type {
        DataType::Array => {
            let item = scalar_type(field.element_type.unwrap_or(DataType::Int64));
            ArrowType::List(Arc::new(item_field(item)))
        }
        DataType::FloatVector => {
            ArrowType::FixedSizeBinary(i32::try_from(field.dim() * 4).unwrap_or(i32::MAX))
        }
        DataType::Bool
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float
        | DataType::Double
        | DataType::VarChar
        | DataType::Json => scalar_type(field.data_type),
    }
}

fn scalar_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::VarChar => ArrowType::Utf8,
        DataType::Json | DataType::Array | DataType::FloatVector => ArrowType::Binary,
    }
}

fn item_field(item: ArrowType) -> Field {
    Field::new("element", item, false)
}

/// A Parquet column, named by its field id.
pub(super) fn column_field(id: FieldId, arrow: ArrowType, nullable: bool) -> Field {
    let metadata = [(PARQUET_FIELD_ID_META_KEY, id.to_string())];
    Field::new(id.to_string(), arrow, nullable).with_metadata(metadata)
}

/// Some rows of a column as an array of the given type.
pub(super) fn to_arrow(
    column: &Column,
    rows: Range<usize>,
    arrow: &ArrowType,
) -> Result<ArrayRef, ArrowError> {
    let nulls = column.valid.as_ref().map(|valid| NullBuffer::from(&valid[rows.clone()]));
    Ok(match &column.data {
        ColumnData::Bool(values) => Arc::new(BooleanArray::new(values[rows].into(), nulls)),
        ColumnData::Int8(values) => Arc::new(Int8Array::new(copied(&values[rows]), nulls)),
        ColumnData::Int16(values) => Arc::new(Int16Array::new(copied(&values[rows]), nulls)),
        ColumnData::Int32(values) => Arc::new(Int32Array::new(copied(&values[rows]), nulls)),
        ColumnData::Int64(values) => Arc::new(Int64Array::new(copied(&values[rows]), nulls)),
        ColumnData::Float(values) => Arc::new(Float32Array::new(copied(&values[rows]), nulls)),
        ColumnData::Double(values) => Arc::new(Float64Array::new(copied(&values[rows]), nulls)),
        ColumnData::VarChar(texts) => {
            let (offsets, bytes) = strings(texts, rows)?;
            Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
        }
        ColumnData::Json(texts) => {
            let (offsets, bytes) = strings(texts, rows)?;
            Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
        }
        ColumnData::Array(lists) => Arc::new(list(&lists[rows], nulls, arrow)?),
        ColumnData::FloatVector { dim, data } => {
            let width = i32::try_from(dim * 4).map_err(|_| ArrowError::InvalidArgumentError("dim".into()))?;
            let bytes = floats_to_bytes(&data[rows.start * dim..rows.end * dim]);
            Arc::new(FixedSizeBinaryArray::try_new(width, bytes, nulls)?)
        }
    })
}

fn copied<T: arrow_buffer::ArrowNativeType>(values: &[T]) -> ScalarBuffer<T> {
    ScalarBuffer::from(values.to_vec())
}

fn strings(texts: &Strings, rows: Range<usize>) -> Result<(OffsetBuffer<i32>, Buffer), ArrowError> {
    let lengths = || rows.clone().map(|row| texts.get(row).len());
    let bytes: usize = lengths().sum();
    if i32::try_from(bytes).is_err() {
        return Err(ArrowError::OffsetOverflowError(bytes));
    }
    let mut joined = Vec::with_capacity(bytes);
    rows.clone().for_each(|row| joined.extend_from_slice(texts.get(row)));
    Ok((OffsetBuffer::from_lengths(lengths()), Buffer::from(joined)))
}

/// Little-endian floats. On a little-endian machine a copy of the memory.
fn floats_to_bytes(floats: &[f32]) -> Buffer {
    if cfg!(target_endian = "little") {
        return Buffer::from_slice_ref(floats);
    }
    floats.iter().flat_map(|float| float.to_le_bytes()).collect()
}

fn list(lists: &[ColumnData], nulls: Option<NullBuffer>, arrow: &ArrowType) -> Result<ListArray, ArrowError> {
    let ArrowType::List(item) = arrow else {
        return Err(ArrowError::SchemaError(format!("an Array goes into {arrow}")));
    };
    let mut items = empty(item.data_type())?;
    for list in lists.iter().filter(|list| !list.is_empty()) {
        if std::mem::discriminant(&items) != std::mem::discriminant(list) {
            return Err(ArrowError::SchemaError("an Array has items of another type".into()));
        }
        items.append(list);
    }
    let count = items.len();
    let items = to_arrow(&Column::new(FieldId::default(), items), 0..count, item.data_type())?;
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(ColumnData::len));
    ListArray::try_new(item.clone(), offsets, items, nulls)
}

fn empty(arrow: &ArrowType) -> Result<ColumnData, ArrowError> {
    from_arrow(&arrow_array::new_empty_array(arrow), arrow)
}

/// An array as a column of the field. `expected` is its type by the schema.
pub(super) fn to_column(id: FieldId, array: &ArrayRef, expected: &ArrowType) -> Result<Column, ArrowError> {
    let valid = array.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| nulls.iter().collect());
    Ok(Column { field: id, data: from_arrow(array, expected)?, valid })
}

fn from_arrow(array: &ArrayRef, expected: &ArrowType) -> Result<ColumnData, ArrowError> {
    let wrong = || ArrowError::SchemaError(format!("{} where {expected} is expected", array.data_type()));
    // Names of items differ between writers; types do not.
    Ok(match (array.data_type(), expected) {
        (ArrowType::Boolean, ArrowType::Boolean) => {
            ColumnData::Bool(array.as_boolean().values().iter().collect())
        }
        (ArrowType::Int8, ArrowType::Int8) => {
            ColumnData::Int8(array.as_primitive::<Int8Type>().values().to_vec())
        }
        (ArrowType::Int16, ArrowType::Int16) => {
            ColumnData::Int16(array.as_primitive::<Int16Type>().values().to_vec())
        }
        (ArrowType::Int32, ArrowType::Int32) => {
            ColumnData::Int32(array.as_primitive::<Int32Type>().values().to_vec())
        }
        (ArrowType::Int64, ArrowType::Int64) => {
            ColumnData::Int64(array.as_primitive::<Int64Type>().values().to_vec())
        }
        (ArrowType::Float32, ArrowType::Float32) => {
            ColumnData::Float(array.as_primitive::<Float32Type>().values().to_vec())
        }
        (ArrowType::Float64, ArrowType::Float64) => {
            ColumnData::Double(array.as_primitive::<Float64Type>().values().to_vec())
        }
        (ArrowType::Utf8, ArrowType::Utf8) => {
            let texts = array.as_string::<i32>();
            ColumnData::VarChar(packed(texts.len(), texts.values().len(), |row| texts.value(row).as_bytes()))
        }
        (ArrowType::Binary, ArrowType::Binary) => {
            let texts = array.as_binary::<i32>();
            ColumnData::Json(packed(texts.len(), texts.values().len(), |row| texts.value(row)))
        }
        (ArrowType::List(_), ArrowType::List(item)) => {
            let lists = array.as_list::<i32>();
            let items = from_arrow(lists.values(), item.data_type())?;
            let offsets = lists.value_offsets();
            let list = |row: usize| {
                let rows: Vec<usize> = (offsets[row] as usize..offsets[row + 1] as usize).collect();
                items.take(if lists.is_valid(row) { &rows } else { &[] })
            };
            ColumnData::Array((0..lists.len()).map(list).collect())
        }
        (ArrowType::FixedSizeBinary(width), ArrowType::FixedSizeBinary(same))
            if width == same && width % 4 == 0 =>
        {
            let vectors = array.as_fixed_size_binary();
            ColumnData::FloatVector { dim: *width as usize / 4, data: bytes_to_floats(vectors.value_data()) }
        }
        _ => return Err(wrong()),
    })
}

fn packed<'a>(rows: usize, bytes: usize, get: impl Fn(usize) -> &'a [u8]) -> Strings {
    let mut strings = Strings::with_capacity(rows, bytes);
    (0..rows).for_each(|row| strings.push(get(row)));
    strings
}

fn bytes_to_floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|float| f32::from_le_bytes([float[0], float[1], float[2], float[3]])).collect()
}
