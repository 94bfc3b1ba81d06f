//! Work on columns as they stand on the wire, so that rows on their way in are decoded only once.

use std::ops::Range;

use cinclus_types::Keys;
use cinclus_types::proto::schema::{
    ArrayArray, BoolArray, DoubleArray, FieldData, FloatArray, IntArray, JsonArray, LongArray, ScalarField,
    StringArray, VectorField, field_data, scalar_field, vector_field,
};
use prost::Message as _;

/// How many values a scalar column has.
#[must_use]
pub fn scalar_len(scalars: &ScalarField) -> usize {
    use scalar_field::Data;
    match &scalars.data {
        None => 0,
        Some(Data::BoolData(v)) => v.data.len(),
        Some(Data::IntData(v)) => v.data.len(),
        Some(Data::LongData(v)) => v.data.len(),
        Some(Data::FloatData(v)) => v.data.len(),
        Some(Data::DoubleData(v)) => v.data.len(),
        Some(Data::StringData(v)) => v.data.len(),
        Some(Data::ArrayData(v)) => v.data.len(),
        Some(Data::JsonData(v)) => v.data.len(),
        Some(_) => 0,
    }
}

/// The rows named by `rows`, in that order. Columns of kinds that are not served become empty: validation
/// lets none in.
#[must_use]
pub fn take(column: &FieldData, rows: &[usize]) -> FieldData {
    let field = match &column.field {
        Some(field_data::Field::Scalars(scalars)) => {
            Some(field_data::Field::Scalars(take_scalars(scalars, rows)))
        }
        Some(field_data::Field::Vectors(vectors)) => {
            Some(field_data::Field::Vectors(take_vectors(vectors, rows)))
        }
        Some(field_data::Field::StructArrays(_)) | None => None,
    };
    let valid_data = if column.valid_data.is_empty() { Vec::new() } else { pick(&column.valid_data, rows) };
    FieldData {
        r#type: column.r#type,
        field_name: column.field_name.clone(),
        field_id: column.field_id,
        is_dynamic: column.is_dynamic,
        valid_data,
        field,
    }
}

fn pick<T: Clone>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|&row| values[row].clone()).collect()
}

fn take_scalars(scalars: &ScalarField, rows: &[usize]) -> ScalarField {
    use scalar_field::Data;
    let data = match &scalars.data {
        Some(Data::BoolData(v)) => Data::BoolData(BoolArray { data: pick(&v.data, rows) }),
        Some(Data::IntData(v)) => Data::IntData(IntArray { data: pick(&v.data, rows) }),
        Some(Data::LongData(v)) => Data::LongData(LongArray { data: pick(&v.data, rows) }),
        Some(Data::FloatData(v)) => Data::FloatData(FloatArray { data: pick(&v.data, rows) }),
        Some(Data::DoubleData(v)) => Data::DoubleData(DoubleArray { data: pick(&v.data, rows) }),
        Some(Data::StringData(v)) => Data::StringData(StringArray { data: pick(&v.data, rows) }),
        Some(Data::JsonData(v)) => Data::JsonData(JsonArray { data: pick(&v.data, rows) }),
        Some(Data::ArrayData(v)) => {
            Data::ArrayData(ArrayArray { data: pick(&v.data, rows), element_type: v.element_type })
        }
        Some(_) | None => return ScalarField::default(),
    };
    ScalarField { data: Some(data), valid_data: Vec::new() }
}

fn take_vectors(vectors: &VectorField, rows: &[usize]) -> VectorField {
    let dim = usize::try_from(vectors.dim).unwrap_or(0);
    let data = match &vectors.data {
        Some(vector_field::Data::FloatVector(floats)) => {
            let mut taken = Vec::with_capacity(rows.len() * dim);
            for &row in rows {
                taken.extend_from_slice(&floats.data[row * dim..(row + 1) * dim]);
            }
            Some(vector_field::Data::FloatVector(FloatArray { data: taken }))
        }
        Some(_) | None => None,
    };
    VectorField { dim: vectors.dim, data, valid_data: Vec::new() }
}

/// Groups rows so that a group takes at most `limit` bytes in a message, without the names around it (a row
/// that is larger stands alone).
#[must_use]
pub fn chunks(columns: &[FieldData], count: usize, limit: usize) -> Vec<Range<usize>> {
    let total: usize = columns.iter().map(FieldData::encoded_len).sum();
    if total + count * ROW_BYTES <= limit || count <= 1 {
        return std::iter::once(0..count).collect();
    }
    groups(&row_sizes(columns, count), limit)
}

