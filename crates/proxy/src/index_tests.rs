//! Parameters of indexes and what is said of them.

use cinclus_types::{DataType, FieldId};

use super::*;

fn check(data_type: DataType, given: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    let field = FieldSchema::new(FieldId(101), "f", data_type);
    let pairs: Vec<KeyValuePair> = given
        .iter()
        .map(|(key, value)| KeyValuePair { key: (*key).to_owned(), value: (*value).to_owned() })
        .collect();
    let params = flat(&pairs).and_then(|params| complete(&field, params));
    params.map(|params| params.into_iter().collect()).map_err(|error| error.to_string())
}

fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn defaults_are_filled_in_and_params_flattened() {
    let vector = DataType::FloatVector;
    assert_eq!(check(vector, &[]), Ok(own(&[("index_type", "AUTOINDEX"), ("metric_type", "COSINE")])));
    assert_eq!(
        check(vector, &[("index_type", "HNSW"), ("metric_type", "L2"), ("params", r#"{"M":16}"#)]),
        Ok(own(&[("M", "16"), ("index_type", "HNSW"), ("metric_type", "L2")]))
    );
    assert_eq!(check(DataType::Int64, &[]), Ok(own(&[("index_type", "INVERTED")])));
}

#[test]
fn an_index_in_a_json_field_has_a_cast_and_a_path() {
    let judge = |pairs: &[(&str, &str)]| {
        let mut params: BTreeMap<String, String> = own(pairs).into_iter().collect();
        complete_json("j", &mut params).map(|()| params["json_path"].clone()).map_err(|e| e.to_string())
    };
    let unfit = "invalid parameter[expected=valid index params][actual=invalid index params]";
    let missing = "json index must specify cast type: missing parameter[missing_param=json_cast_type]";
    assert_eq!(judge(&[]).unwrap_err(), format!("{missing}: {unfit}"));
    assert_eq!(judge(&[("json_cast_type", "double")]), Ok("j".to_owned()));
    assert_eq!(judge(&[("json_cast_type", "BOOL"), ("json_path", "j['a']")]), Ok("j['a']".to_owned()));
    assert!(judge(&[("json_cast_type", "Int64")]).unwrap_err().contains("is not supported"));
    let path = |path| judge(&[("json_cast_type", "BOOL"), ("json_path", path)]).unwrap_err();
    assert!(path("/").starts_with("cannot parse identifier: /, error: mismatched input '/'"));
    assert_eq!(path("1.0"), "cannot parse identifier: 1.0");
}

#[test]
fn an_index_in_a_json_field_is_named_by_its_path() {
    let mut schema = CollectionSchema { dynamic: true, ..CollectionSchema::default() };
    schema.fields.push(FieldSchema::new(FieldId(100), "doc", DataType::Json));
    let mut meta = FieldSchema::new(FieldId(101), CollectionSchema::DYNAMIC_FIELD, DataType::Json);
    meta.dynamic = true;
    schema.fields.push(meta);
    let check = |path: &str, name: Option<&str>| {
        assert_eq!(path_name(&schema, path).as_deref(), name, "{path}");
    };
    check("doc", Some("doc"));
    check("doc['a'][0][\"b\"]", Some("doc/a/0/b"));
    check("key", Some("$meta/key"));
    check("$meta['key']['a']", Some("$meta/key/a"));
    check("['a']", None);
    check("doc['a'] or 1 == 1", None);
}

#[test]
fn parameters_are_kept_as_they_were_given() {
    let pair = |(key, value): &(&str, &str)| KeyValuePair { key: (*key).into(), value: (*value).into() };
    let keep = |given: &[(&str, &str)]| {
        let given: Vec<KeyValuePair> = given.iter().map(pair).collect();
        let mut all = flat(&given).unwrap();
        all.insert("index_type".to_owned(), "HNSW".to_owned());
        as_given(&given, all).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(keep(&[("M", "8")]), own(&[("M", "8"), ("index_type", "HNSW")]));
    assert_eq!(
        keep(&[("params", r#"{"M":8,"metric_type":"L2"}"#)]),
        own(&[("index_type", "HNSW"), ("metric_type", "L2"), ("params", r#"{"M":8,"metric_type":"L2"}"#)])
    );
}

#[test]
fn some_scalar_indexes_are_for_some_types_only() {
    let judge = |data_type, kind| check(data_type, &[("index_type", kind)]).err();
    assert_eq!(judge(DataType::VarChar, "Trie"), None);
    let unsorted =
        "STL_SORT are only supported on numeric, varchar or timestamptz field, got JSON: invalid parameter";
    assert!(judge(DataType::Json, "STL_SORT").unwrap().starts_with(unsorted));
    let of_numbers = FieldSchema {
        element_type: Some(DataType::Int64),
        ..FieldSchema::new(FieldId(102), "a", DataType::Array)
    };
    let refused = scalar_fits(&of_numbers, "STL_SORT").unwrap_err().to_string();
    assert!(
        refused
            .starts_with("STL_SORT are only supported on numeric, varchar or timestamptz field, got Array")
    );
    assert!(
        judge(DataType::Json, "BITMAP")
            .unwrap()
            .contains("array field: invalid parameter[expected=valid index")
    );
    assert!(judge(DataType::Int64, "TRIE").unwrap().contains("TRIE are only supported on varchar field"));
    assert!(judge(DataType::Bool, "STL_SORT").unwrap().contains("STL_SORT are only supported on numeric"));
    assert!(judge(DataType::Float, "BITMAP").unwrap().contains("only supported on bool, int, string"));
    assert!(judge(DataType::Int64, "NGRAM").unwrap().contains("VARCHAR or JSON"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let vector = DataType::FloatVector;
    assert!(check(vector, &[("index_type", "HNSW")]).unwrap_err().contains("metric type not set"));
    assert!(check(vector, &[("index_type", "NOPE")]).unwrap_err().contains("invalid index type: NOPE"));
    assert!(
        check(vector, &[("index_type", "BITMAP"), ("metric_type", "L2")])
            .unwrap_err()
            .contains("can't build with this index")
    );
    assert!(check(vector, &[("index_type", "BIN_FLAT")]).unwrap_err().contains("can't build"));
    let scalar = |kind| check(DataType::Int64, &[("index_type", kind)]).unwrap_err();
    assert!(scalar("HNSW").starts_with("index HNSW only supports vector data type: invalid parameter"));
    assert!(scalar("BIN_FLAT").starts_with("index BIN_FLAT only supports vector data type"));
    assert!(
        check(vector, &[("metric_type", "HAMMING")])
            .unwrap_err()
            .contains("does not support metric type: HAMMING")
    );
}

#[test]
fn an_index_is_not_dropped_by_the_name_of_its_field() {
    let mut schema = CollectionSchema::default();
    schema.fields.push(FieldSchema::new(FieldId(101), "v", DataType::FloatVector));
    let index = |name: &str| IndexEntry {
        id: cinclus_types::IndexId(1),
        name: name.to_owned(),
        field: FieldId(101),
        params: BTreeMap::new(),
        created: cinclus_types::Tick(1),
    };
    assert!(is_only_a_field(&schema, &[index("by_v")], "v"));
    assert!(!is_only_a_field(&schema, &[index("by_v")], "by_v"));
    assert!(!is_only_a_field(&schema, &[index("v")], "v"));
    assert!(!is_only_a_field(&schema, &[], "other"));
}
