//! Rows in columns.

use crate::{FieldId, Key, Keys, Strings, Value};

/// Rows of one collection, column by column. Every column has `count` values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// How many rows.
    pub count: usize,
    /// The columns by ascending field id.
    pub columns: Vec<Column>,
}

/// The values of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Whose values they are.
    pub field: FieldId,
    /// The values; where a row has none, any placeholder of the type.
    pub data: ColumnData,
    /// Which rows have a value; `None`: all.
    pub valid: Option<Vec<bool>>,
}

/// The values of a column, packed by type.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnData {
    /// Bool.
    Bool(Vec<bool>),
    /// Int8.
    Int8(Vec<i8>),
    /// Int16.
    Int16(Vec<i16>),
    /// Int32.
    Int32(Vec<i32>),
    /// Int64.
    Int64(Vec<i64>),
    /// Float.
    Float(Vec<f32>),
    /// Double.
    Double(Vec<f64>),
    /// VarChar.
    VarChar(Strings),
    /// JSON, as UTF-8 text.
    Json(Strings),
    /// Array: one list a row.
    Array(Vec<ColumnData>),
    /// FloatVector: `dim` floats a row, one row behind another.
    FloatVector {
        /// Floats a row.
        dim: usize,
        /// All floats.
        data: Vec<f32>,
    },
}

impl Rows {
    /// The column of a field.
    #[must_use]
    pub fn column(&self, field: FieldId) -> Option<&Column> {
        self.columns.iter().find(|column| column.field == field)
    }

    /// The memory that the rows hold, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.columns.iter().map(|c| c.data.heap_bytes() + c.valid.as_ref().map_or(0, Vec::capacity)).sum()
    }

    /// The rows named by `rows`, in that order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Rows {
        Rows { count: rows.len(), columns: self.columns.iter().map(|column| column.take(rows)).collect() }
    }
}

impl Column {
    /// A column in which every row has a value.
    #[must_use]
    pub fn new(field: FieldId, data: ColumnData) -> Column {
        Column { field, data, valid: None }
    }

    /// Whether a row has a value.
    #[must_use]
    pub fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid[row])
    }

    /// The rows named by `rows`, in that order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Column {
        Column {
            field: self.field,
            data: self.data.take(rows),
            valid: self.valid.as_ref().map(|valid| rows.iter().map(|&row| valid[row]).collect()),
        }
    }

    /// The value of a row.
    #[must_use]
    pub fn value(&self, row: usize) -> Value {
        if self.is_valid(row) { self.data.value(row) } else { Value::Null }
    }

    /// Appends the rows of another column of the same type.
    ///
    /// # Panics
    /// If the types differ: both come from one schema.
    pub fn append(&mut self, other: &Column) {
        let before = self.data.len();
        self.data.append(&other.data);
        match (&mut self.valid, &other.valid) {
            (None, None) => {}
            (Some(valid), None) => valid.resize(self.data.len(), true),
            (valid, Some(more)) => {
                valid.get_or_insert_with(|| vec![true; before]).extend_from_slice(more);
            }
        }
    }
}

/// Runs one expression on the vector or packed strings inside any variant but Array and FloatVector.
macro_rules! each_scalar {
    ($data:expr, $values:ident => $numbers:expr, $strings:ident => $texts:expr, $lists:ident => $arrays:expr,
     ($dim:ident, $floats:ident) => $vectors:expr) => {
        match $data {
            ColumnData::Bool($values) => $numbers,
            ColumnData::Int8($values) => $numbers,
            ColumnData::Int16($values) => $numbers,
            ColumnData::Int32($values) => $numbers,
            ColumnData::Int64($values) => $numbers,
            ColumnData::Float($values) => $numbers,
            ColumnData::Double($values) => $numbers,
            ColumnData::VarChar($strings) | ColumnData::Json($strings) => $texts,
            ColumnData::Array($lists) => $arrays,
            ColumnData::FloatVector { dim: $dim, data: $floats } => $vectors,
        }
    };
}

