//! Errors as clients see them.

use cinclus_types::{CollectionId, VChannel};

use super::*;

fn check(error: &ProxyError, code: i32, old: ErrorCode, retriable: bool, text: &str) {
    let status = error.status();
    assert_eq!(
        (status.code, status.error_code, status.retriable, status.reason.as_str()),
        (code, old as i32, retriable, text)
    );
}

#[test]
fn success_is_two_zeros() {
    let status = success();
    assert_eq!((status.code, status.error_code, status.reason.as_str()), (0, 0, ""));
}

#[test]
fn every_documented_text_has_its_code() {
    let collection = || ("default".to_owned(), "c".to_owned());
    let (database, name) = collection();
    check(
        &ProxyError::CannotFindCollection { database, collection: name },
        100,
        ErrorCode::CollectionNotExists,
        false,
        "can't find collection[database=default][collection=c]: collection not found[database=default][collection=c]",
    );
    let (database, name) = collection();
    check(
        &DdlError::CollectionNotFound { database, collection: name }.into(),
        100,
        ErrorCode::CollectionNotExists,
        false,
        "collection not found[database=default][collection=c]",
    );
    check(
        &ProxyError::Read { verb: "search", error: ReadError::NotLoaded(CollectionId(7)) },
        101,
        ErrorCode::UnexpectedError,
        false,
        "failed to search: collection not loaded[collection=7]",
    );
    check(
        &ProxyError::DatabaseNotFound("x".into()),
        800,
        ErrorCode::UnexpectedError,
        false,
        "database not found[database=x]",
    );
    check(
        &ProxyError::IndexNotFound { collection: "c".into() },
        700,
        ErrorCode::IndexNotExist,
        false,
        "index not found[collection=c]",
    );
    check(
        &ProxyError::PartitionNotFound("p".into()),
        200,
        ErrorCode::UnexpectedError,
        false,
        "partition not found[partition=p]",
    );
    check(
        &ProxyError::PartitionNameNotFound("p".into()),
        65535,
        ErrorCode::UnexpectedError,
        false,
        "partition name p not found",
    );
}

#[test]
fn input_errors_say_so() {
    check(
        &ProxyError::Unexpected {
            what: "metric type not match".into(),
            expected: "L2".into(),
            actual: "IP".into(),
        },
        1100,
        ErrorCode::IllegalArgument,
        false,
        "metric type not match: invalid parameter[expected=L2][actual=IP]",
    );
    check(
        &ProxyError::Expression { plan: "query", text: "a ==".into(), reason: "r".into() },
        1100,
        ErrorCode::IllegalArgument,
        false,
        "failed to create query plan: cannot parse expression: a ==, error: r: invalid parameter",
    );
    check(
        &crate::names::field("1").unwrap_err().into(),
        1701,
        ErrorCode::UnexpectedError,
        false,
        "Invalid field name: 1. The first character of a field name must be an underscore or letter.: field name invalid[field=1]",
    );
    let status = ProxyError::Invalid("x".into()).status();
    assert_eq!(status.extra_info.get("is_input_error").map(String::as_str), Some("true"));
    let busy = ProxyError::Append(AppendError::NotReady("x".into())).status();
    assert_eq!(busy.extra_info.get("is_input_error"), None);
}

#[test]
fn errors_of_the_logs_have_codes() {
    check(
        &AppendError::OutOfSpace { need: 5, available: 3 }.into(),
        7,
        ErrorCode::UnexpectedError,
        true,
        "disk limit exceeded: need 5 bytes, 3 available beyond the reserve",
    );
    check(
        &AppendError::DiskFull("persisting fails".into()).into(),
        7,
        ErrorCode::UnexpectedError,
        true,
        "disk limit exceeded: persisting fails",
    );
    check(
        &AppendError::Overloaded("too many".into()).into(),
        8,
        ErrorCode::RateLimit,
        true,
        "rate limit exceeded: too many",
    );
    check(
        &AppendError::SchemaMismatch { given: 1, current: 2 }.into(),
        109,
        ErrorCode::SchemaMismatch,
        false,
        "schema version 1 does not match 2",
    );
    check(
        &AppendError::Unavailable("the disk fails".into()).into(),
        2,
        ErrorCode::UnexpectedError,
        true,
        "service unavailable: the disk fails",
    );
    let unknown = ProxyError::Append(AppendError::Unknown("x".into()));
    assert!(!unknown.status().retriable, "a write that may be stored must not be sent again blindly");
    let moved = ReadError::NotServed(VChannel::new("log_0_1v0"));
    assert!(ProxyError::Read { verb: "query", error: moved }.status().retriable);
}
