//! Payloads there and back, under the schema they were written with and under a newer one.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::convert::{column_from_wire, column_to_wire, schema_from_wire, schema_to_wire};
use crate::message::samples::{self, meta, rows, schema};
use crate::proto::msg::{DeleteRequest, InsertRequest};
use crate::proto::schema as wire;
use crate::proto::schema::field_data::Field;
use crate::proto::schema::scalar_field::Data;
use crate::{Column, ColumnData, DataType, FieldId, FieldSchema, Keys, PartitionId, Rows, Value};

fn decode(payload: &Bytes) -> Result<Rows, BodyError> {
    InsertBody::decode(payload, &schema())
}

#[test]
fn rows_come_back_as_they_were() {
    let payload = InsertBody::encode_rows(&meta(), &schema(), rows());
    assert_eq!(decode(&payload).unwrap(), rows());
}

#[test]
fn columns_in_wire_form_pass_through_unread() {
    let schema = schema();
    let fields = rows().columns.into_iter().zip(&schema.fields).map(|(c, field)| column_to_wire(field, c));
    let payload = InsertBody::encode_fields(&meta(), 3, fields.collect());
    assert_eq!(payload, InsertBody::encode_rows(&meta(), &schema, rows()));
    let request = InsertRequest::decode(payload).unwrap();
    assert_eq!((request.timestamps.len(), request.row_i_ds.len(), request.num_rows), (3, 3, 3));
}

#[test]
fn rows_of_an_older_schema_get_default_or_null() {
    let payload = InsertBody::encode_rows(&meta(), &schema(), rows());
    let mut newer = schema();
    // 103 is gone; 110 has a default, 111 none.
    newer.fields.retain(|field| field.id != FieldId(103));
    let mut stars = FieldSchema::new(FieldId(110), "stars", DataType::Int16);
    stars.default = Some(Value::Int(5));
    let mut note = FieldSchema::new(FieldId(111), "note", DataType::VarChar);
    note.nullable = true;
    newer.fields.extend([stars, note]);
    let read = InsertBody::decode(&payload, &newer).unwrap();
    assert_eq!(read.columns.iter().map(|c| c.field.0).collect::<Vec<_>>(), [100, 101, 102, 104, 110, 111]);
    assert_eq!(read.column(FieldId(110)).unwrap(), &Column::new(FieldId(110), ColumnData::Int16(vec![5; 3])));
    assert_eq!(read.column(FieldId(111)).unwrap().valid, Some(vec![false; 3]));

    newer.fields.push(FieldSchema::new(FieldId(112), "must", DataType::Bool));
    let error = InsertBody::decode(&payload, &newer).unwrap_err().to_string();
    assert_eq!(error, "field must: row 0 has no value, the field is not nullable and has no default");
}

#[test]
fn what_is_no_insert_is_refused() {
    let error = decode(&Bytes::from_static(b"\x0f")).unwrap_err();
    assert!(matches!(error, BodyError::Wire { body: "InsertRequest", .. }));
    let payload = |change: fn(&mut InsertRequest)| {
        let bytes = InsertBody::encode_rows(&meta(), &schema(), rows());
        let mut request = InsertRequest::decode(bytes).unwrap();
        change(&mut request);
        decode(&request.encode_to_vec().into()).unwrap_err().to_string()
    };
    assert!(payload(|request| request.version = 0).starts_with("the InsertRequest holds rows, not columns"));
    assert!(payload(|request| request.num_rows = u64::MAX).starts_with("the InsertRequest says 1844674"));
    assert_eq!(payload(|request| request.num_rows = 2), "field id: 3 values were given for 2 rows");
}

/// Reads a column of three rows of a field.
fn column(field: &FieldSchema, data: Data, valid: &[bool]) -> Result<Column, String> {
    let scalars = wire::ScalarField { data: Some(data), valid_data: Vec::new() };
    let data = wire::FieldData {
        field: Some(Field::Scalars(scalars)),
        valid_data: valid.to_vec(),
        ..Default::default()
    };
    column_from_wire(field, data, 3).map_err(|error| error.to_string())
}

fn texts(texts: &[&str]) -> Data {
    Data::StringData(wire::StringArray { data: texts.iter().map(|text| (*text).to_owned()).collect() })
}

