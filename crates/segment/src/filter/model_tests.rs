//! Masks against a slow evaluator that knows only values and the rules.

use std::collections::BTreeMap;
use std::ops::Range;

use cinclus_expr::{ArithOp, CompareOp, Expr, FieldPath, PathStep, Quantifier, Term, parse};
use cinclus_types::{CollectionSchema, Column, ColumnData, DataType, FieldId, FieldSchema, Rows, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::evaluate;

const SCALARS: [(i64, &str, DataType); 9] = [
    (100, "flag", DataType::Bool),
    (101, "tiny", DataType::Int8),
    (102, "short", DataType::Int16),
    (103, "int", DataType::Int32),
    (104, "long", DataType::Int64),
    (105, "float", DataType::Float),
    (106, "double", DataType::Double),
    (107, "text", DataType::VarChar),
    (108, "doc", DataType::Json),
];
const ARRAYS: [(i64, &str, DataType); 3] =
    [(109, "longs", DataType::Int64), (110, "texts", DataType::VarChar), (111, "floats", DataType::Float)];

fn schema() -> CollectionSchema {
    let scalars =
        SCALARS.into_iter().map(|(id, name, data_type)| FieldSchema::new(FieldId(id), name, data_type));
    let arrays = ARRAYS.into_iter().map(|(id, name, element)| FieldSchema {
        element_type: Some(element),
        ..FieldSchema::new(FieldId(id), name, DataType::Array)
    });
    let absent = [FieldSchema::new(FieldId(112), "absent", DataType::Int64)];
    let meta = FieldSchema { dynamic: true, ..FieldSchema::new(FieldId(113), "$meta", DataType::Json) };
    let fields = scalars.chain(arrays).chain(absent).chain([meta]).collect();
    CollectionSchema { name: "rows".to_owned(), fields, dynamic: true, ..CollectionSchema::default() }
}

// ---- the model: three-valued answers from values, one row at a time

fn answer(expr: &Expr, value: &dyn Fn(FieldId) -> Value) -> Option<bool> {
    match expr {
        Expr::Const(answer) => Some(*answer),
        Expr::And(parts) => {
            let answers: Vec<_> = parts.iter().map(|part| answer(part, value)).collect();
            if answers.contains(&Some(false)) {
                Some(false)
            } else {
                (!answers.contains(&None)).then_some(true)
            }
        }
        Expr::Or(parts) => {
            let answers: Vec<_> = parts.iter().map(|part| answer(part, value)).collect();
            if answers.contains(&Some(true)) {
                Some(true)
            } else {
                (!answers.contains(&None)).then_some(false)
            }
        }
        Expr::Not(inner) => answer(inner, value).map(|answer| !answer),
        Expr::Compare { left, op, right } => compare(&term(left, value), *op, &term(right, value)),
        Expr::In { path, set } => {
            let held = at(path, value);
            let answers: Vec<_> =
                set.iter().filter_map(|member| compare(&held, CompareOp::Eq, &plain(&member))).collect();
            (!answers.is_empty()).then(|| answers.contains(&true))
        }
        Expr::Like { path, pattern } => at(path, value).as_str().map(|text| like(&pattern.to_string(), text)),
        Expr::Contains { path, quantifier, set } => {
            let Json::Array(items) = at(path, value) else { return None };
            let holds = |member: Value| {
                items.iter().any(|item| compare(item, CompareOp::Eq, &plain(&member)) == Some(true))
            };
            Some(match quantifier {
                Quantifier::All => set.iter().all(holds),
                Quantifier::Any => set.iter().any(holds),
            })
        }
        Expr::IsNull(path) => Some(at(path, value).is_null()),
        Expr::Exists(path) => Some(!at(path, value).is_null()),
    }
}

/// Any value as JSON: null for null.
fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::Json(value) => value.clone(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::FloatVector(items) => json!(items),
    }
}

fn at(path: &FieldPath, value: &dyn Fn(FieldId) -> Value) -> Json {
    let whole = plain(&value(path.field));
    match (path.data_type, path.steps.as_slice()) {
        (DataType::Array, [PathStep::Index(index)]) => whole.get(index).cloned().unwrap_or_default(),
        _ => path.walk(&whole).cloned().unwrap_or_default(),
    }
}

