//! Wrong texts and what is said of them.

mod common;

use cinclus_expr::Problem;
use cinclus_types::Advice;
use common::read;

/// Each text is refused at a byte, with a message.
fn check(cases: &[(&str, usize, &str)]) {
    for (text, position, message) in cases {
        let error = read(text).expect_err(text);
        assert_eq!((error.problem.to_string().as_str(), error.position), (*message, *position), "{text}");
        assert_eq!(error.advice(), Advice::Reject);
    }
}

#[test]
fn texts_that_do_not_follow_the_grammar() {
    check(&[
        ("", 0, "empty expression"),
        (" \n ", 3, "empty expression"),
        ("age >", 5, "expected a value or a field, found the end"),
        ("age > > 5", 6, "expected a value or a field, found `>`"),
        ("age = 5", 4, "expected `==`, found `=`"),
        ("age 5", 4, "expected an operator or the end, found `5`"),
        ("(age > 5", 8, "expected an operator or `)`, found the end"),
        ("age > 5)", 7, "expected an operator or the end, found `)`"),
        ("id in [1, 2", 11, "expected `,` or `]`, found the end"),
        ("id in [1 2]", 9, "expected `,` or `]`, found `2`"),
        ("id in [,]", 7, "expected a value or a field, found `,`"),
        ("id not [1]", 7, "expected `in` after `not`, found `[`"),
        ("age In [1]", 4, "expected an operator or the end, found `In`"),
        ("age > 5 AND", 11, "expected a value or a field, found the end"),
        ("age > 5 # x", 8, "expected an expression, found `#`"),
        ("age > 5 \u{2264} 7", 8, "expected an expression, found `\u{2264}`"),
        ("name == 'abc", 12, "the quoted text does not end"),
        ("name == 'a\nb'", 10, "the quoted text does not end"),
        ("age > 0x", 6, "malformed number 0x"),
        ("age > 9223372036854775808", 6, "integer 9223372036854775808 does not fit 64 bits with a sign"),
        ("age > 99999999999999999999", 6, "integer 99999999999999999999 does not fit 64 bits"),
        ("doc[a] == 1", 4, "a field of a struct array is not supported"),
        ("doc[-1] == 1", 4, "expected a key in quotes or an index, found `-`"),
        ("doc['a' == 1", 8, "expected `]`, found `==`"),
        ("1 < age > 5", 8, "expected `<` or `<=`, as on the left of the range, found `>`"),
        ("1 < age < 5 < 6", 12, "expected the end of the range, found `<`"),
        ("age is 5", 7, "expected `null` or `not null`, found `5`"),
        ("age is not 5", 11, "expected `null`, found `5`"),
        ("{} == age", 1, "expected the name of a template variable, found `}`"),
        ("{five == age", 6, "expected `}`, found `==`"),
        ("json_contains(doc)", 17, "expected `,` and what the array should contain, found `)`"),
        ("$other == 1", 0, "expected `$meta`, found `$other`"),
    ]);
    let long = format!("age {}", "x".repeat(99));
    let error = read(&long).unwrap_err().problem.to_string();
    assert_eq!(error, format!("expected an operator or the end, found `{}...`", "x".repeat(40)));
}

#[test]
fn operands_of_the_wrong_kind() {
    check(&[
        (
            "age == 'x'",
            7,
            "comparisons between Int8 and VarChar are not supported: field age (Int8) is compared: expected an integer, found a text",
        ),
        (
            "age == 1.5",
            7,
            "comparisons between Int8 and Double are not supported: field age (Int8) is compared: expected an integer, found a float",
        ),
        (
            "'x' < age",
            0,
            "comparisons between Int8 and VarChar are not supported: field age (Int8) is compared: expected an integer, found a text",
        ),
        (
            "name == 5",
            8,
            "comparisons between VarChar and Int64 are not supported: field name (VarChar) is compared: expected a text, found an integer",
        ),
        (
            "ok == 1",
            6,
            "comparisons between Bool and Int64 are not supported: field ok (Bool) is compared: expected true or false, found an integer",
        ),
        (
            "price == true",
            9,
            "comparisons between Float and Bool are not supported: field price (Float) is compared: expected a number, found a truth value",
        ),
        (
            "name < age",
            5,
            "comparisons between VarChar and Int8 are not supported: field name (VarChar) and field age (Int8) cannot be compared",
        ),
        (
            "nums == floats",
            5,
            "comparisons between Array and Array are not supported: field nums (Array) and field floats (Array) cannot be compared",
        ),
        (
            "'a' == 1",
            4,
            "comparisons between VarChar and Int64 are not supported: a text and an integer cannot be compared",
        ),
        (
            "[1] == [1]",
            4,
            "comparisons between Array and Array are not supported: a list and a list cannot be compared",
        ),
        (
            "1.0 < age < 2",
            0,
            "comparisons between Int8 and Double are not supported: field age (Int8) is compared: expected an integer, found a float",
        ),
        ("1 < 3 < 2", 4, "expected a field in the middle of a range"),
        ("age < id < 3", 0, "expected a constant at the end of a range, found field age (Int8)"),
        (
            "age in 5",
            7,
            "the right-hand side of 'in' must be a list: expected a list such as [1, 2], found an integer",
        ),
        ("age in [id]", 8, "expected a constant, found field id (Int64)"),
    ]);
}

