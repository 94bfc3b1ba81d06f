//! From a schema as a client sends it to one of ours, or to the reason why not.

use std::collections::BTreeMap;

use cinclus_types::convert::field_from_wire;
use cinclus_types::proto::schema as wire;
use cinclus_types::{CollectionSchema, DataType, FieldId, FieldSchema, Value};

use crate::names::{self, NameError};
use crate::validate::{roles, values};

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A name that is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Told in the older form (no code of its own).
    #[error("{0}")]
    Plain(String),
    /// Told as an invalid parameter.
    #[error("{0}: invalid parameter")]
    Invalid(String),
    /// The default of a small integer is too large or too small.
    #[error("default value out of range: invalid parameter[{number} out of range {low} <= value <= {high}]")]
    DefaultOutOfRange {
        /// The default.
        number: i64,
        /// The least allowed.
        low: i64,
        /// The greatest allowed.
        high: i64,
    },
    /// The default of a VarChar is too long.
    #[error(
        "the length ({length}) of string exceeds max length ({limit}): invalid parameter[expected=valid length string][actual=string length exceeds max length]"
    )]
    DefaultTooLong {
        /// Its bytes.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Fields of a collection, at most.
const FIELDS_MAX: usize = 64;
/// The dimensions of a float vector.
const DIM: std::ops::RangeInclusive<i64> = 2..=32768;
/// Bytes of a VarChar, at most.
const LENGTH_MAX: i64 = 65535;
/// Items of an Array, at most.
const CAPACITY_MAX: i64 = 4096;

pub(super) fn plain<T>(text: impl Into<String>) -> Result<T, SchemaError> {
    Err(SchemaError::Plain(text.into()))
}

/// Checks the schema of a collection to create and gives its fields their ids, in order from 100;
/// `$meta` comes last if the schema is dynamic.
///
/// # Errors
/// The first fault that is found, in Milvus' words.
pub fn check(collection: &str, given: &wire::CollectionSchema) -> Result<CollectionSchema, SchemaError> {
    refuse_unserved(given)?;
    if given.fields.len() > FIELDS_MAX {
        return plain(format!("maximum field's number should be limited to {FIELDS_MAX}"));
    }
    roles::check(&given.fields)?;
    let mut schema = CollectionSchema {
        name: collection.to_owned(),
        description: given.description.clone(),
        dynamic: given.enable_dynamic_field,
        ..CollectionSchema::default()
    };
    for (at, field) in given.fields.iter().enumerate() {
        names::field(&field.name)?;
        if schema.field(&field.name).is_some() {
            return plain(format!("duplicated field name {} found", field.name));
        }
        schema.fields.push(check_field(collection, FieldId(FieldId::FIRST_USER.0 + at as i64), field)?);
    }
    if schema.dynamic {
        let id = FieldId(FieldId::FIRST_USER.0 + schema.fields.len() as i64);
        let mut meta = FieldSchema::new(id, CollectionSchema::DYNAMIC_FIELD, DataType::Json);
        meta.dynamic = true;
        meta.description = "dynamic schema".to_owned();
        schema.fields.push(meta);
    }
    Ok(schema)
}

fn refuse_unserved(given: &wire::CollectionSchema) -> Result<(), SchemaError> {
    let unserved = [
        ("functions of a schema", !given.functions.is_empty()),
        ("struct array fields", !given.struct_array_fields.is_empty()),
        ("external collections", !given.external_source.is_empty()),
        ("namespaces", given.enable_namespace),
    ];
    match unserved.iter().find(|(_, asked)| *asked) {
        Some((what, _)) => Err(SchemaError::Invalid(format!("{what} are not supported by Cinclus yet"))),
        None => Ok(()),
    }
}

/// Checks one field.
///
/// # Errors
/// The first fault that is found.
pub fn check_field(
    collection: &str,
    id: FieldId,
    given: &wire::FieldSchema,
) -> Result<FieldSchema, SchemaError> {
    if given.is_dynamic {
        return plain("cannot explicitly set a field as a dynamic field");
    }
    let data_type = data_type(&given.name, given.data_type)?;
    if data_type == DataType::Array {
        check_element_type(given.element_type)?;
    }
    check_default_type(given, data_type)?;
    let mut field = field_from_wire(given).map_err(|error| SchemaError::Invalid(error.to_string()))?;
    field.id = id;
    check_params(collection, &field)?;
    check_null(&field)?;
    check_default(&field)?;
    Ok(field)
}

/// Checks changed type parameters of a field.
///
/// # Errors
/// One may not be changed, or not to that value.
pub fn check_changed(
    collection: &str,
    field: &FieldSchema,
    set: &BTreeMap<String, String>,
) -> Result<(), SchemaError> {
    let mut changed = field.clone();
    changed.type_params.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
    check_params(collection, &changed)
}

fn data_type(field: &str, number: i32) -> Result<DataType, SchemaError> {
    match wire::DataType::try_from(number) {
        Ok(wire::DataType::String) => {
            plain("string data type not supported yet, please use VarChar type instead")
        }
        Ok(wire::DataType::None) => plain("data type None is not valid"),
        Err(_) => plain(format!("data type {number} of field {field} is not valid")),
        Ok(known) => DataType::from_number(number).ok_or_else(|| {
            SchemaError::Invalid(format!(
                "data type {} of field {field} is not supported by Cinclus yet",
                known.as_str_name()
            ))
        }),
    }
}

fn check_element_type(number: i32) -> Result<(), SchemaError> {
    match DataType::from_number(number) {
        Some(element) if !matches!(element, DataType::Array | DataType::Json) && !element.is_vector() => {
            Ok(())
        }
        _ => Err(SchemaError::Invalid(match wire::DataType::try_from(number) {
            Ok(wire::DataType::None) => "element data type None is not valid".to_owned(),
            Ok(known) => format!("element type {} is not supported", known.as_str_name()),
            Err(_) => format!("element type {number} is not supported"),
        })),
    }
}

/// Checks the kind of a default value as the client sent it.
fn check_default_type(given: &wire::FieldSchema, data_type: DataType) -> Result<(), SchemaError> {
    use wire::value_field::Data;
    let Some(data) = given.default_value.as_ref().and_then(|value| value.data.as_ref()) else {
        return Ok(());
    };
    let type_name = wire::DataType::try_from(given.data_type).unwrap_or_default().as_str_name();
    if given.is_primary_key {
        return Err(SchemaError::Invalid(format!(
            "primary field not support default_value, field name = {}",
            given.name
        )));
    }
    if matches!(data_type, DataType::Json | DataType::Array) || data_type.is_vector() {
        return Err(SchemaError::Invalid(format!(
            "type not support default_value, type:{type_name}, name:{}",
            given.name
        )));
    }
    let (found, fits) = match data {
        Data::BoolData(_) => ("Bool", data_type == DataType::Bool),
        Data::IntData(number) => {
            check_default_range(data_type, i64::from(*number))?;
            ("Int", matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32))
        }
        Data::LongData(_) => ("Int64", data_type == DataType::Int64),
        Data::FloatData(_) => ("Float", data_type == DataType::Float),
        Data::DoubleData(_) => ("Double", data_type == DataType::Double),
        Data::StringData(_) => ("VarChar", data_type == DataType::VarChar),
        Data::BytesData(_) => ("JSON", false),
        Data::TimestamptzData(_) => ("Timestamptz", false),
        Data::DateData(_) => ("Date", false),
        Data::TimeData(_) => ("Time", false),
    };
    if fits {
        return Ok(());
    }
    Err(SchemaError::Invalid(format!(
        "type ({type_name}) of field ({}) is not equal to the type(DataType_{found}) of default_value",
        given.name
    )))
}