impl ColumnData {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        each_scalar!(self, v => v.len(), s => s.len(), l => l.len(), (dim, f) => f.len() / (*dim).max(1))
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that the values hold, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        each_scalar!(self,
            v => std::mem::size_of_val(v.as_slice()),
            s => s.heap_bytes(),
            l => l.iter().map(|item| item.heap_bytes() + size_of::<ColumnData>()).sum(),
            (_dim, f) => f.capacity() * 4)
    }

    /// The rows named by `rows`, in that order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> ColumnData {
        fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&row| values[row]).collect()
        }
        match self {
            ColumnData::Bool(values) => ColumnData::Bool(pick(values, rows)),
            ColumnData::Int8(values) => ColumnData::Int8(pick(values, rows)),
            ColumnData::Int16(values) => ColumnData::Int16(pick(values, rows)),
            ColumnData::Int32(values) => ColumnData::Int32(pick(values, rows)),
            ColumnData::Int64(values) => ColumnData::Int64(pick(values, rows)),
            ColumnData::Float(values) => ColumnData::Float(pick(values, rows)),
            ColumnData::Double(values) => ColumnData::Double(pick(values, rows)),
            ColumnData::VarChar(values) => ColumnData::VarChar(rows.iter().map(|&r| values.get(r)).collect()),
            ColumnData::Json(values) => ColumnData::Json(rows.iter().map(|&r| values.get(r)).collect()),
            ColumnData::Array(values) => ColumnData::Array(rows.iter().map(|&r| values[r].clone()).collect()),
            ColumnData::FloatVector { dim, data } => {
                let mut taken = Vec::with_capacity(rows.len() * dim);
                for &row in rows {
                    taken.extend_from_slice(&data[row * dim..(row + 1) * dim]);
                }
                ColumnData::FloatVector { dim: *dim, data: taken }
            }
        }
    }

    /// The value of a row.
    #[must_use]
    pub fn value(&self, row: usize) -> Value {
        match self {
            ColumnData::Bool(values) => Value::Bool(values[row]),
            ColumnData::Int8(values) => Value::Int(values[row].into()),
            ColumnData::Int16(values) => Value::Int(values[row].into()),
            ColumnData::Int32(values) => Value::Int(values[row].into()),
            ColumnData::Int64(values) => Value::Int(values[row]),
            ColumnData::Float(values) => Value::Float(values[row].into()),
            ColumnData::Double(values) => Value::Float(values[row]),
            ColumnData::VarChar(values) => Value::Text(values.text(row).to_owned()),
            ColumnData::Json(values) => {
                Value::Json(serde_json::from_slice(values.get(row)).unwrap_or(serde_json::Value::Null))
            }
            ColumnData::Array(values) => {
                Value::Array((0..values[row].len()).map(|i| values[row].value(i)).collect())
            }
            ColumnData::FloatVector { dim, data } => {
                Value::FloatVector(data[row * dim..(row + 1) * dim].to_vec())
            }
        }
    }

    /// Appends the rows of another column of the same type.
    ///
    /// # Panics
    /// If the types differ: both come from one schema.
    pub fn append(&mut self, other: &ColumnData) {
        match (self, other) {
            (ColumnData::Bool(a), ColumnData::Bool(b)) => a.extend_from_slice(b),
            (ColumnData::Int8(a), ColumnData::Int8(b)) => a.extend_from_slice(b),
            (ColumnData::Int16(a), ColumnData::Int16(b)) => a.extend_from_slice(b),
            (ColumnData::Int32(a), ColumnData::Int32(b)) => a.extend_from_slice(b),
            (ColumnData::Int64(a), ColumnData::Int64(b)) => a.extend_from_slice(b),
            (ColumnData::Float(a), ColumnData::Float(b)) => a.extend_from_slice(b),
            (ColumnData::Double(a), ColumnData::Double(b)) => a.extend_from_slice(b),
            (ColumnData::VarChar(a), ColumnData::VarChar(b)) | (ColumnData::Json(a), ColumnData::Json(b)) => {
                b.iter().for_each(|text| a.push(text));
            }
            (ColumnData::Array(a), ColumnData::Array(b)) => a.extend_from_slice(b),
            (ColumnData::FloatVector { data: a, dim }, ColumnData::FloatVector { data: b, dim: same })
                if dim == same =>
            {
                a.extend_from_slice(b);
            }
            (mine, theirs) => panic!("columns of two types: {mine:?} and {theirs:?}"),
        }
    }

    /// The values as primary keys, if the type is one of a key.
    #[must_use]
    pub fn keys(&self) -> Option<Keys> {
        match self {
            ColumnData::Int64(values) => Some(Keys::Int64(values.clone())),
            ColumnData::VarChar(values) => Some(Keys::VarChar(values.clone())),
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

    /// The primary key of a row, if the type is one of a key.
    #[must_use]
    pub fn key(&self, row: usize) -> Option<Key> {
        match self {
            ColumnData::Int64(values) => Some(Key::Int64(values[row])),
            ColumnData::VarChar(values) => Some(Key::VarChar(values.text(row).into())),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_and_appended_column_by_column() {
        let vectors = ColumnData::FloatVector { dim: 2, data: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let mut column = Column::new(FieldId(101), vectors).take(&[2, 0]);
        assert_eq!(column.data.value(0), Value::FloatVector(vec![5.0, 6.0]));
        let mut more = column.take(&[1]);
        more.valid = Some(vec![false]);
        column.append(&more);
        assert_eq!((column.data.len(), column.value(2), column.is_valid(1)), (3, Value::Null, true));
    }
}
