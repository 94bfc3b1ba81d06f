//! Values that the client did not send: defaults, nulls, keys that the server makes.

use cinclus_types::proto::schema::{
    ArrayArray, BoolArray, DoubleArray, FieldData, FloatArray, IntArray, JsonArray, LongArray, ScalarField,
    StringArray, field_data, scalar_field::Data,
};
use cinclus_types::{DataType, FieldSchema, Value};

/// The column of a type without a value.
#[must_use]
pub fn no_values(data_type: DataType, element: Option<DataType>) -> Data {
    repeated(data_type, element, &Value::Null, 0)
}

/// A column of one value, `count` times; of placeholders if the value is null.
fn repeated(data_type: DataType, element: Option<DataType>, value: &Value, count: usize) -> Data {
    let int = if let Value::Int(number) = value { *number } else { 0 };
    let float = if let Value::Float(number) = value { *number } else { 0.0 };
    match data_type {
        DataType::Bool => Data::BoolData(BoolArray { data: vec![matches!(value, Value::Bool(true)); count] }),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => {
            Data::IntData(IntArray { data: vec![i32::try_from(int).unwrap_or(0); count] })
        }
        DataType::Int64 => Data::LongData(LongArray { data: vec![int; count] }),
        DataType::Float => Data::FloatData(FloatArray { data: vec![float as f32; count] }),
        DataType::Double => Data::DoubleData(DoubleArray { data: vec![float; count] }),
        DataType::VarChar => {
            let text = if let Value::Text(text) = value { text.clone() } else { String::new() };
            Data::StringData(StringArray { data: vec![text; count] })
        }
        DataType::Json => Data::JsonData(JsonArray { data: vec![bytes::Bytes::from_static(b"{}"); count] }),
        DataType::Array | DataType::FloatVector => {
            let element = element.unwrap_or(DataType::Int64);
            let empty = ScalarField { data: Some(no_values(element, None)), valid_data: Vec::new() };
            Data::ArrayData(ArrayArray { data: vec![empty; count], element_type: element.number() })
        }
    }
}

fn column(field: &FieldSchema, data: Data) -> FieldData {
    FieldData {
        r#type: field.data_type.number(),
        field_name: field.name.clone(),
        field_id: field.id.0,
        is_dynamic: field.dynamic,
        valid_data: Vec::new(),
        field: Some(field_data::Field::Scalars(ScalarField { data: Some(data), valid_data: Vec::new() })),
    }
}

/// Whether rows need not say anything of a field.
#[must_use]
pub fn can_be_missing(field: &FieldSchema) -> bool {
    field.default.is_some() || field.nullable || field.dynamic
}

/// The column of a field that was not given: its default, nulls, or no undeclared keys.
#[must_use]
pub fn missing(field: &FieldSchema, count: usize) -> FieldData {
    let value = field.default.as_ref().unwrap_or(&Value::Null);
    let mut filled = column(field, repeated(field.data_type, field.element_type, value, count));
    if field.default.is_none() && field.nullable {
        filled.valid_data = vec![false; count];
    }
    filled
}

/// The column of keys that the server made.
#[must_use]
pub fn auto_ids(field: &FieldSchema, ids: &[i64]) -> FieldData {
    let data = if field.data_type == DataType::VarChar {
        Data::StringData(StringArray { data: ids.iter().map(ToString::to_string).collect() })
    } else {
        Data::LongData(LongArray { data: ids.to_vec() })
    };
    column(field, data)
}

/// Gives the rows without a value the default. Answers whether it could.
pub fn put_default(column: &mut FieldData, default: &Value, valid: &[bool]) -> bool {
    let Some(field_data::Field::Scalars(scalars)) = &mut column.field else { return false };
    let rows = || valid.iter().enumerate().filter(|(_, valid)| !**valid).map(|(row, _)| row);
    match (&mut scalars.data, default) {
        (Some(Data::BoolData(v)), Value::Bool(value)) => rows().for_each(|row| v.data[row] = *value),
        (Some(Data::IntData(v)), Value::Int(value)) => {
            rows().for_each(|row| v.data[row] = i32::try_from(*value).unwrap_or(0));
        }
        (Some(Data::LongData(v)), Value::Int(value)) => rows().for_each(|row| v.data[row] = *value),
        (Some(Data::FloatData(v)), Value::Float(value)) => rows().for_each(|row| v.data[row] = *value as f32),
        (Some(Data::DoubleData(v)), Value::Float(value)) => rows().for_each(|row| v.data[row] = *value),
        (Some(Data::StringData(v)), Value::Text(value)) => {
            rows().for_each(|row| v.data[row].clone_from(value));
        }
        _ => return false,
    }
    true
}

/// Moves the values of a column that leaves null rows out to the rows that have one.
pub fn spread(scalars: &mut ScalarField, valid: &[bool]) {
    struct Spread;
    impl EachRow for Spread {
        fn rows<T: Default>(&self, values: &mut Vec<T>, valid: &[bool]) {
            let mut given = std::mem::take(values).into_iter();
            *values = valid
                .iter()
                .map(|valid| if *valid { given.next().unwrap_or_default() } else { T::default() })
                .collect();
        }
    }
    change(scalars, valid, &Spread);
}

/// Puts placeholders into the null rows of a column that has a value for every row.
pub fn blank(scalars: &mut ScalarField, valid: &[bool]) {
    struct Blank;
    impl EachRow for Blank {
        fn rows<T: Default>(&self, values: &mut Vec<T>, valid: &[bool]) {
            for (value, _) in values.iter_mut().zip(valid).filter(|(_, valid)| !**valid) {
                *value = T::default();
            }
        }
    }
    change(scalars, valid, &Blank);
}

/// What is done to the values of a column, whatever their type.
trait EachRow {
    fn rows<T: Default>(&self, values: &mut Vec<T>, valid: &[bool]);
}

fn change(scalars: &mut ScalarField, valid: &[bool], by: &impl EachRow) {
    match &mut scalars.data {
        Some(Data::BoolData(v)) => by.rows(&mut v.data, valid),
        Some(Data::IntData(v)) => by.rows(&mut v.data, valid),
        Some(Data::LongData(v)) => by.rows(&mut v.data, valid),
        Some(Data::FloatData(v)) => by.rows(&mut v.data, valid),
        Some(Data::DoubleData(v)) => by.rows(&mut v.data, valid),
        Some(Data::StringData(v)) => by.rows(&mut v.data, valid),
        Some(Data::JsonData(v)) => {
            by.rows(&mut v.data, valid);
            let rows = v.data.iter_mut().zip(valid);
            rows.filter(|(_, valid)| !**valid).for_each(|(text, _)| {
                *text = bytes::Bytes::from_static(b"{}");
            });
        }
        Some(Data::ArrayData(v)) => {
            by.rows(&mut v.data, valid);
            let element = DataType::from_number(v.element_type).unwrap_or(DataType::Int64);
            v.data.iter_mut().filter(|row| row.data.is_none()).for_each(|row| {
                row.data = Some(no_values(element, None));
            });
        }
        Some(_) | None => {}
    }
}
