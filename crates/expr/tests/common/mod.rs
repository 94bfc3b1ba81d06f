//! The collection that the filters of the tests are about.

use std::collections::BTreeMap;

use cinclus_expr::{Expr, ExprError, parse};
use cinclus_types::{CollectionSchema, DataType, FieldId, FieldSchema, Value};

/// One field of each type; `$meta` if `dynamic`.
pub(crate) fn schema(dynamic: bool) -> CollectionSchema {
    let field = |id, name: &str, data_type| FieldSchema::new(FieldId(id), name, data_type);
    let array = |id, name: &str, element| FieldSchema {
        element_type: Some(element),
        ..field(id, name, DataType::Array).with_param("max_capacity", 8)
    };
    let mut fields = vec![
        field(100, "id", DataType::Int64).as_primary_key(),
        field(101, "age", DataType::Int8),
        field(102, "price", DataType::Float),
        field(103, "weight", DataType::Double),
        field(104, "name", DataType::VarChar),
        field(105, "ok", DataType::Bool),
        field(106, "doc", DataType::Json),
        array(107, "tags", DataType::VarChar),
        array(108, "nums", DataType::Int64),
        field(109, "vec", DataType::FloatVector).with_param("dim", 4),
        array(110, "floats", DataType::Float),
    ];
    if dynamic {
        fields.push(FieldSchema { dynamic: true, ..field(111, "$meta", DataType::Json) });
    }
    CollectionSchema { name: "things".to_owned(), fields, dynamic, ..CollectionSchema::default() }
}

/// The values of templates in the tests.
pub(crate) fn templates() -> BTreeMap<String, Value> {
    let list = |values: Vec<i64>| Value::Array(values.into_iter().map(Value::Int).collect());
    BTreeMap::from([
        ("five".to_owned(), Value::Int(5)),
        ("half".to_owned(), Value::Float(0.5)),
        ("word".to_owned(), Value::Text("it's \"ok\"".to_owned())),
        ("yes".to_owned(), Value::Bool(true)),
        ("list".to_owned(), list(vec![3, 1, 2, 3])),
        ("json".to_owned(), Value::Json(serde_json::json!([1, [2.5, "x"]]))),
        ("object".to_owned(), Value::Json(serde_json::json!({"a": 1}))),
        ("null".to_owned(), Value::Null),
    ])
}

/// Reads a filter of the dynamic collection.
pub(crate) fn read(text: &str) -> Result<Expr, ExprError> {
    parse(text, &schema(true), &templates())
}
