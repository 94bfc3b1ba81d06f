//! Errors on the wire: Milvus' codes for everybody, and a detail of ours with which nothing is lost.

use cinclus_types::{Advice, CollectionId, MessageId, PartitionId, TxnId};
use prost::Message as _;
use tonic::{Code, Status};

use super::proto::{Any, ErrorDetail, StatusDetails, StreamingCode, StreamingError};
use crate::{AppendError, ConsumeError, RollbackCause};

const TYPE_URL: &str = "type.googleapis.com/milvus.proto.streaming.StreamingError";

/// The numbers of our errors on the wire: never change one.
mod kinds {
    pub(super) const NOT_OWNER: u32 = 1;
    pub(super) const CLOSING: u32 = 2;
    pub(super) const NOT_READY: u32 = 3;
    pub(super) const UNAVAILABLE: u32 = 4;
    pub(super) const UNKNOWN: u32 = 5;
    pub(super) const OVERLOADED: u32 = 6;
    pub(super) const TOO_LARGE: u32 = 7;
    pub(super) const OUT_OF_SPACE: u32 = 8;
    pub(super) const OUT_OF_MEMORY: u32 = 9;
    pub(super) const COLLECTION_NOT_FOUND: u32 = 10;
    pub(super) const PARTITION_NOT_FOUND: u32 = 11;
    pub(super) const SCHEMA_MISMATCH: u32 = 12;
    pub(super) const TXN_EXPIRED: u32 = 13;
    pub(super) const CORRUPT: u32 = 14;
    pub(super) const INVALID: u32 = 15;
    pub(super) const TRUNCATED: u32 = 16;
    pub(super) const TOO_MANY: u32 = 17;
    pub(super) const CLOSED: u32 = 18;
    pub(super) const DISK_FULL: u32 = 19;
    pub(super) const TXN_ROLLED_BACK: u32 = 20;
}

/// A [`StreamingError`] of ours.
fn wire(code: StreamingCode, cause: String, kind: u32, text: &str, numbers: &[u64]) -> StreamingError {
    let numbers = numbers.iter().map(|number| number.cast_signed()).collect();
    let detail = ErrorDetail { kind, text: text.to_owned(), numbers };
    StreamingError { code: code.into(), cause, detail: Some(detail) }
}

/// A request that is none.
pub(super) fn invalid(text: &str) -> StreamingError {
    wire(StreamingCode::InvaildArgument, text.to_owned(), kinds::INVALID, text, &[])
}

/// The node stops.
pub(super) fn on_shutdown() -> StreamingError {
    let text = "the node stops";
    wire(StreamingCode::OnShutdown, text.to_owned(), kinds::CLOSED, text, &[])
}

/// Why nothing was appended.
pub(super) fn of_append(error: &AppendError) -> StreamingError {
    use StreamingCode as Code;
    let (code, kind, text, numbers): (Code, u32, &str, Vec<u64>) = match error {
        AppendError::NotOwner => (Code::ChannelFenced, kinds::NOT_OWNER, "", vec![]),
        AppendError::Closing => (Code::OnShutdown, kinds::CLOSING, "", vec![]),
        AppendError::NotReady(text) => (Code::Inner, kinds::NOT_READY, text, vec![]),
        AppendError::Unavailable(text) => (Code::Inner, kinds::UNAVAILABLE, text, vec![]),
        AppendError::Unknown(text) => (Code::Unknown, kinds::UNKNOWN, text, vec![]),
        AppendError::Overloaded(text) => (Code::Inner, kinds::OVERLOADED, text, vec![]),
        AppendError::TooLarge { bytes, limit } => {
            (Code::Unrecoverable, kinds::TOO_LARGE, "", vec![*bytes, *limit])
        }
        AppendError::OutOfSpace { need, available } => {
            (Code::Inner, kinds::OUT_OF_SPACE, "", vec![*need, *available])
        }
        AppendError::DiskFull(text) => (Code::Inner, kinds::DISK_FULL, text, vec![]),
        AppendError::OutOfMemory { need, used, limit } => {
            (Code::Inner, kinds::OUT_OF_MEMORY, "", vec![*need, *used, *limit])
        }
        AppendError::CollectionNotFound(collection) => {
            (Code::Unrecoverable, kinds::COLLECTION_NOT_FOUND, "", vec![collection.0.cast_unsigned()])
        }
        AppendError::PartitionNotFound(collection, partition) => {
            let ids = vec![collection.0.cast_unsigned(), partition.0.cast_unsigned()];
            (Code::Unrecoverable, kinds::PARTITION_NOT_FOUND, "", ids)
        }
        AppendError::SchemaMismatch { given, current } => {
            let versions = [*given, *current].map(|version| i64::from(version).cast_unsigned());
            (Code::SchemaVersionMismatch, kinds::SCHEMA_MISMATCH, "", versions.to_vec())
        }
        AppendError::TxnExpired(txn) => {
            (Code::TransactionExpired, kinds::TXN_EXPIRED, "", vec![txn.0.cast_unsigned()])
        }
        AppendError::TxnRolledBack(txn, cause) => {
            let numbers = vec![txn.0.cast_unsigned(), of_cause(*cause)];
            (Code::TransactionExpired, kinds::TXN_ROLLED_BACK, "", numbers)
        }
        AppendError::Corrupt(text) => (Code::Unrecoverable, kinds::CORRUPT, text, vec![]),
        AppendError::Invalid(text) => (Code::InvaildArgument, kinds::INVALID, text, vec![]),
    };
    wire(code, error.to_string(), kind, text, &numbers)
}

