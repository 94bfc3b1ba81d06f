//! Packed scalars from and to `schema.ScalarField`: the columns of scalar fields and the rows of Arrays.

use bytes::Bytes;

use super::keys::strings;
use crate::proto::schema as wire;
use crate::proto::schema::scalar_field::Data;
use crate::{ColumnData, DataType, Strings};

/// Why a `ScalarField` does not hold values of a type.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScalarError {
    /// It holds something else.
    #[error("{found} was given for {expected:?}")]
    WrongType {
        /// The type of the field.
        expected: DataType,
        /// What the wire names the values that are there.
        found: &'static str,
    },
    /// A number is outside its type.
    #[error("{value} at position {row} does not fit in {data_type:?}")]
    OutOfRange {
        /// Which value.
        row: usize,
        /// The number.
        value: i32,
        /// The type of the field.
        data_type: DataType,
    },
    /// A list has an item without a value.
    #[error("the list at position {row} has null items, which are not supported")]
    NullItem {
        /// Which list.
        row: usize,
    },
}

/// Vectors, which are no scalars.
#[derive(Debug, PartialEq)]
pub struct Vectors {
    /// Floats a row.
    pub dim: usize,
    /// All floats.
    pub data: Vec<f32>,
}

/// The values, expected to be of a type. `element` is the type of the items if that is Array.
///
/// # Errors
/// The values are of another type, or a number is outside its type.
pub fn scalars_from_wire(
    data: Option<Data>,
    data_type: DataType,
    element: Option<DataType>,
) -> Result<ColumnData, ScalarError> {
    let Some(data) = data else { return Ok(empty(data_type, 0)) };
    match (data_type, data) {
        (DataType::Bool, Data::BoolData(values)) => Ok(ColumnData::Bool(values.data)),
        (DataType::Int8, Data::IntData(values)) => {
            Ok(ColumnData::Int8(narrow(&values.data, data_type, |v| v.try_into().ok())?))
        }
        (DataType::Int16, Data::IntData(values)) => {
            Ok(ColumnData::Int16(narrow(&values.data, data_type, |v| v.try_into().ok())?))
        }
        (DataType::Int32, Data::IntData(values)) => Ok(ColumnData::Int32(values.data)),
        (DataType::Int64, Data::LongData(values)) => Ok(ColumnData::Int64(values.data)),
        (DataType::Float, Data::FloatData(values)) => Ok(ColumnData::Float(values.data)),
        (DataType::Double, Data::DoubleData(values)) => Ok(ColumnData::Double(values.data)),
        (DataType::VarChar, Data::StringData(values)) => Ok(ColumnData::VarChar(strings(&values.data))),
        (DataType::Json, Data::JsonData(values)) => Ok(ColumnData::Json(strings(&values.data))),
        (DataType::Array, Data::ArrayData(lists)) => {
            let element = element.unwrap_or(DataType::Int64);
            let list = |(row, list): (usize, wire::ScalarField)| {
                if list.valid_data.contains(&false) {
                    return Err(ScalarError::NullItem { row });
                }
                scalars_from_wire(list.data, element, None)
            };
            lists.data.into_iter().enumerate().map(list).collect::<Result<_, _>>().map(ColumnData::Array)
        }
        (expected, other) => Err(ScalarError::WrongType { expected, found: wire_name(&other) }),
    }
}

/// The values as the wire wants them.
///
/// # Errors
/// The values themselves, if they are vectors.
pub fn scalars_to_wire(data: ColumnData, element: Option<DataType>) -> Result<Data, Vectors> {
    Ok(match data {
        ColumnData::Bool(data) => Data::BoolData(wire::BoolArray { data }),
        ColumnData::Int8(values) => Data::IntData(wire::IntArray { data: widen(&values) }),
        ColumnData::Int16(values) => Data::IntData(wire::IntArray { data: widen(&values) }),
        ColumnData::Int32(data) => Data::IntData(wire::IntArray { data }),
        ColumnData::Int64(data) => Data::LongData(wire::LongArray { data }),
        ColumnData::Float(data) => Data::FloatData(wire::FloatArray { data }),
        ColumnData::Double(data) => Data::DoubleData(wire::DoubleArray { data }),
        ColumnData::VarChar(texts) => {
            let data = (0..texts.len()).map(|row| texts.text(row).to_owned()).collect();
            Data::StringData(wire::StringArray { data })
        }
        ColumnData::Json(texts) => {
            let data = texts.iter().map(Bytes::copy_from_slice).collect();
            Data::JsonData(wire::JsonArray { data })
        }
        ColumnData::Array(lists) => {
            let mut data = Vec::with_capacity(lists.len());
            for list in lists {
                let scalars = scalars_to_wire(list, None)?;
                data.push(wire::ScalarField { data: Some(scalars), valid_data: Vec::new() });
            }
            let element_type = element.map_or(0, DataType::number);
            Data::ArrayData(wire::ArrayArray { data, element_type })
        }
        ColumnData::FloatVector { dim, data } => return Err(Vectors { dim, data }),
    })
}

/// `rows` placeholders of a scalar type.
#[must_use]
pub fn empty(data_type: DataType, rows: usize) -> ColumnData {
    match data_type {
        DataType::Bool => ColumnData::Bool(vec![false; rows]),
        DataType::Int8 => ColumnData::Int8(vec![0; rows]),
        DataType::Int16 => ColumnData::Int16(vec![0; rows]),
        DataType::Int32 => ColumnData::Int32(vec![0; rows]),
        DataType::Int64 => ColumnData::Int64(vec![0; rows]),
        DataType::Float => ColumnData::Float(vec![0.0; rows]),
        DataType::Double => ColumnData::Double(vec![0.0; rows]),
        DataType::VarChar => ColumnData::VarChar(blank(rows)),
        DataType::Json => ColumnData::Json(blank(rows)),
        DataType::Array => ColumnData::Array(vec![ColumnData::Int64(Vec::new()); rows]),
        // A vector without a dimension has no placeholder; see `column::placeholders`.
        DataType::FloatVector => ColumnData::FloatVector { dim: 0, data: Vec::new() },
    }
}

fn blank(rows: usize) -> Strings {
    std::iter::repeat_n("", rows).collect()
}

fn narrow<T>(
    values: &[i32],
    data_type: DataType,
    fit: impl Fn(i32) -> Option<T>,
) -> Result<Vec<T>, ScalarError> {
    let one = |(row, &value)| fit(value).ok_or(ScalarError::OutOfRange { row, value, data_type });
    values.iter().enumerate().map(one).collect()
}

fn widen<T: Copy + Into<i32>>(values: &[T]) -> Vec<i32> {
    values.iter().map(|&value| value.into()).collect()
}

/// What the wire calls the values.
fn wire_name(data: &Data) -> &'static str {
    match data {
        Data::BoolData(_) => "bool_data",
        Data::IntData(_) => "int_data",
        Data::LongData(_) => "long_data",
        Data::FloatData(_) => "float_data",
        Data::DoubleData(_) => "double_data",
        Data::StringData(_) => "string_data",
        Data::BytesData(_) => "bytes_data",
        Data::ArrayData(_) => "array_data",
        Data::JsonData(_) => "json_data",
        Data::GeometryData(_) => "geometry_data",
        Data::TimestamptzData(_) => "timestamptz_data",
        Data::GeometryWktData(_) => "geometry_wkt_data",
        Data::MolData(_) => "mol_data",
        Data::MolSmilesData(_) => "mol_smiles_data",
        Data::DateData(_) => "date_data",
        Data::TimeData(_) => "time_data",
    }
}
