//! Columns of answers.

use cinclus_types::convert::{column_to_wire, scalar};
use cinclus_types::proto::schema::{FieldData, LongArray, ScalarField, field_data, scalar_field};
use cinclus_types::{Column, ColumnData, DataType, FieldId, FieldSchema, Rows};

use crate::convert::members;

/// Takes the column of a field out of an answer; a column without rows if it is not there (an answer
/// without rows has no columns).
#[must_use]
pub fn take_column(rows: &mut Rows, field: &FieldSchema) -> FieldData {
    let at = rows.columns.iter().position(|column| column.field == field.id);
    let column = at.map_or_else(|| no_rows(field), |at| rows.columns.swap_remove(at));
    column_to_wire(field, column)
}

/// Leaves only these keys in the objects of a column.
pub fn pick(column: &mut FieldData, keys: &[String]) {
    if let Some(field_data::Field::Scalars(scalars)) = &mut column.field
        && let Some(scalar_field::Data::JsonData(texts)) = &mut scalars.data
    {
        for text in &mut texts.data {
            if let Some(picked) = members::picked(text, keys) {
                *text = picked;
            }
        }
    }
}

/// The column of a field without rows.
#[must_use]
pub fn no_rows(field: &FieldSchema) -> Column {
    let data = if field.data_type.is_vector() {
        ColumnData::FloatVector { dim: field.dim(), data: Vec::new() }
    } else {
        scalar::empty(field.data_type, 0)
    };
    Column::new(field.id, data)
}

/// The fields that an answer needs.
#[must_use]
pub fn ids(fields: &[&FieldSchema]) -> Vec<FieldId> {
    fields.iter().map(|field| field.id).collect()
}

/// The column `count(*)`.
#[must_use]
pub fn count(rows: u64) -> FieldData {
    let data = vec![i64::try_from(rows).unwrap_or(i64::MAX)];
    FieldData {
        r#type: DataType::Int64.number(),
        field_name: "count(*)".to_owned(),
        field: Some(field_data::Field::Scalars(ScalarField {
            data: Some(scalar_field::Data::LongData(LongArray { data })),
            valid_data: Vec::new(),
        })),
        ..FieldData::default()
    }
}