#[test]
fn lists_and_patterns_of_the_wrong_kind() {
    check(&[
        (
            "age in [4.0]",
            7,
            "value 'float_val:4' in list cannot be casted to Int8: field age (Int8) is compared: expected an integer, found a float",
        ),
        (
            "price in [5, true]",
            9,
            "value 'bool_val:true' in list cannot be casted to Float: field price (Float) is compared: expected a number, found a truth value",
        ),
        ("1 in [1]", 0, "`in` needs a single field, found an integer"),
        ("age + 1 in [1]", 4, "`in` needs a single field, found a computed number"),
        ("tags in ['a']", 0, "`in` needs a single field, found field tags (Array)"),
        (
            "age like 'a%'",
            0,
            "like operation on non-string or no-json field is unsupported: `like` needs a VarChar or JSON field, found field age (Int8)",
        ),
        ("name like 5", 10, "expected a pattern in quotes, found an integer"),
        ("name like age", 10, "expected a pattern in quotes, found field age (Int8)"),
        (
            "vec == 1",
            0,
            "field vec (FloatVector) cannot be used in a filter: comparisons with vectors are not supported",
        ),
        (
            "vec in [0]",
            7,
            "value 'int64_val:0' in list cannot be casted to FloatVector: field vec (FloatVector) is compared: expected nothing: vectors cannot be compared, found an integer",
        ),
        (
            "vec is null",
            0,
            "IsNull/IsNotNull operations are not supported on vector fields: field vec (FloatVector)",
        ),
        ("age['x'] == 1", 0, "field age is Int8: nothing is inside it"),
        ("tags['x'] == 'a'", 0, "field tags is an Array: expected one index such as tags[0]"),
        ("doc['a'] < [1]", 11, "a list can be compared with `==` and `!=`, not `<`"),
        (
            "nums == ['a']",
            8,
            "comparisons between Int64 and VarChar are not supported: field nums (Array) is compared: expected an integer, found a text",
        ),
        ("exists age", 7, "`exists` needs a JSON field or a key in it, found field age (Int8)"),
        ("array_length(age) == 1", 13, "expected an Array or JSON field, found field age (Int8)"),
        (
            "array_contains(nums, 'a')",
            21,
            "comparisons between Int64 and VarChar are not supported: field nums (Array) is compared: expected an integer, found a text",
        ),
        (
            "json_contains_any(doc, 1)",
            23,
            "ContainsAny operation element must be an array: expected a list such as [1, 2], found an integer",
        ),
        (
            "json_contains_all(doc, 1)",
            23,
            "ContainsAll operation element must be an array: expected a list such as [1, 2], found an integer",
        ),
        ("5 is null", 2, "expected an operator or the end, found `is`"),
    ]);
}

#[test]
fn two_json_values_are_not_compared() {
    check(&[(
        "doc['a'] < doc['b']",
        9,
        "two column comparison with JSON type is not supported: doc[\"a\"] (Json) and doc[\"b\"] (Json)",
    )]);
}

#[test]
fn conditions_and_values_are_two_things() {
    check(&[
        (
            "age",
            0,
            "predicate is not a boolean expression, data type: Int8: expected a condition, found field age (Int8)",
        ),
        (
            "5",
            0,
            "predicate is not a boolean expression, data type: Int64: expected a condition, found an integer",
        ),
        (
            "doc['a'] - 1",
            9,
            "predicate is not a boolean expression, data type: Int64: expected a condition, found a computed number",
        ),
        (
            "ok",
            0,
            "predicate is not a boolean expression, data type: Bool: expected a condition, found field ok (Bool): write `ok == true`",
        ),
        (
            "ok and age == 1",
            0,
            "'and' can only be used between boolean expressions, and 'or' too: expected a condition, found field ok (Bool): write `ok == true`",
        ),
        (
            "age == 1 or 5",
            12,
            "'and' can only be used between boolean expressions, and 'or' too: expected a condition, found an integer",
        ),
        (
            "not age == 1",
            4,
            "not op can only be applied on boolean expression: `not` needs a condition, found field age (Int8); it binds tighter than comparisons: \
             write `not (...)`",
        ),
        ("(age == 1) + 1 == 2", 5, "expected a value, found a condition"),
        ("(age == 1) == true", 5, "expected a value, found a condition"),
    ]);
}