#[test]
fn null_rows_may_be_left_out_or_filled_in() {
    let mut field = FieldSchema::new(FieldId(100), "name", DataType::VarChar);
    field.nullable = true;
    let marks = [true, false, true];
    let full = column(&field, texts(&["a", "?", "c"]), &marks).unwrap();
    assert_eq!((full.value(0), full.value(1), full.value(2)), (text("a"), Value::Null, text("c")));
    let compact = column(&field, texts(&["a", "c"]), &marks).unwrap();
    assert_eq!((compact.value(0), compact.value(1), compact.value(2)), (text("a"), Value::Null, text("c")));

    field.default = Some(text("d"));
    let filled = column(&field, texts(&["a", "c"]), &marks).unwrap();
    assert_eq!((filled.value(1), filled.valid), (text("d"), None));
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn newer_null_marks_inside_the_column_win() {
    let mut field = FieldSchema::new(FieldId(100), "name", DataType::VarChar);
    field.nullable = true;
    let scalars =
        wire::ScalarField { data: Some(texts(&["a", "b", "c"])), valid_data: vec![true, true, false] };
    let data = wire::FieldData { field: Some(Field::Scalars(scalars)), ..Default::default() };
    assert_eq!(column_from_wire(&field, data, 3).unwrap().valid, Some(vec![true, true, false]));
}

#[test]
fn null_vectors_are_left_out_and_put_back() {
    let mut field = FieldSchema::new(FieldId(100), "v", DataType::FloatVector).with_param("dim", 2);
    field.nullable = true;
    let data = ColumnData::FloatVector { dim: 2, data: vec![1.0, 2.0, 0.0, 0.0, 5.0, 6.0] };
    let given = Column { field: field.id, data, valid: Some(vec![true, false, true]) };
    let sent = column_to_wire(&field, given.clone());
    let Some(Field::Vectors(vectors)) = &sent.field else { panic!("vectors") };
    let Some(wire::vector_field::Data::FloatVector(floats)) = &vectors.data else { panic!("floats") };
    assert_eq!(floats.data, [1.0, 2.0, 5.0, 6.0]);
    assert_eq!(column_from_wire(&field, sent, 3).unwrap(), given);
}

#[test]
fn a_wrong_column_is_refused_with_what_is_wrong() {
    let of = |data_type| FieldSchema::new(FieldId(100), "f", data_type).with_param("dim", 2);
    let ints = |data: &[i32]| Data::IntData(wire::IntArray { data: data.to_vec() });
    let cases = [
        (DataType::Int64, ints(&[1, 2, 3]), vec![], "field f: int_data was given for Int64"),
        (DataType::Int8, ints(&[1, 2, 300]), vec![], "field f: 300 at position 2 does not fit in Int8"),
        (DataType::Int32, ints(&[1, 2]), vec![], "field f: 2 values were given for 3 rows"),
        (DataType::Int32, ints(&[1, 2, 3]), vec![true, false], "field f: 2 null marks were given for 3 rows"),
        (
            DataType::Int32,
            ints(&[1, 2, 3]),
            vec![true, true, false],
            "field f: row 2 has no value, the field is not nullable and has no default",
        ),
        (DataType::FloatVector, ints(&[1]), vec![], "field f: scalars was given for FloatVector"),
    ];
    for (data_type, data, valid, expected) in cases {
        assert_eq!(column(&of(data_type), data, &valid).unwrap_err(), expected);
    }
    let vectors = |dim, data: Vec<f32>| {
        let floats = wire::vector_field::Data::FloatVector(wire::FloatArray { data });
        let vectors = wire::VectorField { dim, data: Some(floats), valid_data: Vec::new() };
        let data = wire::FieldData { field: Some(Field::Vectors(vectors)), ..Default::default() };
        column_from_wire(&of(DataType::FloatVector), data, 1).unwrap_err().to_string()
    };
    assert_eq!(vectors(3, vec![0.0; 3]), "field f: vectors of dimension 3 were given for dimension 2");
    assert_eq!(vectors(2, vec![0.0; 3]), "field f: 3 floats are no whole vectors of dimension 2");
}

#[test]
fn keys_come_back_with_their_partition() {
    for keys in [Keys::Int64(vec![5, -5]), Keys::VarChar(["a", "b"].into_iter().collect())] {
        let body = DeleteBody::decode(&DeleteBody::encode(&meta(), keys.clone())).unwrap();
        assert_eq!(body, DeleteBody { partition: Some(PartitionId(200)), keys });
    }
    let everywhere = BodyMeta { partition: None, ..meta() };
    let payload = DeleteBody::encode(&everywhere, Keys::Int64(vec![1]));
    assert_eq!(DeleteBody::decode(&payload).unwrap().partition, None);

    let mut request = DeleteRequest::decode(payload).unwrap();
    request.num_rows = 2;
    let error = DeleteBody::decode(&request.encode_to_vec().into()).unwrap_err().to_string();
    assert_eq!(error, "the DeleteRequest says 2 keys and holds 1");
    request.serialized_expr_plan = Bytes::from_static(b"plan");
    assert_eq!(DeleteBody::decode(&request.encode_to_vec().into()), Err(BodyError::ByFilter));
}

#[test]
fn ddl_bodies_come_back() {
    let create = samples::create_collection();
    assert_eq!(CreateCollectionBody::decode(&create.encode()).unwrap(), create);
    let alter = samples::alter_collection();
    assert_eq!(AlterCollectionBody::decode(&alter.encode(), &alter.update_mask()).unwrap(), alter);
    let rename = AlterCollectionBody { collection_name: Some("new".to_owned()), ..Default::default() };
    assert_eq!(rename.update_mask(), ["collection_name"]);
    assert_eq!(AlterCollectionBody::decode(&rename.encode(), &rename.update_mask()).unwrap(), rename);
    let partition = samples::partition();
    assert_eq!(PartitionBody::decode(&partition.encode_create()).unwrap(), partition);
    assert_eq!(PartitionBody::decode(&partition.encode_drop()).unwrap(), partition);
    let index = samples::index();
    assert_eq!(IndexBody::decode_create(&index.encode_create()).unwrap(), index);
    let indexes = [index.clone(), index];
    assert_eq!(IndexBody::decode_alter(&IndexBody::encode_alter(&indexes)).unwrap(), indexes);
    let database = DatabaseBody { properties: samples::map(&[("a", "b")]) };
    assert_eq!(DatabaseBody::decode(&database.encode()).unwrap(), database);
    let drop = DropCollectionBody {
        database: samples::DATABASE,
        database_name: "default".to_owned(),
        collection: samples::COLLECTION,
        collection_name: "docs".to_owned(),
    };
    assert_eq!(DropCollectionBody::decode(&drop.encode()).unwrap(), drop);
}

#[test]
fn a_schema_that_uses_more_is_refused_by_name() {
    let mut with_sparse = schema_to_wire(&schema());
    with_sparse.fields[1].data_type = wire::DataType::SparseFloatVector.into();
    let error = schema_from_wire(&with_sparse).unwrap_err().to_string();
    assert_eq!(error, "field vector: data type SparseFloatVector is not supported");

    let mut with_function = schema_to_wire(&schema());
    with_function.functions.push(wire::FunctionSchema::default());
    assert_eq!(
        schema_from_wire(&with_function).unwrap_err().to_string(),
        "docs: functions are not supported"
    );

    let mut with_default = schema_to_wire(&schema());
    with_default.fields[2].default_value =
        Some(wire::ValueField { data: Some(wire::value_field::Data::LongData(1)) });
    let error = schema_from_wire(&with_default).unwrap_err().to_string();
    assert_eq!(error, "field title: the default value does not fit type VarChar");
}

fn columns() -> impl Strategy<Value = (FieldSchema, Column, usize)> {
    let pick = (0..10_usize, 0..5_usize, any::<bool>());
    let values = prop::collection::vec(any::<(i64, bool)>(), 5);
    (pick, values).prop_map(|((pick, rows, nullable), values)| {
        let data_type = DataType::ALL[pick];
        let numbers: Vec<i64> = values.iter().take(rows).map(|(number, _)| *number).collect();
        let mut field = FieldSchema::new(FieldId(100), "f", data_type);
        field.element_type = (data_type == DataType::Array).then_some(DataType::Double);
        field.nullable = nullable;
        let texts = || numbers.iter().map(ToString::to_string).collect();
        let data = match data_type {
            DataType::Bool => ColumnData::Bool(numbers.iter().map(|n| n % 2 == 0).collect()),
            DataType::Int8 => ColumnData::Int8(numbers.iter().map(|&n| n as i8).collect()),
            DataType::Int16 => ColumnData::Int16(numbers.iter().map(|&n| n as i16).collect()),
            DataType::Int32 => ColumnData::Int32(numbers.iter().map(|&n| n as i32).collect()),
            DataType::Int64 => ColumnData::Int64(numbers.clone()),
            DataType::Float => ColumnData::Float(numbers.iter().map(|&n| n as f32).collect()),
            DataType::Double => ColumnData::Double(numbers.iter().map(|&n| n as f64).collect()),
            DataType::VarChar => ColumnData::VarChar(texts()),
            DataType::Json => ColumnData::Json(texts()),
            DataType::Array => {
                let list = |n: &i64| ColumnData::Double(vec![1.5; (n & 3) as usize]);
                ColumnData::Array(numbers.iter().map(list).collect())
            }
            DataType::FloatVector => ColumnData::FloatVector { dim: 0, data: Vec::new() },
        };
        let marks: Vec<bool> = values.iter().take(rows).map(|(_, valid)| *valid).collect();
        // A column in which every row has a value has no marks.
        let valid = (nullable && marks.contains(&false)).then_some(marks);
        (field, Column { field: FieldId(100), data, valid }, rows)
    })
}

proptest! {
    #[test]
    fn any_column_comes_back((field, column, rows) in columns()) {
        let sent = column_to_wire(&field, column.clone());
        prop_assert_eq!(column_from_wire(&field, sent, rows).unwrap(), column);
    }

    #[test]
    fn foreign_payloads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in 0..200_usize) {
        let _ = decode(&bytes.clone().into());
        let _ = DeleteBody::decode(&bytes.into());
        let good = InsertBody::encode_rows(&meta(), &schema(), rows());
        let _ = decode(&good.slice(..cut.min(good.len())));
    }
}
