use bytes::Bytes;
use cinclus_types::proto::schema::{JsonArray, LongArray, ScalarField, StringArray};
use cinclus_types::{CollectionSchema, DataType, FieldId, Value};

use super::*;

/// id, v (must be given), n (nullable), s (default "d"), and undeclared keys.
fn schema() -> CollectionSchema {
    let mut n = FieldSchema::new(FieldId(102), "n", DataType::Int64);
    n.nullable = true;
    let mut s = FieldSchema::new(FieldId(103), "s", DataType::VarChar).with_param("max_length", 9);
    s.default = Some(Value::Text("d".to_owned()));
    let mut meta = FieldSchema::new(FieldId(104), CollectionSchema::DYNAMIC_FIELD, DataType::Json);
    meta.dynamic = true;
    let fields = vec![
        FieldSchema::new(FieldId(100), "id", DataType::Int64).as_primary_key(),
        FieldSchema::new(FieldId(101), "v", DataType::FloatVector).with_param("dim", 2),
        n,
        s,
        meta,
    ];
    CollectionSchema { fields, dynamic: true, ..CollectionSchema::default() }
}

fn given(name: &str, data: scalar_field::Data) -> FieldData {
    let field = Some(field_data::Field::Scalars(ScalarField { data: Some(data), valid_data: vec![] }));
    FieldData { field_name: name.to_owned(), field, ..FieldData::default() }
}

fn ids(data: &[i64]) -> FieldData {
    given("id", scalar_field::Data::LongData(LongArray { data: data.to_vec() }))
}

fn texts(data: &[&str]) -> FieldData {
    let data = data.iter().map(|text| (*text).to_owned()).collect();
    given("s", scalar_field::Data::StringData(StringArray { data }))
}

/// What the rows 7 and 8 have: 8 has no n.
fn known() -> Known {
    let columns = vec![
        Column::new(FieldId(101), ColumnData::FloatVector { dim: 2, data: vec![7.0, 7.5, 8.0, 8.5] }),
        Column { field: FieldId(102), data: ColumnData::Int64(vec![70, 0]), valid: Some(vec![true, false]) },
        Column::new(
            FieldId(103),
            ColumnData::VarChar([b"seven", b"eight"].into_iter().map(|text| text.as_slice()).collect()),
        ),
        Column::new(
            FieldId(104),
            ColumnData::Json(["{\"a\": 1.50}", "{}"].into_iter().map(str::as_bytes).collect()),
        ),
    ];
    Known::of(QueryAnswer {
        keys: vec![Key::Int64(7), Key::Int64(8)],
        ticks: vec![Tick(1); 2],
        rows: Rows { count: 2, columns },
        ..QueryAnswer::default()
    })
}

/// The rows of an upsert, each field's values as text.
fn check(columns: Vec<FieldData>, count: usize) -> Result<Vec<String>, String> {
    let schema = schema();
    let mut checked = Checked::partial(&schema, columns, count).map_err(|error| error.to_string())?;
    known().complete(&schema, &mut checked).map_err(|error| error.to_string())?;
    let rows = checked.complete(&schema, &[]);
    let values = schema.fields.iter().zip(rows.columns).map(|(field, column)| {
        let column = column_from_wire(field, column, count).unwrap();
        (0..count).map(|row| format!("{:?}", column.value(row))).collect::<Vec<_>>().join(" ")
    });
    Ok(values.collect())
}

#[test]
fn what_is_not_given_stays_as_it_was() {
    let rows = check(vec![ids(&[8, 7]), texts(&["x", "y"])], 2).unwrap();
    assert_eq!(rows[1], "FloatVector([8.0, 8.5]) FloatVector([7.0, 7.5])");
    assert_eq!(rows[2..4], ["Null Int(70)", "Text(\"x\") Text(\"y\")"]);
    assert!(rows[4].contains("{}") && rows[4].contains("\"a\": Number(1.5)"), "{}", rows[4]);
}

#[test]
fn a_null_that_is_given_takes_the_place_of_a_value() {
    let mut n = given("n", scalar_field::Data::LongData(LongArray { data: vec![0] }));
    n.valid_data = vec![false];
    let rows = check(vec![ids(&[7]), n], 1).unwrap();
    assert_eq!((rows[2].as_str(), rows[3].as_str()), ("Null", "Text(\"seven\")"));
}

#[test]
fn a_new_row_needs_all_that_has_no_default() {
    let error = check(vec![ids(&[7, 9]), texts(&["x", "y"])], 2).unwrap_err();
    assert!(
        error.contains("fieldSchema(v) has no corresponding fieldData pass in: invalid parameter"),
        "{error}"
    );
    let error = check(vec![texts(&["x"])], 1).unwrap_err();
    assert!(error.contains("fieldSchema(id) has no corresponding fieldData"), "{error}");
    let v = column_to_wire(
        &schema().fields[1],
        Column::new(FieldId(101), ColumnData::FloatVector { dim: 2, data: vec![1.0; 4] }),
    );
    let rows = check(vec![ids(&[9, 7]), v], 2).unwrap();
    assert_eq!(rows[2..4], ["Null Int(70)", "Text(\"d\") Text(\"seven\")"]);
}

#[test]
fn undeclared_keys_come_beside_those_there_were() {
    let meta = |texts: &[&'static str]| {
        let data = texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
        FieldData { is_dynamic: true, ..given("", scalar_field::Data::JsonData(JsonArray { data })) }
    };
    let schema = schema();
    let columns = vec![ids(&[7, 8]), meta(&["{\"b\":[1,{\"c\":2}]}", "{\"a\":null}"])];
    let mut checked = Checked::partial(&schema, columns, 2).unwrap();
    known().complete(&schema, &mut checked).unwrap();
    let rows = checked.complete(&schema, &[]);
    let Some(field_data::Field::Scalars(ScalarField { data: Some(data), .. })) = &rows.columns[4].field
    else {
        panic!("no scalars")
    };
    let scalar_field::Data::JsonData(texts) = data else { panic!("no JSON") };
    assert_eq!(texts.data, ["{\"a\":1.50,\"b\":[1,{\"c\":2}]}", "{\"a\":null}"]);
}
