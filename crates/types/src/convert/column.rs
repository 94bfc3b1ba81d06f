//! Columns of rows from and to `schema.FieldData`.

use super::scalar::{ScalarError, Vectors, empty, scalars_from_wire, scalars_to_wire};
use super::value::fill;
use crate::proto::schema as wire;
use crate::proto::schema::field_data::Field;
use crate::proto::schema::vector_field::Data as VectorData;
use crate::{Advice, Column, ColumnData, DataType, FieldSchema};

/// Why a `FieldData` is not a column of a field.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("field {field}: {reason}")]
pub struct ColumnError {
    /// The name of the field.
    pub field: String,
    /// What is wrong.
    pub reason: ColumnFault,
}

/// What is wrong with a column.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ColumnFault {
    /// The values are of another type, or outside it.
    #[error(transparent)]
    Scalar(#[from] ScalarError),
    /// The values are of a type that is not served, or scalars were given for vectors, or the reverse.
    #[error("{found} was given for {expected:?}")]
    WrongForm {
        /// The type of the field.
        expected: DataType,
        /// What is there.
        found: &'static str,
    },
    /// The vectors do not have the field's dimension.
    #[error("vectors of dimension {found} were given for dimension {expected}")]
    Dim {
        /// The field's.
        expected: usize,
        /// What is there.
        found: i64,
    },
    /// There are more or fewer floats than whole vectors have.
    #[error("{floats} floats are no whole vectors of dimension {dim}")]
    Ragged {
        /// How many floats.
        floats: usize,
        /// The field's dimension.
        dim: usize,
    },
    /// There are more or fewer values than rows.
    #[error("{found} values were given for {rows} rows")]
    Length {
        /// The rows.
        rows: usize,
        /// What is there.
        found: usize,
    },
    /// There are more or fewer null marks than rows.
    #[error("{found} null marks were given for {rows} rows")]
    Marks {
        /// The rows.
        rows: usize,
        /// What is there.
        found: usize,
    },
    /// A row has no value, the field is not nullable, and it has no default.
    #[error("row {row} has no value, the field is not nullable and has no default")]
    Null {
        /// The row.
        row: usize,
    },
    /// The field's default is not a value of its type.
    #[error("the field's default does not fit its type")]
    Default,
}

impl ColumnError {
    /// The bytes will not get better.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        Advice::Reject
    }

    fn of(field: &FieldSchema) -> impl Fn(ColumnFault) -> ColumnError {
        |reason| ColumnError { field: field.name.clone(), reason }
    }
}

/// Reads the column of a field with `rows` rows. Numbers and floats are moved, not copied.
///
/// Null rows may carry a placeholder or be left out. Where the field has a default, null rows get it.
///
/// # Errors
/// What is wrong with the column, and of which field.
pub fn column_from_wire(
    field: &FieldSchema,
    data: wire::FieldData,
    rows: usize,
) -> Result<Column, ColumnError> {
    read(field, data, rows).map_err(ColumnError::of(field))
}

/// The column of a field that the rows do not have: its default, or null.
///
/// # Errors
/// The field has no default and is not nullable.
pub fn missing_column(field: &FieldSchema, rows: usize) -> Result<Column, ColumnError> {
    let data = placeholders(field, rows);
    settle_nulls(field, data, vec![false; rows]).map_err(ColumnError::of(field))
}

/// Writes the column of a field. Numbers and floats are moved, not copied.
///
/// Null rows of scalars carry a placeholder; null vectors are left out.
#[must_use]
pub fn column_to_wire(field: &FieldSchema, column: Column) -> wire::FieldData {
    let form = match scalars_to_wire(column.data, field.element_type) {
        Ok(data) => Field::Scalars(wire::ScalarField { data: Some(data), valid_data: Vec::new() }),
        Err(vectors) => Field::Vectors(vectors_to_wire(vectors, column.valid.as_deref())),
    };
    wire::FieldData {
        r#type: field.data_type.number(),
        field_name: field.name.clone(),
        field_id: field.id.0,
        is_dynamic: field.dynamic,
        valid_data: column.valid.unwrap_or_default(),
        field: Some(form),
    }
}