/// Refuses a default that a smaller integer does not hold.
fn check_default_range(data_type: DataType, number: i64) -> Result<(), SchemaError> {
    let range = values::int_range(data_type);
    if matches!(data_type, DataType::Int8 | DataType::Int16) && !range.contains(&number) {
        return Err(SchemaError::DefaultOutOfRange { number, low: *range.start(), high: *range.end() });
    }
    Ok(())
}

fn check_params(collection: &str, field: &FieldSchema) -> Result<(), SchemaError> {
    if field.data_type == DataType::FloatVector {
        return check_dim(field);
    }
    if field.data_type == DataType::VarChar || field.element_type == Some(DataType::VarChar) {
        check_length(collection, field)?;
    }
    if field.data_type == DataType::Array {
        check_capacity(collection, field)?;
    }
    Ok(())
}

fn number(field: &FieldSchema, key: &str) -> Result<Option<i64>, SchemaError> {
    match field.type_params.get(key) {
        None => Ok(None),
        Some(text) => match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(SchemaError::Invalid(format!(
                "the value for {key} of field {} must be an integer, but got \"{text}\": invalid syntax",
                field.name
            ))),
        },
    }
}

fn check_dim(field: &FieldSchema) -> Result<(), SchemaError> {
    let (low, high) = (DIM.start(), DIM.end());
    match number(field, "dim")? {
        None => plain(format!(
            "dimension is not defined in field type params, check type param `dim` for vector field {}",
            field.name
        )),
        Some(dim) if dim < *low => {
            plain(format!("invalid dimension: {dim}. should be in range {low} ~ {high}"))
        }
        Some(dim) if dim > *high => plain(format!(
            "invalid dimension: {dim} of field {}. float vector dimension should be in range {low} ~ {high}",
            field.name
        )),
        Some(_) => Ok(()),
    }
}

