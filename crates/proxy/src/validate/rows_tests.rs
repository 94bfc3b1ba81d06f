//! Rows and what is said of them.

use bytes::Bytes;
use cinclus_types::proto::schema::{
    ArrayArray, FieldData, FloatArray, IntArray, JsonArray, LongArray, ScalarField, StringArray, VectorField,
    field_data::Field, scalar_field::Data, vector_field,
};
use cinclus_types::{CollectionSchema, DataType, FieldId, FieldSchema, Keys, Value};
use proptest::prelude::*;

use super::Checked;

/// id, v (2 floats), n (Int8, nullable), s (VarChar(4), default "x"), a (Array of Int16, 2 items), j, $meta.
fn schema(auto_id: bool) -> CollectionSchema {
    let mut id = FieldSchema::new(FieldId(100), "id", DataType::Int64).as_primary_key();
    id.auto_id = auto_id;
    let mut n = FieldSchema::new(FieldId(102), "n", DataType::Int8);
    n.nullable = true;
    let mut s = FieldSchema::new(FieldId(103), "s", DataType::VarChar).with_param("max_length", 4);
    s.default = Some(Value::Text("x".to_owned()));
    let mut a = FieldSchema::new(FieldId(104), "a", DataType::Array).with_param("max_capacity", 2);
    a.element_type = Some(DataType::Int16);
    a.nullable = true;
    let mut j = FieldSchema::new(FieldId(105), "j", DataType::Json);
    j.nullable = true;
    let mut meta = FieldSchema::new(FieldId(106), "$meta", DataType::Json);
    meta.dynamic = true;
    let v = FieldSchema::new(FieldId(101), "v", DataType::FloatVector).with_param("dim", 2);
    CollectionSchema { dynamic: true, fields: vec![id, v, n, s, a, j, meta], ..CollectionSchema::default() }
}

fn scalars(name: &str, data: Data) -> FieldData {
    let field = Some(Field::Scalars(ScalarField { data: Some(data), valid_data: vec![] }));
    FieldData { field_name: name.to_owned(), field, ..FieldData::default() }
}

fn ids(data: &[i64]) -> FieldData {
    scalars("id", Data::LongData(LongArray { data: data.to_vec() }))
}

fn vectors(dim: i64, data: &[f32]) -> FieldData {
    let data = Some(vector_field::Data::FloatVector(FloatArray { data: data.to_vec() }));
    let field = Some(Field::Vectors(VectorField { dim, data, valid_data: vec![] }));
    FieldData { field_name: "v".to_owned(), field, ..FieldData::default() }
}

fn ints(data: &[i32]) -> FieldData {
    scalars("n", Data::IntData(IntArray { data: data.to_vec() }))
}

fn texts(data: &[&str]) -> FieldData {
    scalars("s", Data::StringData(StringArray { data: data.iter().map(|text| (*text).to_owned()).collect() }))
}

fn json(name: &str, data: &[&str]) -> FieldData {
    let data = data.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    scalars(name, Data::JsonData(JsonArray { data }))
}

fn lists(data: &[&[i32]]) -> FieldData {
    let row = |row: &&[i32]| ScalarField {
        data: (!row.is_empty()).then(|| Data::IntData(IntArray { data: row.to_vec() })),
        valid_data: vec![],
    };
    scalars("a", Data::ArrayData(ArrayArray { data: data.iter().map(row).collect(), element_type: 0 }))
}

fn marked(mut column: FieldData, valid: &[bool]) -> FieldData {
    column.valid_data = valid.to_vec();
    column
}

/// Two rows: keys, vectors, and these columns.
fn complete(more: Vec<FieldData>) -> Result<Vec<FieldData>, String> {
    let given = [ids(&[1, 2]), vectors(2, &[1.0, 2.0, 3.0, 4.0])].into_iter().chain(more).collect();
    let checked = Checked::insert(&schema(false), given, 2).map_err(|error| error.to_string())?;
    let rows = checked.complete(&schema(false), &[]);
    assert_eq!((rows.count, rows.keys), (2, Keys::Int64(vec![1, 2])));
    Ok(rows.columns)
}

fn refused(more: FieldData, text: &str) {
    let found = complete(vec![more]).unwrap_err();
    assert!(found.contains(text), "{found:?} does not say {text:?}");
}

fn data(column: &FieldData) -> &Data {
    match &column.field {
        Some(Field::Scalars(scalars)) => scalars.data.as_ref().unwrap(),
        _ => panic!("{column:?} is no scalar column"),
    }
}