/// The numbers of causes on the wire: never change one.
fn of_cause(cause: RollbackCause) -> u64 {
    match cause {
        RollbackCause::HoldsLog => 1,
        RollbackCause::Changed => 2,
    }
}

/// `None` for one that only later versions know.
fn to_cause(number: u64) -> Option<RollbackCause> {
    [RollbackCause::HoldsLog, RollbackCause::Changed].into_iter().find(|cause| of_cause(*cause) == number)
}

/// Why a stream is not opened.
pub(super) fn of_create(error: &AppendError) -> StreamingError {
    let mut wire = of_append(error);
    if *error == AppendError::NotOwner {
        wire.set_code(StreamingCode::ChannelNotExist);
    }
    wire
}

/// The error that somebody else had; of one who does not speak our detail, what its code says.
pub(super) fn to_append(error: &StreamingError) -> AppendError {
    let detail = error.detail.clone().unwrap_or_default();
    let (text, number) = (detail.text, |at: usize| detail.numbers.get(at).copied().unwrap_or_default());
    let unsigned = |at| number(at).cast_unsigned();
    match detail.kind {
        kinds::NOT_OWNER => AppendError::NotOwner,
        kinds::CLOSING | kinds::CLOSED => AppendError::Closing,
        kinds::NOT_READY => AppendError::NotReady(text),
        kinds::UNAVAILABLE => AppendError::Unavailable(text),
        kinds::UNKNOWN => AppendError::Unknown(text),
        kinds::OVERLOADED => AppendError::Overloaded(text),
        kinds::TOO_LARGE => AppendError::TooLarge { bytes: unsigned(0), limit: unsigned(1) },
        kinds::OUT_OF_SPACE => AppendError::OutOfSpace { need: unsigned(0), available: unsigned(1) },
        kinds::DISK_FULL => AppendError::DiskFull(text),
        kinds::OUT_OF_MEMORY => {
            AppendError::OutOfMemory { need: unsigned(0), used: unsigned(1), limit: unsigned(2) }
        }
        kinds::COLLECTION_NOT_FOUND => AppendError::CollectionNotFound(CollectionId(number(0))),
        kinds::PARTITION_NOT_FOUND => {
            AppendError::PartitionNotFound(CollectionId(number(0)), PartitionId(number(1)))
        }
        kinds::SCHEMA_MISMATCH => {
            AppendError::SchemaMismatch { given: number(0) as i32, current: number(1) as i32 }
        }
        kinds::TXN_EXPIRED => AppendError::TxnExpired(TxnId(number(0))),
        kinds::TXN_ROLLED_BACK => {
            let txn = TxnId(number(0));
            to_cause(unsigned(1))
                .map_or(AppendError::TxnExpired(txn), |cause| AppendError::TxnRolledBack(txn, cause))
        }
        kinds::CORRUPT => AppendError::Corrupt(text),
        kinds::INVALID => AppendError::Invalid(text),
        _ => append_of_code(error),
    }
}

