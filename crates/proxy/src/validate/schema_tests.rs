//! Schemas and what is said of them.

use cinclus_types::proto::common::KeyValuePair;
use cinclus_types::proto::schema::{self as wire, value_field};
use cinclus_types::{CollectionSchema, DataType, FieldId, Value};

use super::schema::check;

fn field(name: &str, data_type: wire::DataType, params: &[(&str, &str)]) -> wire::FieldSchema {
    wire::FieldSchema {
        name: name.to_owned(),
        data_type: data_type as i32,
        type_params: params
            .iter()
            .map(|(key, value)| KeyValuePair { key: (*key).to_owned(), value: (*value).to_owned() })
            .collect(),
        ..wire::FieldSchema::default()
    }
}

fn key(name: &str) -> wire::FieldSchema {
    wire::FieldSchema { is_primary_key: true, ..field(name, wire::DataType::Int64, &[]) }
}

fn vector(dim: &str) -> wire::FieldSchema {
    field("v", wire::DataType::FloatVector, &[("dim", dim)])
}

fn judge(fields: Vec<wire::FieldSchema>) -> Result<CollectionSchema, String> {
    let given = wire::CollectionSchema { fields, enable_dynamic_field: true, ..Default::default() };
    check("c", &given).map_err(|error| error.to_string())
}

fn refused(fields: Vec<wire::FieldSchema>, text: &str) {
    let found = judge(fields).unwrap_err();
    assert!(found.contains(text), "{found:?} does not say {text:?}");
}

/// A key, a vector, and this field.
fn with(field: wire::FieldSchema) -> Vec<wire::FieldSchema> {
    vec![key("id"), vector("4"), field]
}

#[test]
fn fields_get_their_ids_in_order_and_meta_the_last() {
    let schema = judge(with(field("s", wire::DataType::VarChar, &[("max_length", "10")]))).unwrap();
    let found: Vec<_> = schema.fields.iter().map(|field| (field.id.0, field.name.as_str())).collect();
    assert_eq!(found, [(100, "id"), (101, "v"), (102, "s"), (103, "$meta")]);
    assert_eq!(
        schema.dynamic_field().map(|field| (field.id, field.data_type)),
        Some((FieldId(103), DataType::Json))
    );
    assert_eq!(schema.fields[2].max_length(), 10);
}

#[test]
fn dimensions_are_bounded() {
    let judge = |dim: &str, text: &str| refused(vec![key("id"), vector(dim)], text);
    judge("1", "invalid dimension: 1. should be in range 2 ~ 32768");
    judge(
        "32769",
        "invalid dimension: 32769 of field v. float vector dimension should be in range 2 ~ 32768",
    );
    judge("x", "the value for dim of field v must be an integer, but got \"x\": invalid syntax");
    refused(vec![key("id"), field("v", wire::DataType::FloatVector, &[])], "dimension is not defined");
}

#[test]
fn texts_and_arrays_need_their_limits() {
    let text = wire::DataType::VarChar;
    refused(
        with(field("s", text, &[])),
        "type param(max_length) should be specified for the field(s) of collection c",
    );
    refused(
        with(field("s", text, &[("max_length", "65536")])),
        "the maximum length specified for the field(s) should be in (0, 65535], but got 65536 instead",
    );
    let list = |element: DataType, params: &[(&str, &str)]| wire::FieldSchema {
        element_type: element.number(),
        ..field("a", wire::DataType::Array, params)
    };
    refused(
        with(list(DataType::Int64, &[])),
        "type param(max_capacity) should be specified for array field a of collection c",
    );
    refused(
        with(list(DataType::Int64, &[("max_capacity", "4097")])),
        "the maximum capacity specified for a Array should be in (0, 4096]",
    );
    refused(with(list(DataType::VarChar, &[("max_capacity", "4")])), "type param(max_length)");
    refused(with(list(DataType::Json, &[("max_capacity", "4")])), "element type JSON is not supported");
    assert!(judge(with(list(DataType::VarChar, &[("max_capacity", "4"), ("max_length", "9")]))).is_ok());
}