fn term(term: &Term, value: &dyn Fn(FieldId) -> Value) -> Json {
    match term {
        Term::Path(path) => at(path, value),
        Term::Const(constant) => plain(constant),
        Term::Length(path) => json!(at(path, value).as_array().map(Vec::len)),
        Term::Arith { op, left, right } => {
            let (left, right) = (self::term(left, value), self::term(right, value));
            arith(*op, &left, &right).unwrap_or_default()
        }
    }
}

fn arith(op: ArithOp, left: &Json, right: &Json) -> Option<Json> {
    if let (Some(a), Some(b)) = (left.as_i64(), right.as_i64()) {
        let (a, b) = (i128::from(a), i128::from(b));
        let wide = match op {
            ArithOp::Add => a + b,
            ArithOp::Sub => a - b,
            ArithOp::Mul => a * b,
            ArithOp::Div => a.checked_div(b)?,
            ArithOp::Mod => a.checked_rem(b)?,
            ArithOp::Pow if b < 0 => return finite((a as f64).powf(b as f64)),
            ArithOp::Pow => (0..b).try_fold(1_i128, |power, _| {
                power.checked_mul(a).filter(|power| i64::try_from(*power).is_ok() || *power == 1 << 63)
            })?,
            ArithOp::Shl | ArithOp::Shr if !(0..64).contains(&b) => return None,
            ArithOp::Shl => return Some(json!((a as i64) << b)),
            ArithOp::Shr => a >> b,
            ArithOp::BitAnd => a & b,
            ArithOp::BitXor => a ^ b,
            ArithOp::BitOr => a | b,
        };
        return i64::try_from(wide).ok().map(Json::from);
    }
    let (a, b) = (left.as_f64()?, right.as_f64()?);
    match op {
        ArithOp::Add => finite(a + b),
        ArithOp::Sub => finite(a - b),
        ArithOp::Mul => finite(a * b),
        ArithOp::Div if b == 0.0 => None,
        ArithOp::Div => finite(a / b),
        ArithOp::Pow => finite(a.powf(b)),
        ArithOp::Mod | ArithOp::Shl | ArithOp::Shr | ArithOp::BitAnd | ArithOp::BitXor | ArithOp::BitOr => {
            None
        }
    }
}

fn finite(value: f64) -> Option<Json> {
    // Infinity has no JSON; a number that is beyond all values of the test compares the same.
    let value = if value.is_infinite() { f64::MAX.copysign(value) } else { value };
    (!value.is_nan()).then(|| json!(value))
}

fn compare(left: &Json, op: CompareOp, right: &Json) -> Option<bool> {
    match (left, right) {
        (Json::Bool(a), Json::Bool(b)) => Some(op.holds(a.cmp(b))),
        (Json::String(a), Json::String(b)) => Some(op.holds(a.cmp(b))),
        (Json::Number(a), Json::Number(b)) => Some(op.holds(match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            // All numbers of the test are small enough for a float.
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?)?,
        })),
        (Json::Array(a), Json::Array(b)) if op.is_equality() => {
            let equal = |(a, b): (&Json, &Json)| a == b || compare(a, CompareOp::Eq, b) == Some(true);
            let same = a.len() == b.len() && a.iter().zip(b).all(equal);
            Some(same == (op == CompareOp::Eq))
        }
        _ => None,
    }
}

/// `%` and `_` and backslashes, by trying everything.
fn like(pattern: &str, text: &str) -> bool {
    let mut letters = pattern.chars();
    let Some(letter) = letters.next() else { return text.is_empty() };
    let rest = letters.as_str();
    let mut first = text.chars();
    match letter {
        '%' => text.char_indices().map(|(at, _)| &text[at..]).chain([""]).any(|tail| like(rest, tail)),
        '_' => first.next().is_some() && like(rest, first.as_str()),
        '\\' => {
            let escaped = rest.chars().next();
            first.next() == escaped && like(&rest[escaped.map_or(0, char::len_utf8)..], first.as_str())
        }
        letter => first.next() == Some(letter) && like(rest, first.as_str()),
    }
}