/// Groups chosen keys in the same way.
#[must_use]
pub fn key_chunks<'a>(keys: &Keys, chosen: &'a [usize], limit: usize) -> Vec<&'a [usize]> {
    let size = |&row: &usize| match keys {
        Keys::Int64(_) => ROW_BYTES,
        Keys::VarChar(texts) => ROW_BYTES + LENGTH_BYTES + texts.get(row).len(),
    };
    let sizes: Vec<usize> = chosen.iter().map(size).collect();
    groups(&sizes, limit).into_iter().map(|group| &chosen[group]).collect()
}

fn groups(sizes: &[usize], limit: usize) -> Vec<Range<usize>> {
    let count = sizes.len();
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (row, &size) in sizes.iter().enumerate() {
        if bytes + size > limit && row > start {
            groups.push(start..row);
            (start, bytes) = (row, 0);
        }
        bytes += size;
    }
    groups.push(start..count);
    groups
}

/// The longest number in protobuf's encoding.
const VARINT_BYTES: usize = 10;
/// A row's id and its timestamp, which is 0 in a message.
const ROW_BYTES: usize = VARINT_BYTES + 1;
/// Tag and length of a text or an array.
const LENGTH_BYTES: usize = 5;
/// Whether a value is null.
const VALID_BYTES: usize = 1;

/// Bytes of each row, a little more than they take encoded.
fn row_sizes(columns: &[FieldData], count: usize) -> Vec<usize> {
    use scalar_field::Data;
    let mut sizes = vec![ROW_BYTES; count];
    let mut each = |size: &dyn Fn(usize) -> usize| {
        for (row, bytes) in sizes.iter_mut().enumerate() {
            *bytes += size(row);
        }
    };
    for column in columns {
        match &column.field {
            Some(field_data::Field::Vectors(vectors)) => {
                let bytes = usize::try_from(vectors.dim).unwrap_or(0) * 4;
                each(&|_| bytes + VALID_BYTES);
            }
            Some(field_data::Field::Scalars(scalars)) => match &scalars.data {
                Some(Data::StringData(v)) => each(&|row| v.data[row].len() + LENGTH_BYTES + VALID_BYTES),
                Some(Data::JsonData(v)) => each(&|row| v.data[row].len() + LENGTH_BYTES + VALID_BYTES),
                Some(Data::ArrayData(v)) => {
                    each(&|row| v.data[row].encoded_len() + LENGTH_BYTES + VALID_BYTES);
                }
                Some(_) => each(&|_| VARINT_BYTES + VALID_BYTES),
                None => each(&|_| VALID_BYTES),
            },
            Some(field_data::Field::StructArrays(_)) | None => {}
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: &[&str]) -> FieldData {
        let data = rows.iter().map(|text| (*text).to_owned()).collect();
        let scalars = ScalarField {
            data: Some(scalar_field::Data::StringData(StringArray { data })),
            valid_data: vec![],
        };
        FieldData { field: Some(field_data::Field::Scalars(scalars)), ..FieldData::default() }
    }

    fn vectors(dim: i64, data: &[f32]) -> FieldData {
        let data = Some(vector_field::Data::FloatVector(FloatArray { data: data.to_vec() }));
        let vectors = VectorField { dim, data, valid_data: vec![] };
        FieldData { field: Some(field_data::Field::Vectors(vectors)), ..FieldData::default() }
    }

    #[test]
    fn rows_are_taken_in_the_asked_order() {
        assert_eq!(take(&texts(&["a", "b", "c"]), &[2, 0]), texts(&["c", "a"]));
        assert_eq!(take(&vectors(2, &[1.0, 2.0, 3.0, 4.0]), &[1]), vectors(2, &[3.0, 4.0]));
        let mut nullable = texts(&["a", ""]);
        nullable.valid_data = vec![true, false];
        assert_eq!(take(&nullable, &[1]).valid_data, [false]);
    }

    #[test]
    fn chunks_stay_below_the_limit_and_lose_no_row() {
        let long = "x".repeat(100);
        let column = texts(&[&long, &long, "", &long, &long]);
        let one = chunks(std::slice::from_ref(&column), 5, 10_000);
        assert_eq!((one.len(), one[0].clone()), (1, 0..5));
        assert_eq!(chunks(std::slice::from_ref(&column), 5, 260), [0..3, 3..5]);
        assert_eq!(chunks(std::slice::from_ref(&column), 5, 10), [0..1, 1..2, 2..3, 3..4, 4..5]);
    }
}