#[test]
fn a_schema_needs_one_key_and_a_vector() {
    refused(vec![vector("4")], "primary key is not specified");
    refused(vec![key("a"), key("b"), vector("4")], "there are more than one primary key");
    refused(Vec::new(), "schema does not contain vector field: invalid parameter");
    let nothing = wire::FieldSchema { is_primary_key: true, ..wire::FieldSchema::default() };
    refused(vec![nothing, vector("4")], "the data type of primary key should be Int64 or VarChar");
    refused(vec![key("id")], "schema does not contain vector field: invalid parameter");
    let float = wire::FieldSchema { data_type: wire::DataType::Float as i32, ..key("id") };
    refused(vec![float, vector("4")], "the data type of primary key should be Int64 or VarChar");
    let auto = wire::FieldSchema { auto_id: true, ..field("n", wire::DataType::Int64, &[]) };
    refused(with(auto.clone()), "only primary field can speficy AutoID with true");
    let both = wire::FieldSchema { auto_id: true, ..key("id") };
    refused(vec![both, vector("4"), auto], "only one field can speficy AutoID with true");
}

#[test]
fn names_and_types_are_judged() {
    refused(with(field("id", wire::DataType::Int64, &[])), "duplicated field name id found");
    refused(with(field("a-b", wire::DataType::Int64, &[])), "Invalid field name: a-b. ");
    refused(with(field("TRUE", wire::DataType::Int64, &[])), "Invalid field name: TRUE. ");
    assert!(judge(with(field("Like", wire::DataType::Int64, &[]))).is_ok());
    refused(
        with(field("s", wire::DataType::String, &[])),
        "string data type not supported yet, please use VarChar type instead",
    );
    refused(
        with(field("b", wire::DataType::BinaryVector, &[("dim", "8")])),
        "is not supported by Cinclus yet",
    );
    refused(with(field("n", wire::DataType::None, &[])), "data type None is not valid");
    refused(
        vec![key("id"), wire::FieldSchema { name: String::new(), ..vector("4") }],
        "field name should not be empty",
    );
    let many = (0..65).map(|n| field(&format!("f{n}"), wire::DataType::Int64, &[])).collect();
    refused(many, "maximum field's number should be limited to 64");
    let vectors = (0..5).map(|n| wire::FieldSchema { name: format!("v{n}"), ..vector("4") });
    refused(
        [key("id")].into_iter().chain(vectors).collect(),
        "maximum vector field's number should be limited to 4",
    );
}

#[test]
fn partition_keys_nulls_and_defaults_are_judged() {
    let partition = |field| wire::FieldSchema { is_partition_key: true, ..field };
    refused(vec![partition(key("id")), vector("4")], "the partition key field must not be primary field");
    refused(
        with(partition(field("f", wire::DataType::Float, &[]))),
        "the data type of partition key should be Int64 or VarChar",
    );
    let null = |field| wire::FieldSchema { nullable: true, ..field };
    refused(vec![null(key("id")), vector("4")], "primary field not support null");
    refused(vec![key("id"), null(vector("4"))], "vector type not support null");
    let default = |field, data| wire::FieldSchema {
        default_value: Some(wire::ValueField { data: Some(data) }),
        ..field
    };
    let text = field("s", wire::DataType::VarChar, &[("max_length", "2")]);
    refused(
        with(default(text.clone(), value_field::Data::StringData("abc".into()))),
        "the length (3) of string exceeds max length (2): ",
    );
    refused(
        with(default(text.clone(), value_field::Data::LongData(1))),
        "type (VarChar) of field (s) is not equal to the type(DataType_Int64) of default_value",
    );
    refused(
        with(default(field("j", wire::DataType::Json, &[]), value_field::Data::LongData(1))),
        "type not support default_value, type:JSON",
    );
    refused(
        vec![default(key("id"), value_field::Data::LongData(1)), vector("4")],
        "primary field not support default_value",
    );
    let small = default(field("n", wire::DataType::Int8, &[]), value_field::Data::IntData(128));
    refused(
        with(small),
        "default value out of range: invalid parameter[128 out of range -128 <= value <= 127]",
    );
    refused(
        with(default(text.clone(), value_field::Data::IntData(1))),
        "type (VarChar) of field (s) is not equal to the type(DataType_Int) of default_value",
    );
    let partition_key = partition(null(field("p", wire::DataType::Int64, &[])));
    refused(with(partition_key), "partition key field not support nullable: invalid parameter");
    let schema = judge(with(default(text, value_field::Data::StringData("ab".into())))).unwrap();
    assert_eq!(schema.fields[2].default, Some(Value::Text("ab".into())));
}