#[test]
fn numbers_that_cannot_be_computed() {
    check(&[
        ("age / 0 == 1", 4, "division by zero"),
        ("age % 0 == 1", 4, "division by zero"),
        ("2 / 0 == age", 2, "division by zero"),
        ("2.0 / 0 == weight", 4, "division by zero"),
        ("name + 1 == 2", 5, "`+` needs numbers, found field name (VarChar)"),
        ("'a' + 'b' == name", 4, "`+` needs numbers, found a text"),
        ("-name == 1", 1, "`-` needs numbers, found field name (VarChar)"),
        ("-true == ok", 1, "`-` needs numbers, found a truth value"),
        ("price % 2 == 1", 6, "`%` needs integers, found field price (Float)"),
        ("(age & 1.5) == 1", 5, "`&` needs integers, found a float"),
        ("age << 64 == 1", 4, "`<<` needs 0 to 63 bits"),
        ("9223372036854775807 + 1 == id", 20, "`+` overflows 64 bits"),
        ("1e308 * 10 == weight", 6, "the result of `*` is out of the range of a float"),
        ("2 ** age == 4", 2, "the right side of `**` must be a constant, found field age (Int8)"),
        ("nums + 1 == 2", 5, "`+` needs numbers, found field nums (Array)"),
        (
            "doc['a'] + 1 == 'x'",
            16,
            "comparisons between Double and VarChar are not supported: a computed number is compared: expected a number, found a text",
        ),
    ]);
}

#[test]
fn templates_without_a_fitting_value() {
    check(&[
        ("age == {none}", 7, "the value of expression template variable name {none} is not found"),
        ("age == {null}", 7, "template variable {null} is null: write `is null`"),
        ("doc == {object}", 7, "template variable {object} is a JSON object: objects cannot be compared"),
        (
            "age == {word}",
            7,
            "comparisons between Int8 and VarChar are not supported: field age (Int8) is compared: expected an integer, found a text",
        ),
        (
            "id in {five}",
            6,
            "the value of term expression template variable {five} is not array: the right-hand side of 'in' must be a list: expected a list such as [1, 2], found an integer",
        ),
    ]);
}

#[test]
fn what_is_not_served_says_so() {
    check(&[
        ("text_match(name, 'a')", 0, "the function text_match is not supported"),
        ("age == 1 and phrase_match(name, 'a b', 1)", 13, "the function phrase_match is not supported"),
        ("TEXT_MATCH(name, 'a', minimum_should_match=2)", 0, "the function TEXT_MATCH is not supported"),
        ("random_sample(0.1)", 0, "the function random_sample is not supported"),
        ("st_within(geo, 'POINT(1 1)')", 0, "the function st_within is not supported"),
        ("element_filter(a, $[b] > 1)", 0, "the function element_filter is not supported"),
        ("match_any(a, $[b] > 1)", 0, "the function match_any is not supported"),
        ("ts > ISO '2025-01-01'", 5, "a timestamp (`ISO`) is not supported"),
        ("ts + INTERVAL 'P1D' > 3", 5, "a timestamp (`INTERVAL`) is not supported"),
        ("name =~ 'a.*'", 5, "matching a regular expression is not supported"),
        ("name !~ 'a.*'", 5, "matching a regular expression is not supported"),
        ("$ > 1", 0, "a struct array element (`$`) is not supported"),
        ("$[b] > 1", 0, "a struct array element (`$`) is not supported"),
    ]);
}

#[test]
fn an_error_is_one_clear_line() {
    let error = read("age == 1\n  and name > > 2").unwrap_err();
    assert_eq!(error.to_string(), "expected a value or a field, found `>` at line 2, column 14");
}

/// Threads of a runtime have 2 MiB of stack: this takes half of it, in a build without optimisation.
#[test]
fn hostile_nesting_is_refused() {
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(refuse_hostile_nesting).unwrap().join().unwrap();
}

fn refuse_hostile_nesting() {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for text in [
        nested("(", "age == 1", ")", 100_000),
        nested("(", "", "", 100_000),
        nested("not ", "(age == 1)", "", 100_000),
        nested("-", "1 == age", "", 100_000),
        nested("~", "1 == age", "", 100_001),
        nested("id in [", "1", "]", 100_000),
        nested("[", "", "]", 100_000),
        nested("exists ", "doc", "", 100_000),
        nested("array_length(", "doc", ")", 100_000),
        nested("json_contains(doc, ", "1", ")", 100_000),
        nested("age + ", "1 == 2", "", 100_000),
        nested("age ** ", "1 == 2", "", 100_000),
        nested("1 == ", "1", "", 100_000),
        nested("(age == 1 and (ok == true or ", "age == 2", "))", 90),
    ] {
        let error = read(&text).expect_err("too deep");
        assert!(matches!(error.problem, Problem::TooDeep(_)), "{}: {error}", &text[..40]);
    }
    assert!(read(&nested("(", "age == 1", ")", 100)).is_ok());
    assert!(read(&nested("not ", "(age == 1)", "", 100)).is_ok());
    assert!(read(&nested("(age == 1 and (ok == true or ", "age == 2", "))", 15)).is_ok());
}

#[test]
fn long_filters_are_fine() {
    let wide = vec!["age == 1"; 100_000].join(" or ");
    assert!(read(&wide).is_ok());
    let list = format!("id in {:?}", (0..200_000).rev().collect::<Vec<i64>>());
    let keys = read(&list).unwrap().primary_keys(cinclus_types::FieldId(100)).unwrap();
    assert_eq!((keys.len(), keys.get(0)), (200_000, cinclus_types::Key::Int64(0)));
}