fn append_of_code(error: &StreamingError) -> AppendError {
    let cause = error.cause.clone();
    match error.code() {
        StreamingCode::ChannelNotExist
        | StreamingCode::ChannelFenced
        | StreamingCode::UnmatchedChannelTerm => AppendError::NotOwner,
        StreamingCode::OnShutdown => AppendError::Closing,
        StreamingCode::ResourceAcquired => AppendError::Overloaded(cause),
        StreamingCode::TransactionExpired => AppendError::TxnExpired(TxnId(0)),
        StreamingCode::InvalidRequestSeq
        | StreamingCode::InvaildArgument
        | StreamingCode::InvalidTransactionState
        | StreamingCode::IgnoredOperation
        | StreamingCode::Unrecoverable
        | StreamingCode::ReplicateViolation
        | StreamingCode::SchemaVersionMismatch => AppendError::Invalid(cause),
        StreamingCode::Ok | StreamingCode::Inner | StreamingCode::Unknown => AppendError::Unknown(cause),
    }
}

/// Why a subscription ended.
pub(super) fn of_consume(error: &ConsumeError) -> StreamingError {
    use StreamingCode as Code;
    let (code, kind, text, numbers): (Code, u32, &str, Vec<u64>) = match error {
        ConsumeError::NotOwner => (Code::ChannelNotExist, kinds::NOT_OWNER, "", vec![]),
        ConsumeError::Closed(text) => (Code::OnShutdown, kinds::CLOSED, text, vec![]),
        ConsumeError::Truncated { earliest } => {
            let halves = vec![(earliest.0 >> 64) as u64, earliest.0 as u64];
            (Code::Unrecoverable, kinds::TRUNCATED, "", halves)
        }
        ConsumeError::Corrupt(text) => (Code::Unrecoverable, kinds::CORRUPT, text, vec![]),
        ConsumeError::TooMany { limit } => (Code::Inner, kinds::TOO_MANY, "", vec![*limit as u64]),
        ConsumeError::Unavailable(text) => (Code::Inner, kinds::UNAVAILABLE, text, vec![]),
        ConsumeError::Invalid(text) => (Code::InvaildArgument, kinds::INVALID, text, vec![]),
    };
    wire(code, error.to_string(), kind, text, &numbers)
}

/// The error that somebody else had.
pub(super) fn to_consume(error: &StreamingError) -> ConsumeError {
    let detail = error.detail.clone().unwrap_or_default();
    let number = |at: usize| detail.numbers.get(at).copied().unwrap_or_default().cast_unsigned();
    match detail.kind {
        kinds::NOT_OWNER => ConsumeError::NotOwner,
        kinds::CLOSED | kinds::CLOSING => ConsumeError::Closed(detail.text),
        kinds::TRUNCATED => {
            let earliest = MessageId(u128::from(number(0)) << 64 | u128::from(number(1)));
            ConsumeError::Truncated { earliest }
        }
        kinds::CORRUPT => ConsumeError::Corrupt(detail.text),
        kinds::TOO_MANY => ConsumeError::TooMany { limit: number(0) as usize },
        kinds::UNAVAILABLE => ConsumeError::Unavailable(detail.text),
        kinds::INVALID => ConsumeError::Invalid(detail.text),
        _ => consume_of_code(error),
    }
}

fn consume_of_code(error: &StreamingError) -> ConsumeError {
    let cause = error.cause.clone();
    match append_of_code(error).advice() {
        Advice::Reroute if error.code() == StreamingCode::OnShutdown => ConsumeError::Closed(cause),
        Advice::Reroute => ConsumeError::NotOwner,
        Advice::Reject => ConsumeError::Invalid(cause),
        Advice::Retry | Advice::Unknown => ConsumeError::Unavailable(cause),
    }
}