// ---- random rows

fn column(id: i64, data: impl Strategy<Value = ColumnData>, rows: usize) -> impl Strategy<Value = Column> {
    let valid = prop::option::of(prop::collection::vec(prop::bool::weighted(0.8), rows));
    (data, valid).prop_map(move |(data, valid)| Column { field: FieldId(id), data, valid })
}

fn several<T: std::fmt::Debug>(item: impl Strategy<Value = T>, rows: usize) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(item, rows)
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[abß]{0,3}", 1 => "[a%_\\\\]{1,2}"]
}

fn quarter() -> impl Strategy<Value = f64> {
    (-8i32..9).prop_map(|number| f64::from(number) / 4.0)
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3i64..4).prop_map(Json::from),
        quarter().prop_map(Json::from),
        word().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 10, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[ab0]", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn json_texts(rows: usize) -> impl Strategy<Value = ColumnData> {
    let object = prop::collection::btree_map("[ab]", json_value(), 0..3)
        .prop_map(|map| Json::Object(map.into_iter().collect()));
    several(prop_oneof![4 => object, 1 => json_value()], rows)
        .prop_map(|documents| ColumnData::Json(documents.iter().map(Json::to_string).collect()))
}

fn lists(items: impl Strategy<Value = ColumnData> + Clone, rows: usize) -> impl Strategy<Value = ColumnData> {
    several(items, rows).prop_map(ColumnData::Array)
}

fn columns(rows: usize) -> impl Strategy<Value = Vec<Column>> {
    let few = 0..4usize;
    let longs = few.clone().prop_flat_map(|n| several(-3i64..4, n).prop_map(ColumnData::Int64)).boxed();
    let texts = few
        .clone()
        .prop_flat_map(|n| several(word(), n).prop_map(|texts| ColumnData::VarChar(texts.iter().collect())))
        .boxed();
    let floats = few
        .prop_flat_map(|n| several(quarter().prop_map(|number| number as f32), n).prop_map(ColumnData::Float))
        .boxed();
    let scalars = (
        column(100, several(any::<bool>(), rows).prop_map(ColumnData::Bool), rows),
        column(101, several(-3i8..4, rows).prop_map(ColumnData::Int8), rows),
        column(102, several(-3i16..4, rows).prop_map(ColumnData::Int16), rows),
        column(103, several(-3i32..4, rows).prop_map(ColumnData::Int32), rows),
        column(104, several(-3i64..4, rows).prop_map(ColumnData::Int64), rows),
        column(105, several(quarter().prop_map(|n| n as f32), rows).prop_map(ColumnData::Float), rows),
        column(106, several(quarter(), rows).prop_map(ColumnData::Double), rows),
        column(107, several(word(), rows).prop_map(|t| ColumnData::VarChar(t.iter().collect())), rows),
    );
    let others = (
        column(108, json_texts(rows), rows),
        column(109, lists(longs, rows), rows),
        column(110, lists(texts, rows), rows),
        column(111, lists(floats, rows), rows),
        column(113, json_texts(rows), rows),
    );
    (scalars, others)
        .prop_map(|((a, b, c, d, e, f, g, h), (i, j, k, l, m))| vec![a, b, c, d, e, f, g, h, i, j, k, l, m])
}

// ---- random filters

fn quoted() -> impl Strategy<Value = String> {
    word().prop_map(|word| format!("{word:?}"))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof!["%?[abß]{0,2}%?", "[ab%_]{0,4}", word()].prop_map(|pattern| format!("{pattern:?}"))
}

fn whole() -> impl Strategy<Value = String> {
    (-4i64..5).prop_map(|number| number.to_string())
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![whole(), quarter().prop_map(|number| format!("{number:?}"))]
}

fn constant() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![number(), quoted(), any::<bool>().prop_map(|truth| truth.to_string())];
    leaf.prop_recursive(2, 6, 3, list)
}

fn list(item: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(", ")))
}