fn check_length(collection: &str, field: &FieldSchema) -> Result<(), SchemaError> {
    let name = &field.name;
    match number(field, "max_length")? {
        None => plain(format!(
            "type param(max_length) should be specified for the field({name}) of collection {collection}"
        )),
        Some(length) if !(1..=LENGTH_MAX).contains(&length) => Err(SchemaError::Invalid(format!(
            "the maximum length specified for the field({name}) should be in (0, {LENGTH_MAX}], but got {length} instead"
        ))),
        Some(_) => Ok(()),
    }
}

fn check_capacity(collection: &str, field: &FieldSchema) -> Result<(), SchemaError> {
    match number(field, "max_capacity")? {
        None => plain(format!(
            "type param(max_capacity) should be specified for array field {} of collection {collection}",
            field.name
        )),
        Some(capacity) if !(1..=CAPACITY_MAX).contains(&capacity) => {
            plain(format!("the maximum capacity specified for a Array should be in (0, {CAPACITY_MAX}]"))
        }
        Some(_) => Ok(()),
    }
}

fn check_null(field: &FieldSchema) -> Result<(), SchemaError> {
    if !field.nullable {
        return Ok(());
    }
    if field.primary_key {
        return Err(SchemaError::Invalid(format!(
            "primary field not support null, field name = {}",
            field.name
        )));
    }
    if field.data_type.is_vector() {
        return Err(SchemaError::Invalid(format!(
            "vector type not support null, field name = {}",
            field.name
        )));
    }
    if field.partition_key {
        return Err(SchemaError::Invalid(format!(
            "field {}: partition key field not support nullable",
            field.name
        )));
    }
    Ok(())
}

fn check_default(field: &FieldSchema) -> Result<(), SchemaError> {
    let name = &field.name;
    match &field.default {
        Some(Value::Text(text)) if text.len() > field.max_length() => {
            Err(SchemaError::DefaultTooLong { length: text.len(), limit: field.max_length() })
        }
        Some(Value::Float(number)) if !number.is_finite() => Err(SchemaError::Invalid(format!(
            "default_value {number} of field {name} is not a number or infinity"
        ))),
        Some(_) | None => Ok(()),
    }
}