fn read(field: &FieldSchema, data: wire::FieldData, rows: usize) -> Result<Column, ColumnFault> {
    let expected = field.data_type;
    let (values, inner_marks) = match data.field {
        Some(Field::Scalars(scalars)) if !expected.is_vector() => {
            (scalars_from_wire(scalars.data, expected, field.element_type)?, scalars.valid_data)
        }
        Some(Field::Vectors(vectors)) if expected.is_vector() => {
            let dim = vectors.dim;
            (vectors_from_wire(field, dim, vectors.data)?, vectors.valid_data)
        }
        Some(Field::Scalars(_)) => return Err(ColumnFault::WrongForm { expected, found: "scalars" }),
        Some(Field::Vectors(_)) => return Err(ColumnFault::WrongForm { expected, found: "vectors" }),
        Some(Field::StructArrays(_)) => {
            return Err(ColumnFault::WrongForm { expected, found: "struct_arrays" });
        }
        None => (placeholders(field, 0), Vec::new()),
    };
    // Newer writers mark nulls inside the column, older ones beside it.
    let marks = if inner_marks.is_empty() { data.valid_data } else { inner_marks };
    let found = values.len();
    if marks.is_empty() || marks.iter().all(|&valid| valid) {
        if found != rows {
            return Err(ColumnFault::Length { rows, found });
        }
        return Ok(Column::new(field.id, values));
    }
    if marks.len() != rows {
        return Err(ColumnFault::Marks { rows, found: marks.len() });
    }
    let values = if found == rows {
        values
    } else if found == marks.iter().filter(|&&valid| valid).count() {
        spread(field, &values, &marks)
    } else {
        return Err(ColumnFault::Length { rows, found });
    };
    settle_nulls(field, values, marks)
}

/// Puts the values of a column that leaves nulls out at their rows.
fn spread(field: &FieldSchema, values: &ColumnData, marks: &[bool]) -> ColumnData {
    // One placeholder behind the values stands for every null row.
    let mut source = values.clone();
    source.append(&placeholders_like(field, values));
    let mut next = 0..values.len();
    let from = |&valid: &bool| if valid { next.next().unwrap_or(values.len()) } else { values.len() };
    let order: Vec<usize> = marks.iter().map(from).collect();
    source.take(&order)
}

/// One placeholder of the same form as some values.
fn placeholders_like(field: &FieldSchema, values: &ColumnData) -> ColumnData {
    if let ColumnData::FloatVector { dim, .. } = values {
        return ColumnData::FloatVector { dim: *dim, data: vec![0.0; *dim] };
    }
    placeholders(field, 1)
}

fn placeholders(field: &FieldSchema, rows: usize) -> ColumnData {
    if field.data_type.is_vector() {
        let dim = field.dim();
        return ColumnData::FloatVector { dim, data: vec![0.0; rows * dim] };
    }
    if field.data_type == DataType::Array {
        return ColumnData::Array(vec![empty(field.element_type.unwrap_or(DataType::Int64), 0); rows]);
    }
    empty(field.data_type, rows)
}

/// Null rows get the default if there is one; else the field must be nullable.
fn settle_nulls(field: &FieldSchema, mut data: ColumnData, valid: Vec<bool>) -> Result<Column, ColumnFault> {
    let Some(row) = valid.iter().position(|valid| !valid) else {
        return Ok(Column::new(field.id, data));
    };
    if let Some(default) = &field.default {
        let nulls = valid.iter().enumerate().filter(|(_, valid)| !**valid).map(|(row, _)| row);
        fill(&mut data, nulls, default).ok_or(ColumnFault::Default)?;
        return Ok(Column::new(field.id, data));
    }
    if !field.nullable {
        return Err(ColumnFault::Null { row });
    }
    Ok(Column { field: field.id, data, valid: Some(valid) })
}

fn vectors_from_wire(
    field: &FieldSchema,
    dim: i64,
    data: Option<VectorData>,
) -> Result<ColumnData, ColumnFault> {
    let expected = field.dim();
    let found = match data {
        Some(VectorData::FloatVector(floats)) => {
            if usize::try_from(dim) != Ok(expected) {
                return Err(ColumnFault::Dim { expected, found: dim });
            }
            let data = floats.data;
            if expected == 0 || !data.len().is_multiple_of(expected) {
                return Err(ColumnFault::Ragged { floats: data.len(), dim: expected });
            }
            return Ok(ColumnData::FloatVector { dim: expected, data });
        }
        None => return Ok(ColumnData::FloatVector { dim: expected, data: Vec::new() }),
        Some(VectorData::BinaryVector(_)) => "binary_vector",
        Some(VectorData::Float16Vector(_)) => "float16_vector",
        Some(VectorData::Bfloat16Vector(_)) => "bfloat16_vector",
        Some(VectorData::SparseFloatVector(_)) => "sparse_float_vector",
        Some(VectorData::Int8Vector(_)) => "int8_vector",
        Some(VectorData::VectorArray(_)) => "vector_array",
    };
    Err(ColumnFault::WrongForm { expected: field.data_type, found })
}

fn vectors_to_wire(vectors: Vectors, valid: Option<&[bool]>) -> wire::VectorField {
    let Vectors { dim, mut data } = vectors;
    if let Some(valid) = valid {
        let rows = data.chunks_exact(dim.max(1)).zip(valid).filter(|(_, valid)| **valid);
        data = rows.flat_map(|(row, _)| row).copied().collect();
    }
    wire::VectorField {
        dim: dim as i64,
        data: Some(VectorData::FloatVector(wire::FloatArray { data })),
        valid_data: Vec::new(),
    }
}
