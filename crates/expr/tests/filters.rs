//! Texts and the trees that they give, the trees in their printed form.

mod common;

use cinclus_expr::{CompareOp, Expr, FieldPath, LikePart, LikePattern, PathStep, Term, ValueSet, parse};
use cinclus_types::{DataType, FieldId, Keys, Value};
use common::{read, schema, templates};

/// Each text gives a tree that prints as the second text, and that text gives the same tree.
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let tree = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(tree.to_string(), *expected, "{text}");
        assert_eq!(read(expected).as_ref(), Ok(&tree), "{text}");
    }
}

#[test]
fn comparisons() {
    check(&[
        ("age > 5", "age > 5"),
        ("5 < age", "age > 5"),
        ("age==5", "age == 5"),
        ("age != -0x10", "age != -16"),
        ("age >= 017", "age >= 15"),
        ("id < 9223372036854775807", "id < 9223372036854775807"),
        ("id > -9223372036854775808", "id > -9223372036854775808"),
        ("age <= 1000", "age <= 1000"),
        ("price == 2", "price == 2.0"),
        ("price == 0.1", "price == 0.10000000149011612"),
        ("price < 1e300", "price < 1e300"),
        ("weight == 0.1", "weight == 0.1"),
        ("weight > 0x1p4", "weight > 16.0"),
        (r#"name == "a\"b""#, r#"name == "a\"b""#),
        (r"name == 'it\'s'", r#"name == "it's""#),
        (r"name != r'\d'", r#"name != "\\d""#),
        ("ok == true", "ok == true"),
        ("ok == FALSE", "ok == false"),
        ("age < id", "age < id"),
        ("price == weight", "price == weight"),
        ("name == doc['n']", r#"name == doc["n"]"#),
        ("(((age == 5)))", "age == 5"),
        ("age\n==\t5\r\n", "age == 5"),
    ]);
}

#[test]
fn ranges_are_two_comparisons() {
    check(&[
        ("1 < age <= 5", "age > 1 and age <= 5"),
        ("5 >= age > 1", "age <= 5 and age > 1"),
        ("'a' <= name < 'b'", r#"name >= "a" and name < "b""#),
        ("1 < doc['x'] < 2.5", r#"doc["x"] > 1 and doc["x"] < 2.5"#),
        ("{half} <= price <= {five}", "price >= 0.5 and price <= 5.0"),
        ("0 < unknown < 9", r#"$meta["unknown"] > 0 and $meta["unknown"] < 9"#),
        ("1 < nums[0] < 3", "nums[0] > 1 and nums[0] < 3"),
    ]);
}

#[test]
fn words_bind_in_the_order_of_the_grammar() {
    check(&[
        ("age == 1 or age == 2 and ok == true", "age == 1 or (age == 2 and ok == true)"),
        ("(age == 1 or age == 2) and ok == true", "(age == 1 or age == 2) and ok == true"),
        ("age == 1 || age == 2 && ok == true", "age == 1 or (age == 2 and ok == true)"),
        ("age == 1 OR (age == 2 OR (age == 3))", "age == 1 or age == 2 or age == 3"),
        ("age == 1 AND age == 2 and age == 3", "age == 1 and age == 2 and age == 3"),
        ("not (age == 1)", "not (age == 1)"),
        ("!(age == 1)", "not (age == 1)"),
        ("NOT NOT (age == 1)", "age == 1"),
        ("not name like 'a%'", r#"not (name like "a%")"#),
        ("not exists doc['a']", r#"not (exists doc["a"])"#),
        ("not (age in [1]) and ok == true", "age not in [1] and ok == true"),
        ("name is null and age == 1", "name is null and age == 1"),
        ("name is not null or name IS NULL", "name is not null or name is null"),
        ("not (name is not null)", "name is null"),
    ]);
}

#[test]
fn lists() {
    check(&[
        ("id in [3, 1, 2, 3,]", "id in [1, 2, 3]"),
        ("id IN [0b11]", "id in [3]"),
        ("id not in [2, 1]", "id not in [1, 2]"),
        ("id NOT IN [ ]", "true"),
        ("id in []", "false"),
        ("id in {list}", "id in [1, 2, 3]"),
        ("id in [{five}, 4]", "id in [4, 5]"),
        ("id in [1 + 1]", "id in [2]"),
        ("name in ['b', \"a\"]", r#"name in ["a", "b"]"#),
        ("name in [{word}]", r#"name in ["it's \"ok\""]"#),
        ("ok in [true]", "ok in [true]"),
        ("price in [0.1, 1]", "price in [0.10000000149011612, 1.0]"),
        ("doc['x'] in [1, 'a', 2.5, true, [1, 'b']]", r#"doc["x"] in [true, 1, 2.5, "a", [1, "b"]]"#),
        ("nums[1] in [2, 1]", "nums[1] in [1, 2]"),
    ]);
}

#[test]
fn names_inside_json_arrays_and_dynamic_keys() {
    check(&[
        ("doc['a']['b'][0] == 1", r#"doc["a"]["b"][0] == 1"#),
        (r#"doc["a"] == 'x'"#, r#"doc["a"] == "x""#),
        ("doc == 1", "doc == 1"),
        ("doc['a'] == [1, 'x']", r#"doc["a"] == [1, "x"]"#),
        ("doc['a'] == {json}", r#"doc["a"] == [1, [2.5, "x"]]"#),
        ("color == 'red'", r#"$meta["color"] == "red""#),
        ("$meta['color'] == 'red'", r#"$meta["color"] == "red""#),
        ("color['deep'][1] > 2", r#"$meta["color"]["deep"][1] > 2"#),
        ("tags[0] == 'x'", r#"tags[0] == "x""#),
        ("nums == [1, 2]", "nums == [1, 2]"),
        ("floats != [1, 0.1]", "floats != [1.0, 0.10000000149011612]"),
        ("exists color", r#"exists $meta["color"]"#),
        ("EXISTS doc['a']", r#"exists doc["a"]"#),
        ("color is null", r#"$meta["color"] is null"#),
    ]);
}

#[test]
fn arithmetic() {
    check(&[
        ("age + 2 == 5", "(age + (2)) == 5"),
        ("5 == 2 + age", "((2) + age) == 5"),
        ("age * 2 + 1 < 7", "((age * (2)) + (1)) < 7"),
        ("age + 2 * 3 < 7", "(age + (6)) < 7"),
        ("age % 2 == 0", "(age % (2)) == 0"),
        ("id / 3 != 1", "(id / (3)) != 1"),
        ("age ** 2 == 4", "(age ** (2)) == 4"),
        ("age ** -1 == 0.5", "(age ** (-1)) == 0.5"),
        ("-2 ** 2 == age", "age == -4"),
        ("-age < 3", "((0) - age) < 3"),
        ("~age == 3", "(age ^ (-1)) == 3"),
        ("+age == 3", "age == 3"),
        ("age << 2 > 3", "(age << (2)) > 3"),
        ("(age & 6) == 2", "(age & (6)) == 2"),
        ("(age | 1 ^ 3) == 2", "(age | (2)) == 2"),
        ("price - 0.5 > 1", "(price - (0.5)) > 1.0"),
        ("id + 1.1 == 2.1", "(id + (1.1)) == 2.1"),
        ("age + id == 10", "(age + id) == 10"),
        ("age + 1 == id * 2", "(age + (1)) == (id * (2))"),
        ("count % 10 == 2", r#"($meta["count"] % (10)) == 2"#),
        ("nums[0] + 1 == 2", "(nums[0] + (1)) == 2"),
        ("array_length(tags) >= 2", "array_length(tags) >= 2"),
        ("2 < ARRAY_LENGTH(doc['x'])", r#"array_length(doc["x"]) > 2"#),
        ("array_length(tags) + 1 == 2", "(array_length(tags) + (1)) == 2"),
    ]);
}

#[test]
fn constants_are_folded() {
    check(&[
        ("true", "true"),
        ("1 == 1", "true"),
        ("1 < 1.5", "true"),
        ("'a' >= 'b'", "false"),
        ("true != false", "true"),
        ("not true", "false"),
        ("{yes}", "true"),
        ("1 == 1 and age == 1", "age == 1"),
        ("1 == 2 and age == 1", "false"),
        ("1 == 1 or age == 1", "true"),
        ("1 == 2 or age == 1", "age == 1"),
        ("(1 == 1) == true", "true"),
        ("7 / 2 == 3 and -7 / 2 == -3", "true"),
        ("-7 % 2 == -1", "true"),
        ("2 ** 10 == 1024 and 2 ** -1 == 0.5", "true"),
        ("1 << 4 == 16 and -16 >> 2 == -4", "true"),
        ("(6 & 3) == 2 and (6 | 3) == 7 and (6 ^ 3) == 5 and ~0 == -1", "true"),
        ("json_contains_any(doc, [])", "false"),
    ]);
}

#[test]
fn patterns_and_arrays() {
    check(&[
        ("name like 'abc'", r#"name == "abc""#),
        ("name like 'abc%'", r#"name like "abc%""#),
        ("name LIKE '%abc'", r#"name like "%abc""#),
        (r"name like 'a\%c%'", r#"name like "a\\%c%""#),
        ("name like 'a_c'", r#"name like "a_c""#),
        ("doc['a'] like '%x%'", r#"doc["a"] like "%x%""#),
        ("tags[0] like 'x%'", r#"tags[0] like "x%""#),
        ("name like {word}", r#"name == "it's \"ok\"""#),
        ("json_contains(doc['a'], 1)", r#"json_contains_any(doc["a"], [1])"#),
        ("JSON_CONTAINS(doc, [1, 2])", "json_contains_any(doc, [[1, 2]])"),
        ("array_contains(tags, 'x')", r#"json_contains_any(tags, ["x"])"#),
        ("ARRAY_CONTAINS_ALL(nums, [2, 1])", "json_contains_all(nums, [1, 2])"),
        ("array_contains_any(nums, {list})", "json_contains_any(nums, [1, 2, 3])"),
        ("json_contains_all(tags, [])", "json_contains_all(tags, [])"),
        ("array_contains(color, 'x')", r#"json_contains_any($meta["color"], ["x"])"#),
    ]);
}

#[test]
fn what_pymilvus_writes_itself() {
    check(&[
        ("id in [1,2]", "id in [1, 2]"),
        ("id > 5 and (name == 'x')", r#"id > 5 and name == "x""#),
        ("id > 5 and (name == 'x' and age == 1)", r#"id > 5 and name == "x" and age == 1"#),
        ("id < 9223372036854775807", "id < 9223372036854775807"),
        (r#"name != """#, r#"name != """#),
        ("name in ['a','b']", r#"name in ["a", "b"]"#),
    ]);
}

#[test]
fn a_tree_has_ids_types_and_typed_constants() {
    let path = |field, name: &str, data_type, steps| FieldPath {
        field: FieldId(field),
        name: name.to_owned(),
        data_type,
        element_type: None,
        steps,
    };
    let tree = read("price >= 1 and doc['a'][2] in [1, 'x'] and not (name like 'a_%')").unwrap();
    let expected = Expr::And(vec![
        Expr::Compare {
            left: Term::Path(path(102, "price", DataType::Float, vec![])),
            op: CompareOp::Ge,
            right: Term::Const(Value::Float(1.0)),
        },
        Expr::In {
            path: path(106, "doc", DataType::Json, vec![PathStep::Key("a".to_owned()), PathStep::Index(2)]),
            set: ValueSet { ints: vec![1], texts: vec!["x".to_owned()], ..ValueSet::default() },
        },
        Expr::Not(Box::new(Expr::Like {
            path: path(104, "name", DataType::VarChar, vec![]),
            pattern: LikePattern::General(vec![LikePart::Text("a".to_owned()), LikePart::One, LikePart::Run]),
        })),
    ]);
    assert_eq!(tree, expected);
    assert_eq!(tree.fields(), [FieldId(102), FieldId(104), FieldId(106)].into());
    let json = serde_json::to_string(&tree).unwrap();
    assert_eq!(serde_json::from_str::<Expr>(&json).unwrap(), tree);
}

#[test]
fn a_filter_of_keys_only_names_them() {
    let keys = |text: &str, pk: i64| read(text).unwrap().primary_keys(FieldId(pk));
    let texts = |texts: &[&str]| Some(Keys::VarChar(texts.iter().collect()));
    assert_eq!(keys("id == 7", 100), Some(Keys::Int64(vec![7])));
    assert_eq!(keys("id in [9, 7, 9]", 100), Some(Keys::Int64(vec![7, 9])));
    assert_eq!(keys("name in ['b', 'a']", 104), texts(&["a", "b"]));
    assert_eq!(keys("'x' == name", 104), texts(&["x"]));
    for text in
        ["id != 7", "id == 7 or id == 8", "age == 7", "id not in [1]", "id == 7 and age == 1", "id < 3"]
    {
        assert_eq!(keys(text, 100), None, "{text}");
    }
    let tree = read("id in [9, 7]").unwrap();
    let Expr::In { path, .. } = &tree else { panic!("{tree}") };
    let all = tree.primary_keys(FieldId(100)).unwrap();
    assert_eq!(Expr::of_keys(path.clone(), all.iter()), tree);
}

#[test]
fn names_are_fields_only_without_dynamic_fields() {
    let error = parse("color == 1", &schema(false), &templates()).unwrap_err();
    assert_eq!(error.to_string(), "field color not exist at line 1, column 1");
    let error = parse("age == 1 and\n  $meta['x'] == 2", &schema(false), &templates()).unwrap_err();
    assert_eq!(error.to_string(), "field $meta not exist at line 2, column 3");
}