/// The end of a stream, with the error as a detail.
pub(super) fn status(error: StreamingError) -> Status {
    let code = match error.code() {
        StreamingCode::Inner => Code::Internal,
        StreamingCode::InvaildArgument => Code::InvalidArgument,
        StreamingCode::Unknown => Code::Unknown,
        StreamingCode::Ok
        | StreamingCode::ChannelNotExist
        | StreamingCode::ChannelFenced
        | StreamingCode::OnShutdown
        | StreamingCode::InvalidRequestSeq
        | StreamingCode::UnmatchedChannelTerm
        | StreamingCode::IgnoredOperation
        | StreamingCode::TransactionExpired
        | StreamingCode::InvalidTransactionState
        | StreamingCode::Unrecoverable
        | StreamingCode::ResourceAcquired
        | StreamingCode::ReplicateViolation
        | StreamingCode::SchemaVersionMismatch => Code::FailedPrecondition,
    };
    let any = Any { type_url: TYPE_URL.to_owned(), value: error.encode_to_vec().into() };
    let details = StatusDetails { code: code as i32, message: error.cause.clone(), details: vec![any] };
    Status::with_details(code, error.cause, details.encode_to_vec().into())
}

/// The error in the details of a status.
pub(super) fn of_status(status: &Status) -> Option<StreamingError> {
    let details = StatusDetails::decode(status.details()).ok()?;
    let any = details.details.into_iter().find(|any| any.type_url == TYPE_URL)?;
    StreamingError::decode(any.value).ok()
}

/// Why a subscription ended, of the status that ended its stream.
pub(super) fn consume_of_status(status: &Status) -> ConsumeError {
    match of_status(status) {
        Some(error) => to_consume(&error),
        None => ConsumeError::Unavailable(told(status)),
    }
}

/// A failure of the connection, in words.
pub(super) fn told(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) if status.message() == "transport error" => format!("{source}"),
        Some(_) | None => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_is_lost_on_the_way() {
        let text = || "why".to_owned();
        let appends = [
            AppendError::NotOwner,
            AppendError::Closing,
            AppendError::NotReady(text()),
            AppendError::Unavailable(text()),
            AppendError::Unknown(text()),
            AppendError::Overloaded(text()),
            AppendError::TooLarge { bytes: 7, limit: u64::MAX },
            AppendError::OutOfSpace { need: 1, available: 2 },
            AppendError::DiskFull(text()),
            AppendError::OutOfMemory { need: 1, used: 2, limit: 3 },
            AppendError::CollectionNotFound(CollectionId(-4)),
            AppendError::PartitionNotFound(CollectionId(4), PartitionId(5)),
            AppendError::SchemaMismatch { given: -1, current: 6 },
            AppendError::TxnExpired(TxnId(9)),
            AppendError::TxnRolledBack(TxnId(9), RollbackCause::HoldsLog),
            AppendError::TxnRolledBack(TxnId(9), RollbackCause::Changed),
            AppendError::Corrupt(text()),
            AppendError::Invalid(text()),
        ];
        for error in appends {
            let back = of_status(&status(of_append(&error))).unwrap();
            assert_eq!(to_append(&back), error);
            assert_eq!(back.cause, error.to_string());
        }
        let consumes = [
            ConsumeError::NotOwner,
            ConsumeError::Closed(text()),
            ConsumeError::Truncated { earliest: MessageId::from_parts(3, 1 << 40, 7) },
            ConsumeError::Corrupt(text()),
            ConsumeError::TooMany { limit: 5 },
            ConsumeError::Unavailable(text()),
            ConsumeError::Invalid(text()),
        ];
        for error in consumes {
            assert_eq!(consume_of_status(&status(of_consume(&error))), error);
        }
    }

    #[test]
    fn milvus_codes_are_understood_without_our_detail() {
        let plain =
            |code: StreamingCode| StreamingError { code: code.into(), cause: "c".to_owned(), detail: None };
        assert_eq!(to_append(&plain(StreamingCode::ChannelFenced)), AppendError::NotOwner);
        assert_eq!(to_append(&plain(StreamingCode::Inner)), AppendError::Unknown("c".to_owned()));
        assert_eq!(to_consume(&plain(StreamingCode::UnmatchedChannelTerm)), ConsumeError::NotOwner);
        assert_eq!(to_consume(&plain(StreamingCode::OnShutdown)), ConsumeError::Closed("c".to_owned()));
        let shut = status(of_append(&AppendError::Closing));
        assert_eq!(
            (shut.code(), status(invalid("x")).code()),
            (Code::FailedPrecondition, Code::InvalidArgument)
        );
    }
}
