//! Random filters: a printed tree gives the same tree again, and no text makes the reader panic.

mod common;

use common::read;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (-9i64..9).prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:?}")),
        (-9i32..9).prop_map(|number| format!("{:?}", f64::from(number) / 4.0)),
    ]
}

fn integer() -> impl Strategy<Value = String> {
    prop_oneof![any::<i64>().prop_map(|number| number.to_string()), (-9i64..9).prop_map(|n| n.to_string())]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c%_]{0,4}", any::<String>()].prop_map(|text: String| {
        let mut quoted = String::from("'");
        for letter in text.chars() {
            quoted.push_str(&format!("\\U{:08x}", u32::from(letter)));
        }
        quoted + "'"
    })
}

fn json_constant() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![number(), text(), Just("true".to_owned()), Just("false".to_owned())];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(", ")))
    })
}

fn list(item: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(",")))
}

fn json_path() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("doc".to_owned()),
        Just("color".to_owned()),
        text().prop_map(|key| format!("doc[{key}]")),
        (text(), 0..9usize).prop_map(|(key, index)| format!("$meta[{key}][{index}]")),
    ]
}

fn integers() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        integer(),
        Just("id".to_owned()),
        Just("age".to_owned()),
        Just("nums[1]".to_owned()),
        Just("array_length(tags)".to_owned()),
        json_path(),
    ];
    const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "<<", ">>", "&", "^", "|"];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(OPERATORS), inner.clone())
                .prop_map(|(left, op, right)| format!("({left} {op} {right})")),
            (inner.clone(), -3i64..5).prop_map(|(base, exponent)| format!("({base}) ** {exponent}")),
            inner.clone().prop_map(|inner| format!("-({inner})")),
            inner.prop_map(|inner| format!("~({inner})")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let compare = || prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    let equal = || prop::sample::select(&["==", "!="][..]);
    let floats = || prop::sample::select(&["price", "weight", "(price + weight)", "floats[0]"][..]);
    let leaf = prop_oneof![
        (integers(), compare(), integers()).prop_map(|(left, op, right)| format!("{left} {op} {right}")),
        (floats(), compare(), number()).prop_map(|(left, op, right)| format!("{left} {op} {right}")),
        (number(), floats(), number()).prop_map(|(low, path, high)| format!("{low} < {path} <= {high}")),
        (text(), compare()).prop_map(|(text, op)| format!("{text} {op} name")),
        (equal(), any::<bool>()).prop_map(|(op, truth)| format!("ok {op} {truth}")),
        (json_path(), equal(), json_constant()).prop_map(|(path, op, value)| format!("{path} {op} {value}")),
        list(integer()).prop_map(|list| format!("id in {list}")),
        list(number()).prop_map(|list| format!("price not in {list}")),
        list(text()).prop_map(|list| format!("tags[3] in {list}")),
        (json_path(), list(json_constant())).prop_map(|(path, list)| format!("{path} in {list}")),
        (json_path(), text()).prop_map(|(path, pattern)| format!("{path} like {pattern}")),
        text().prop_map(|pattern| format!("name like {pattern}")),
        list(text()).prop_map(|list| format!("array_contains_all(tags, {list})")),
        (json_path(), list(json_constant()))
            .prop_map(|(path, list)| format!("json_contains_any({path}, {list})")),
        (json_path(), json_constant()).prop_map(|(path, value)| format!("json_contains({path}, {value})")),
        json_path().prop_map(|path| format!("exists {path}")),
        json_path().prop_map(|path| format!("{path} is not null")),
        list(integer()).prop_map(|list| format!("nums == {list}")),
        any::<bool>().prop_map(|truth| truth.to_string()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_gives_the_same_tree(text in condition()) {
        // Some texts overflow or divide by zero: those are refused, not printed.
        if let Ok(tree) = read(&text) {
            let printed = tree.to_string();
            let again = read(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&tree), "{} printed as {}", text, printed);
            let json = serde_json::to_string(&tree).unwrap();
            prop_assert_eq!(serde_json::from_str::<cinclus_expr::Expr>(&json).unwrap(), tree);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = read(&text);
    }

    #[test]
    fn no_text_of_words_makes_the_reader_panic(words in prop::collection::vec(prop::sample::select(&[
        "age", "doc", "tags", "name", "vec", "color", "$meta", "(", ")", "[", "]", "{", "}", "five", ",", "+",
        "-", "*", "**", "/", "%", "<<", ">>", "<", "<=", ">", ">=", "==", "!=", "=", "=~", "&", "|", "^", "~",
        "!", "not", "and", "or", "in", "like", "exists", "is", "null", "is null", "true", "1", "0", "1.5", "'a'",
        "\"", "r'a", "'%a_'", "json_contains", "array_length", "array_contains_all", "0x", "$", "\\", "\n", "é",
    ][..]), 0..24)) {
        if let Err(error) = read(&words.join(" ")) {
            prop_assert!(error.position <= words.join(" ").len());
            prop_assert!(error.line > 0 && error.column > 0);
        }
    }
}