fn json_path() -> impl Strategy<Value = String> {
    let names =
        &["doc", "doc['a']", "doc['b']", "doc['a'][0]", "doc['a']['b']", "doc['b'][1]", "a", "b", "a['a']"];
    prop::sample::select(&names[..]).prop_map(str::to_owned)
}

fn choice(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names)
}

fn integers() -> impl Strategy<Value = String> {
    let names = choice(&["tiny", "short", "int", "long", "longs[1]", "absent", "array_length(texts)"]);
    let leaf = prop_oneof![whole(), names.prop_map(str::to_owned), json_path()];
    leaf.prop_recursive(2, 6, 2, |inner| {
        let operators = choice(&["+", "-", "*", "/", "%", "<<", ">>", "&", "^", "|"]);
        prop_oneof![
            (inner.clone(), operators, inner.clone())
                .prop_map(|(left, op, right)| format!("({left} {op} {right})")),
            (inner.clone(), -2i64..4).prop_map(|(base, exponent)| format!("(({base}) ** {exponent})")),
            inner.prop_map(|inner| format!("(-{inner})")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let compare = || choice(&["==", "!=", "<", "<=", ">", ">="]);
    let equal = || choice(&["==", "!="]);
    let member = || choice(&["in", "not in"]);
    let ints = || choice(&["tiny", "short", "int", "long", "longs[0]", "absent"]);
    let reals = || choice(&["float", "double", "floats[2]", "(float * double)", "(double / float)"]);
    let words = || choice(&["text", "texts[0]"]);
    let arrays = || choice(&["longs", "doc", "doc['a']", "b"]);
    let any_path =
        || choice(&["flag", "long", "text", "doc", "doc['a']", "a['b']", "texts[1]", "longs", "absent"]);
    let calls = || choice(&["json_contains_all", "array_contains_any"]);
    let leaf = prop_oneof![
        (ints(), compare(), whole()).prop_map(|(path, op, value)| format!("{path} {op} {value}")),
        (reals(), compare(), number()).prop_map(|(path, op, value)| format!("{path} {op} {value}")),
        (words(), compare(), quoted()).prop_map(|(path, op, value)| format!("{path} {op} {value}")),
        (equal(), any::<bool>()).prop_map(|(op, value)| format!("flag {op} {value}")),
        (json_path(), compare(), constant()).prop_map(|(path, op, value)| format!("{path} {op} {value}")),
        (integers(), compare(), integers()).prop_map(|(left, op, right)| format!("{left} {op} {right}")),
        (ints(), compare(), reals()).prop_map(|(left, op, right)| format!("{left} {op} {right}")),
        (json_path(), compare(), any_path()).prop_map(|(left, op, right)| format!("{left} {op} {right}")),
        (whole(), ints(), whole()).prop_map(|(low, path, high)| format!("{low} < {path} <= {high}")),
        (ints(), member(), list(whole())).prop_map(|(path, op, list)| format!("{path} {op} {list}")),
        (choice(&["float", "double"]), member(), list(number()))
            .prop_map(|(path, op, list)| format!("{path} {op} {list}")),
        (words(), member(), list(quoted())).prop_map(|(path, op, list)| format!("{path} {op} {list}")),
        (json_path(), member(), list(constant())).prop_map(|(path, op, list)| format!("{path} {op} {list}")),
        any::<bool>().prop_map(|value| format!("flag in [{value}]")),
        (words(), pattern()).prop_map(|(path, pattern)| format!("{path} like {pattern}")),
        (json_path(), pattern()).prop_map(|(path, pattern)| format!("{path} like {pattern}")),
        (calls(), arrays(), list(whole())).prop_map(|(call, path, list)| format!("{call}({path}, {list})")),
        (calls(), list(quoted())).prop_map(|(call, list)| format!("{call}(texts, {list})")),
        (calls(), json_path(), list(constant()))
            .prop_map(|(call, path, list)| format!("{call}({path}, {list})")),
        (equal(), list(number())).prop_map(|(op, list)| format!("floats {op} {list}")),
        (any_path(), choice(&["is null", "is not null"])).prop_map(|(path, is)| format!("{path} {is}")),
        json_path().prop_map(|path| format!("exists {path}")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn rows_and_range() -> impl Strategy<Value = (Vec<Column>, Range<usize>)> {
    prop_oneof![3 => 0..20usize, 1 => 60..200usize].prop_flat_map(|rows| {
        (columns(rows), 0..=rows, 0..=rows).prop_map(|(columns, a, b)| (columns, a.min(b)..a.max(b)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mask_holds_the_answers_of_the_model(
        (columns, range) in rows_and_range(),
        texts in prop::collection::vec(condition(), 8),
    ) {
        let rows = Rows { count: columns[0].data.len(), columns };
        for text in texts {
            // Some texts divide by a constant zero or compare what cannot be compared: refused.
            let Ok(expr) = parse(&text, &schema(), &BTreeMap::new()) else { continue };
            let mask = evaluate(&expr, &rows, range.clone());
            prop_assert_eq!(mask.len(), range.len());
            let mut matching = Vec::new();
            for row in range.clone() {
                let value = |field| rows.column(field).map_or(Value::Null, |column| column.value(row));
                let expected = answer(&expr, &value);
                prop_assert_eq!(mask.answer(row - range.start), expected, "{} in row {}", expr, row);
                if expected == Some(true) {
                    matching.push(row - range.start);
                }
            }
            prop_assert_eq!(mask.matching().collect::<Vec<_>>(), matching);
        }
    }

    #[test]
    fn a_path_in_text_is_the_path_in_the_document(document in json_value(), steps in prop::collection::vec(
        prop_oneof!["[ab0]".prop_map(PathStep::Key), (0..3usize).prop_map(PathStep::Index)], 0..4)
    ) {
        let path = FieldPath {
            field: FieldId(1),
            name: String::new(),
            data_type: DataType::Json,
            element_type: None,
            steps,
        };
        let found = super::json::at(document.to_string().as_bytes(), &path.steps);
        prop_assert_eq!(found.as_ref(), path.walk(&document));
    }
}

/// What the rules say, row by row, where a reader would look for it.
#[test]
fn nulls_missing_paths_and_clashes_of_kind_are_unknown() {
    let documents =
        [r#"{"a": 1}"#, r#"{"a": "x"}"#, r#"{"a": null}"#, "{}", "null", r#"{"a": [1, 2]}"#, "[]"];
    let mut longs = Column::new(FieldId(104), ColumnData::Int64(vec![1, 2, i64::MAX, 0, 5, 6, 7]));
    longs.valid = Some(vec![true, true, true, true, false, true, true]);
    let texts = Column::new(FieldId(108), ColumnData::Json(documents.into_iter().collect()));
    let columns = vec![longs, texts];
    for (text, expected) in [
        // 1, "x", null, missing, no document, a list, another document; long is null in row 4
        ("doc['a'] == 1", "1------"),
        ("doc['a'] != 1", "0------"),
        ("doc['a'] != 2", "1------"),
        ("not (doc['a'] == 2)", "1------"),
        ("doc['a'] in [1, 'y']", "10-----"),
        ("doc['a'] not in ['x']", "-0-----"),
        ("doc['a'] is null", "0011101"),
        ("exists doc['a']", "1100010"),
        ("not exists doc['a']", "0011101"),
        ("json_contains(doc['a'], 2)", "-----1-"),
        ("array_length(doc['a']) == 2", "-----1-"),
        ("long == 1", "1000-00"),
        ("not (long == 1)", "0111-11"),
        ("long is null", "0000100"),
        ("long + 1 > 0", "11-1-11"),
        ("8 / long >= 0", "111--11"),
        ("long in [1, 2] or doc['a'] == 'x'", "11-----"),
        ("absent is null", "1111111"),
        ("absent == 1 or long == 1", "1------"),
    ] {
        let expr = parse(text, &schema(), &BTreeMap::new()).unwrap();
        let mask = evaluate(&expr, &columns, 0..7);
        let letter = |row| match mask.answer(row) {
            Some(true) => '1',
            Some(false) => '0',
            None => '-',
        };
        assert_eq!((0..7).map(letter).collect::<String>(), expected, "{text}");
    }
}
