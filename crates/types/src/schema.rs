//! Collection schemas: fields, their types and limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{FieldId, Value};

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataType {
    /// true or false.
    Bool,
    /// 8-bit signed integer.
    Int8,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// 32-bit float.
    Float,
    /// 64-bit float.
    Double,
    /// UTF-8 text of bounded length in bytes.
    VarChar,
    /// A JSON document.
    Json,
    /// A list of scalars of one type.
    Array,
    /// A vector of 32-bit floats.
    FloatVector,
}

impl DataType {
    /// Every type, in the order of Milvus' numbers.
    pub const ALL: [DataType; 11] = [
        DataType::Bool,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float,
        DataType::Double,
        DataType::VarChar,
        DataType::Array,
        DataType::Json,
        DataType::FloatVector,
    ];

    /// Milvus' number of this type (`schema.proto`, DataType).
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            DataType::Bool => 1,
            DataType::Int8 => 2,
            DataType::Int16 => 3,
            DataType::Int32 => 4,
            DataType::Int64 => 5,
            DataType::Float => 10,
            DataType::Double => 11,
            DataType::VarChar => 21,
            DataType::Array => 22,
            DataType::Json => 23,
            DataType::FloatVector => 101,
        }
    }

    /// The type of Milvus' number, if it is one that is served.
    #[must_use]
    pub fn from_number(number: i32) -> Option<DataType> {
        DataType::ALL.into_iter().find(|data_type| data_type.number() == number)
    }

    /// Whether this is a vector.
    #[must_use]
    pub const fn is_vector(self) -> bool {
        matches!(self, DataType::FloatVector)
    }

    /// Whether this is an integer.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        matches!(self, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
    }

    /// Whether this is a float.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, DataType::Float | DataType::Double)
    }
}

/// One field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldSchema {
    /// Its id, fixed for ever.
    pub id: FieldId,
    /// Its name.
    pub name: String,
    /// What its author says of it.
    pub description: String,
    /// Its type.
    pub data_type: DataType,
    /// The type of the items of an Array.
    pub element_type: Option<DataType>,
    /// Whether it is the primary key.
    pub primary_key: bool,
    /// Whether the server makes its values.
    pub auto_id: bool,
    /// Whether its values pick the partition.
    pub partition_key: bool,
    /// Whether rows should lie near each other by its values.
    pub clustering_key: bool,
    /// Whether a row may have no value.
    pub nullable: bool,
    /// Whether it is the `$meta` field that holds undeclared keys.
    pub dynamic: bool,
    /// The value of a row that has none.
    pub default: Option<Value>,
    /// The parameters as the user gave them (`dim`, `max_length`, `max_capacity`, …): echoed by describe.
    pub type_params: BTreeMap<String, String>,
}

impl FieldSchema {
    /// A field with a name and a type, and nothing special.
    pub fn new(id: FieldId, name: impl Into<String>, data_type: DataType) -> FieldSchema {
        FieldSchema {
            id,
            name: name.into(),
            description: String::new(),
            data_type,
            element_type: None,
            primary_key: false,
            auto_id: false,
            partition_key: false,
            clustering_key: false,
            nullable: false,
            dynamic: false,
            default: None,
            type_params: BTreeMap::new(),
        }
    }

    /// The same field with a type parameter.
    #[must_use]
    pub fn with_param(mut self, key: &str, value: impl ToString) -> FieldSchema {
        self.type_params.insert(key.to_owned(), value.to_string());
        self
    }

    /// The same field as primary key.
    #[must_use]
    pub fn as_primary_key(mut self) -> FieldSchema {
        self.primary_key = true;
        self
    }

    /// The number of dimensions of a vector, 0 if there is none.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.number("dim")
    }

    /// The longest VarChar (or VarChar item), in bytes; 0 if there is no limit.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.number("max_length")
    }

    /// The most items of an Array; 0 if there is no limit.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.number("max_capacity")
    }

    fn number(&self, key: &str) -> usize {
        self.type_params.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// The schema of a collection at one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectionSchema {
    /// The name at creation.
    pub name: String,
    /// What its author says of it.
    pub description: String,
    /// The fields by ascending id, `$meta` included, hidden ones not.
    pub fields: Vec<FieldSchema>,
    /// Whether undeclared keys are kept in `$meta`.
    pub dynamic: bool,
    /// Starts at 0; greater for each change.
    pub version: i32,
}

impl CollectionSchema {
    /// The name of the field that holds undeclared keys.
    pub const DYNAMIC_FIELD: &'static str = "$meta";

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field of that id.
    #[must_use]
    pub fn field_by_id(&self, id: FieldId) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// The primary key. A schema that was accepted has one.
    #[must_use]
    pub fn primary_key(&self) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.primary_key)
    }

    /// The `$meta` field.
    #[must_use]
    pub fn dynamic_field(&self) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.dynamic)
    }

    /// The vector fields.
    pub fn vector_fields(&self) -> impl Iterator<Item = &FieldSchema> {
        self.fields.iter().filter(|field| field.data_type.is_vector())
    }
}