#[test]
fn what_is_not_given_is_filled_in() {
    let columns = complete(vec![]).unwrap();
    let heads: Vec<_> =
        columns.iter().map(|c| (c.field_id, c.field_name.as_str(), c.r#type, c.is_dynamic)).collect();
    assert_eq!(
        heads[2..],
        [
            (102, "n", 2, false),
            (103, "s", 21, false),
            (104, "a", 22, false),
            (105, "j", 23, false),
            (106, "$meta", 23, true),
        ]
    );
    assert_eq!((columns[2].valid_data.as_slice(), columns[3].valid_data.len()), (&[false, false][..], 0));
    assert_eq!(data(&columns[3]), &Data::StringData(StringArray { data: vec!["x".into(), "x".into()] }));
    assert_eq!(data(&columns[6]), data(&json("$meta", &["{}", "{}"])));
}

#[test]
fn nulls_may_be_left_out_or_filled() {
    for given in [ints(&[7]), ints(&[7, 0])] {
        let columns = complete(vec![marked(given, &[true, false])]).unwrap();
        assert_eq!(
            (data(&columns[2]), columns[2].valid_data.as_slice()),
            (data(&ints(&[7, 0])), &[true, false][..])
        );
    }
    // Newer clients put the marks into the column.
    let mut inner = ints(&[9]);
    if let Some(Field::Scalars(scalars)) = &mut inner.field {
        scalars.valid_data = vec![false, true];
    }
    let columns = complete(vec![inner]).unwrap();
    assert_eq!(
        (data(&columns[2]), columns[2].valid_data.as_slice()),
        (data(&ints(&[0, 9])), &[false, true][..])
    );
    // A null in a column with a default becomes the default.
    let columns = complete(vec![marked(texts(&["ab"]), &[false, true])]).unwrap();
    assert_eq!((data(&columns[3]), columns[3].valid_data.len()), (data(&texts(&["x", "ab"])), 0));
    refused(marked(ids(&[1]), &[true, false]), "duplicated field name id found");
    let nothing = FieldData { field_name: "id".to_owned(), ..FieldData::default() };
    let given = vec![marked(nothing, &[true, false]), vectors(2, &[0.0; 4])];
    let found = Checked::insert(&schema(false), given, 2).unwrap_err().to_string();
    assert!(
        found.starts_with("the length of valid_data of field(id) is wrong: invalid parameter"),
        "{found}"
    );
    refused(marked(ints(&[1, 2, 3]), &[true, false, true]), "num_rows (3)");
    // What stands in the place of a null does not matter.
    for given in [json("j", &["", "1"]), json("j", &["{", "1"]), json("j", &["1"])] {
        let columns = complete(vec![marked(given, &[false, true])]).unwrap();
        let (found, valid) = (data(&columns[5]), columns[5].valid_data.as_slice());
        assert_eq!((found, valid), (data(&json("j", &["{}", "1"])), &[false, true][..]));
    }
    for valid in [&[][..], &[true, true]] {
        let columns = complete(vec![marked(json("j", &["", "1"]), valid)]).unwrap();
        let (found, valid) = (data(&columns[5]), columns[5].valid_data.as_slice());
        assert_eq!((found, valid), (data(&json("j", &["{}", "1"])), &[false, true][..]));
    }
    // Nothing but nulls, and no values at all.
    let empty = FieldData { field_name: "n".to_owned(), ..FieldData::default() };
    let columns = complete(vec![marked(empty, &[false, false])]).unwrap();
    assert_eq!(data(&columns[2]), data(&ints(&[0, 0])));
}

#[test]
fn values_out_of_their_range_are_refused() {
    refused(ints(&[1, 300]), "the 1th element (300) out of range: [-128, 127]");
    refused(
        texts(&["ok", "12345"]),
        "length of varchar field s exceeds max length, row number: 1, length: 5, max length: 4",
    );
    refused(lists(&[&[1], &[1, 2, 3]]), "the length (3) of 1th array exceeds max capacity (2)");
    refused(lists(&[&[40_000], &[]]), "the 0th element (40000) out of range: [-32768, 32767]");
    refused(lists(&[&[1], &[1, 2, 3]]), "[actual=array length exceeds max capacity]");
    let mut of_texts = lists(&[&[1], &[1, 2]]);
    if let Some(Field::Scalars(ScalarField { data: Some(Data::ArrayData(arrays)), .. })) = &mut of_texts.field
    {
        arrays.data[1].data = Some(Data::StringData(StringArray { data: vec!["x".into()] }));
    }
    refused(of_texts, "insert data does not match: invalid parameter[expected=int array]");
    let mut with_null = lists(&[&[1], &[1, 2]]);
    if let Some(Field::Scalars(ScalarField { data: Some(Data::ArrayData(arrays)), .. })) =
        &mut with_null.field
    {
        arrays.data[1].valid_data = vec![true, false];
    }
    refused(with_null, "the 1th array a has null items");
    refused(json("j", &["{}", "{"]), "the 1th value of json field (j) is not valid");
    refused(json("j", &["1"]), "the num_rows (1) of field (j) is not equal to passed num_rows (2)");
    refused(json("$meta", &["{}", "[1]"]), "the 1th value of json field ($meta) is not valid");
    refused(json("$meta", &["{}", r#"{"$meta":1}"#]), "the key $meta is reserved");
    let long = format!("\"{}\"", "x".repeat(65_536));
    refused(json("j", &["1", &long]), "exceeds max length (65536)");
    assert!(
        complete(vec![json("j", &["1", "[true]"]), lists(&[&[1, 2], &[]]), texts(&["1234", ""])]).is_ok()
    );
}

#[test]
fn columns_must_be_those_of_the_schema() {
    refused(json("x", &["1", "2"]), "fieldName x not exist in collection schema");
    refused(ints(&[1]), "the num_rows (1) of field (n) is not equal to passed num_rows (2)");
    refused(
        texts(&["a", "b"]).clone_as("n"),
        "the data type of field n does not match its schema, expected Int8",
    );
    let check = |given: Vec<FieldData>, count, text: &str| {
        let found = Checked::insert(&schema(false), given, count).unwrap_err().to_string();
        assert!(found.contains(text), "{found:?} does not say {text:?}");
    };
    check(vec![ids(&[1])], 1, "fieldSchema(v) has no corresponding fieldData pass in");
    check(vec![vectors(2, &[0.0; 2])], 1, "fieldSchema(id) has no corresponding fieldData pass in");
    let none = "field 'id' is illegal, array type mismatch: invalid parameter[expected=need long int array][actual=got nil]";
    check(vec![ids(&[]), vectors(2, &[0.0; 2])], 1, none);
    check(
        vec![ids(&[1]), vectors(2, &[])],
        1,
        "invalid parameter[expected=need float vector][actual=got nil]",
    );
    check(vec![ids(&[]), vectors(2, &[])], 0, "num_rows should be greater than 0");
    check(vec![ids(&[1]), vectors(4, &[0.0; 4])], 1, "[expected=2][actual=4]");
    check(vec![ids(&[1]), vectors(3, &[0.0; 3])], 1, "the length(3) of float data should divide the dim(2)");
    check(vec![ids(&[1]), vectors(2, &[0.0; 3])], 1, "should divide the dim(2)");
    check(vec![ids(&[1]), vectors(2, &[0.0; 6])], 1, "the num_rows (3) of field (v)");
    check(
        vec![ids(&[1]), vectors(2, &[0.0, f32::NAN])],
        1,
        "value 'NaN' is not a number or infinity: invalid parameter: in field v",
    );
    check(vec![ids(&[1]), vectors(2, &[f32::INFINITY, 0.0])], 1, "value '+Inf'");
}

trait CloneAs {
    fn clone_as(&self, name: &str) -> FieldData;
}

impl CloneAs for FieldData {
    fn clone_as(&self, name: &str) -> FieldData {
        FieldData { field_name: name.to_owned(), ..self.clone() }
    }
}

#[test]
fn the_server_makes_keys_only_where_the_schema_says_so() {
    let given = || vec![vectors(2, &[0.0; 4])];
    let rows = Checked::insert(&schema(true), given(), 2).unwrap().complete(&schema(true), &[7, 8]);
    assert_eq!(rows.keys, Keys::Int64(vec![7, 8]));
    let with_keys = || [ids(&[1, 2])].into_iter().chain(given()).collect::<Vec<_>>();
    let refused = Checked::insert(&schema(true), with_keys(), 2).unwrap_err().to_string();
    assert!(refused.contains("more fieldData has pass in: invalid parameter[expected=7][actual=8]"));
    let mut upsert = Checked::upsert(&schema(true), with_keys(), 2).unwrap();
    assert_eq!(upsert.keys(&schema(true)), Some(Keys::Int64(vec![1, 2])));
    upsert.drop_keys(&schema(true));
    assert_eq!(upsert.keys(&schema(true)), None);
    assert_eq!(upsert.complete(&schema(true), &[7, 8]).keys, Keys::Int64(vec![7, 8]));
}

proptest! {
    /// Whatever is accepted can be read back from the log as it was meant.
    #[test]
    fn accepted_rows_fit_the_schema(
        rows in prop::collection::vec((any::<i64>(), -200i32..200, "[a-z]{0,5}", any::<bool>()), 1..20),
    ) {
        let count = rows.len();
        let numbers: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let small: Vec<i32> = rows.iter().filter(|row| row.3).map(|row| row.1).collect();
        let words: Vec<&str> = rows.iter().map(|row| row.2.as_str()).collect();
        let marks: Vec<bool> = rows.iter().map(|row| row.3).collect();
        let given = vec![
            ids(&numbers),
            vectors(2, &vec![0.5; count * 2]),
            marked(ints(&small), &marks),
            texts(&words),
        ];
        let fits = small.iter().all(|n| i8::try_from(*n).is_ok()) && words.iter().all(|word| word.len() <= 4);
        let checked = Checked::insert(&schema(false), given, count);
        prop_assert_eq!(checked.is_ok(), fits);
        if let Ok(checked) = checked {
            let rows = checked.complete(&schema(false), &[]);
            for (field, column) in schema(false).fields.iter().zip(rows.columns) {
                prop_assert!(cinclus_types::convert::column_from_wire(field, column, count).is_ok());
            }
        }
    }
}
