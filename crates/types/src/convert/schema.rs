//! Schemas from and to `schema.CollectionSchema`.
//!
//! Only the form is read here; whether a schema makes sense is for whoever creates the collection.

use std::collections::BTreeMap;

use super::value::{default_from_wire, default_to_wire};
use crate::proto::common::KeyValuePair;
use crate::proto::schema as wire;
use crate::{Advice, CollectionSchema, DataType, FieldId, FieldSchema};

/// Why a wire schema cannot be ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    /// The type of a field, or of an Array's items, is not served.
    #[error("field {field}: data type {name} is not supported")]
    DataType {
        /// The field.
        field: String,
        /// The wire's name of the type, or its number.
        name: String,
    },
    /// The default of a field is not of its type.
    #[error("field {field}: the default value does not fit type {data_type:?}")]
    Default {
        /// The field.
        field: String,
        /// Its type.
        data_type: DataType,
    },
    /// The schema or field uses something that is not served.
    #[error("{name}: {what} are not supported")]
    Unsupported {
        /// The name of the schema or field.
        name: String,
        /// What it uses.
        what: &'static str,
    },
}

impl SchemaError {
    /// The schema will not get better.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        Advice::Reject
    }
}

/// Reads a schema. `properties` are no part of ours and are left to the caller.
///
/// # Errors
/// What it uses that is not served.
pub fn schema_from_wire(schema: &wire::CollectionSchema) -> Result<CollectionSchema, SchemaError> {
    let unsupported = |what| SchemaError::Unsupported { name: schema.name.clone(), what };
    if !schema.functions.is_empty() {
        return Err(unsupported("functions"));
    }
    if !schema.struct_array_fields.is_empty() {
        return Err(unsupported("struct array fields"));
    }
    if !schema.external_source.is_empty() {
        return Err(unsupported("external sources"));
    }
    Ok(CollectionSchema {
        name: schema.name.clone(),
        description: schema.description.clone(),
        fields: schema.fields.iter().map(field_from_wire).collect::<Result<_, _>>()?,
        dynamic: schema.enable_dynamic_field,
        version: schema.version,
    })
}

/// Writes a schema with all its fields, `$meta` included.
#[must_use]
pub fn schema_to_wire(schema: &CollectionSchema) -> wire::CollectionSchema {
    wire::CollectionSchema {
        name: schema.name.clone(),
        description: schema.description.clone(),
        // Older clients read the schema's flag, not the field's.
        auto_id: schema.primary_key().is_some_and(|key| key.auto_id),
        fields: schema.fields.iter().map(field_to_wire).collect(),
        enable_dynamic_field: schema.dynamic,
        version: schema.version,
        ..Default::default()
    }
}

/// Reads a field.
///
/// # Errors
/// Its type, or the type of its items or of its default, is not served.
pub fn field_from_wire(field: &wire::FieldSchema) -> Result<FieldSchema, SchemaError> {
    let data_type = data_type(field, field.data_type)?;
    if field.element_nullable {
        return Err(SchemaError::Unsupported { name: field.name.clone(), what: "null items of lists" });
    }
    let element_type = if data_type == DataType::Array { Some(data_type_of_items(field)?) } else { None };
    let default = match &field.default_value {
        None => None,
        Some(value) if value.data.is_none() => None,
        Some(value) => Some(
            default_from_wire(value, data_type)
                .ok_or_else(|| SchemaError::Default { field: field.name.clone(), data_type })?,
        ),
    };
    Ok(FieldSchema {
        id: FieldId(field.field_id),
        name: field.name.clone(),
        description: field.description.clone(),
        data_type,
        element_type,
        primary_key: field.is_primary_key,
        auto_id: field.auto_id,
        partition_key: field.is_partition_key,
        clustering_key: field.is_clustering_key,
        nullable: field.nullable,
        dynamic: field.is_dynamic,
        default,
        type_params: field.type_params.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect(),
    })
}

/// Writes a field.
#[must_use]
pub fn field_to_wire(field: &FieldSchema) -> wire::FieldSchema {
    wire::FieldSchema {
        field_id: field.id.0,
        name: field.name.clone(),
        is_primary_key: field.primary_key,
        description: field.description.clone(),
        data_type: field.data_type.number(),
        type_params: pairs(&field.type_params),
        auto_id: field.auto_id,
        element_type: field.element_type.map_or(0, DataType::number),
        default_value: field.default.as_ref().and_then(|value| default_to_wire(value, field.data_type)),
        is_dynamic: field.dynamic,
        is_partition_key: field.partition_key,
        is_clustering_key: field.clustering_key,
        nullable: field.nullable,
        ..Default::default()
    }
}

/// A map as the wire writes it, in the order of its keys.
#[must_use]
pub fn pairs(map: &BTreeMap<String, String>) -> Vec<KeyValuePair> {
    map.iter().map(|(key, value)| KeyValuePair { key: key.clone(), value: value.clone() }).collect()
}

/// A map as the wire writes it. Of two pairs with one key the last one counts.
#[must_use]
pub fn map(pairs: Vec<KeyValuePair>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

fn data_type(field: &wire::FieldSchema, number: i32) -> Result<DataType, SchemaError> {
    DataType::from_number(number).ok_or_else(|| {
        let name = wire::DataType::try_from(number).map(|wire| wire.as_str_name().to_owned());
        SchemaError::DataType { field: field.name.clone(), name: name.unwrap_or_else(|_| number.to_string()) }
    })
}

fn data_type_of_items(field: &wire::FieldSchema) -> Result<DataType, SchemaError> {
    let element = data_type(field, field.element_type)?;
    if element.is_vector() || matches!(element, DataType::Array | DataType::Json) {
        return Err(SchemaError::DataType {
            field: field.name.clone(),
            name: format!("Array of {element:?}"),
        });
    }
    Ok(element)
}
