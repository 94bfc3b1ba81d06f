//! Every error that a client can see: its text, its code, and whether trying again may help.
//!
//! Errors travel in [`Status`], never as gRPC codes: clients hang for minutes on those. Both forms of the
//! code are always set, since some clients read `code` and some `error_code`.

use std::borrow::Cow;

use cinclus_rpc::{AppendError, CoordError, DdlError, ReadError};
use cinclus_types::Advice;
use cinclus_types::proto::common::{ErrorCode, Status};

use crate::names::NameError;
use crate::validate::{RowError, SchemaError};

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProxyError {
    /// No such database.
    #[error("database not found[database={0}]")]
    DatabaseNotFound(String),
    /// No such collection (requests about rows, indexes and the collection itself).
    #[error(
        "can't find collection[database={database}][collection={collection}]: collection not found[database={database}][collection={collection}]"
    )]
    CannotFindCollection {
        /// The database.
        database: String,
        /// The asked name.
        collection: String,
    },
    /// No such collection to point an alias at.
    #[error("collection not found[collection={0}]")]
    AliasTargetNotFound(String),
    /// No such partition, in a write.
    #[error("partition not found[partition={0}]")]
    PartitionNotFound(String),
    /// No such partition, in a read.
    #[error("partition name {0} not found")]
    PartitionNameNotFound(String),
    /// Partitions named where the partition key picks them.
    #[error("not support manually specifying the partition names if partition key mode is used")]
    PartitionsPickedByKey,
    /// The same, in a search.
    #[error("not support manually specifying the partition names if partition key mode is used")]
    SearchPartitionsPickedByKey,
    /// No such alias.
    #[error("alias not found[database={database}][alias={alias}]")]
    AliasNotFound {
        /// The database.
        database: String,
        /// The alias.
        alias: String,
    },
    /// No such index.
    #[error("index not found[collection={collection}]")]
    IndexNotFound {
        /// The collection.
        collection: String,
    },
    /// No such index of that name.
    #[error("index not found[indexName={0}]")]
    IndexNameNotFound(String),
    /// A bad name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A bad schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Bad rows.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The client's schema is older than the collection's.
    #[error("collection schema mismatch[collection={0}]")]
    SchemaMismatch(String),
    /// A bad parameter, told in the newer form.
    #[error("{0}: invalid parameter")]
    Invalid(String),
    /// A parameter has another value than it must have.
    #[error("{what}: invalid parameter[expected={expected}][actual={actual}]")]
    Unexpected {
        /// What is wrong.
        what: Cow<'static, str>,
        /// What it should be.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// Something that can be changed of released collections only.
    #[error("{what}: collection already loaded[collection={collection}]")]
    AlteredWhileLoaded {
        /// What cannot be done.
        what: Cow<'static, str>,
        /// The collection.
        collection: String,
    },
    /// An index type that there is not.
    #[error("invalid parameter[expected=valid index][actual=invalid index type: {0}]")]
    UnknownIndexType(String),
    /// A bad parameter, told in the older form (no code of its own).
    #[error("{0}")]
    Plain(String),
    /// topk out of range.
    #[error("topk [{0}] is invalid, it should be in range [1, 16384], but got {0}")]
    TopK(i64),
    /// offset + topk out of range.
    #[error("offset+topk [{0}] is invalid, it should be in range [1, 16384], but got {0}")]
    OffsetTopK(i64),
    /// offset + limit of a query out of range.
    #[error("invalid max query result window, (offset+limit) should be in range [1, 16384], but got {0}")]
    Window(i64),
    /// A limit of a query that asks for no rows.
    #[error(
        "invalid max query result window, limit [{0}] is invalid, should be greater than 0: it should be in range [1, 16384], but got {0}"
    )]
    Limit(i64),
    /// Too many or no queries.
    #[error(
        "nq [{0}] is invalid, nq (number of search vector per search request) should be in range [1, 16384], but got {0}"
    )]
    QueryCount(i64),
    /// A query without a filter and a limit.
    #[error("empty expression should be used with limit: invalid parameter")]
    EmptyExpression,
    /// The filter cannot be read.
    #[error(
        "failed to create {plan} plan: cannot parse expression: {text}, error: {reason}: invalid parameter"
    )]
    Expression {
        /// What was planned: `query` or `delete`.
        plan: &'static str,
        /// The filter.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More than one vector field and none named.
    #[error("multiple anns_fields exist, please specify a anns_field in search_params")]
    AmbiguousVectorField,
    /// The named field to search is missing.
    #[error(
        "failed to create query plan: failed to get field schema by name: fieldName({0}) not found: invalid parameter"
    )]
    SearchFieldNotFound(String),
    /// A query vector of another size.
    #[error("vector dimension mismatch, expected vector size(byte) {expected}, actual {actual}.")]
    QueryDimension {
        /// Bytes of a vector of the field.
        expected: usize,
        /// Bytes of the given vector.
        actual: usize,
    },
    /// An unknown output field.
    #[error("field {0} not exist")]
    OutputFieldNotFound(String),
    /// An answer that cannot be sent.
    #[error("the answer has {bytes} bytes, the limit is {limit}: ask for fewer rows or fields")]
    AnswerTooLarge {
        /// Its bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A read needs a loaded collection.
    #[error("failed to {verb}: {error}")]
    Read {
        /// `search` or `query`.
        verb: &'static str,
        /// What happened.
        error: ReadError,
    },
    /// A write failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A change of what exists failed.
    #[error(transparent)]
    Ddl(#[from] DdlError),
    /// The coordinator did not answer.
    #[error("service not ready: {0}")]
    Coord(#[from] CoordError),
    /// A right request for something that Cinclus does not do.
    #[error("{0} is not supported by Cinclus yet: unsupported operation")]
    Unsupported(String),
}

/// Codes of `Status.code` (Milvus' `merr`).
mod code {
    pub(super) const NOT_READY: i32 = 1;
    pub(super) const UNAVAILABLE: i32 = 2;
    pub(super) const MEMORY_LIMIT: i32 = 3;
    pub(super) const INTERNAL: i32 = 5;
    pub(super) const DISK_LIMIT: i32 = 7;
    pub(super) const RATE_LIMIT: i32 = 8;
    pub(super) const RESOURCE_INSUFFICIENT: i32 = 12;
    pub(super) const COLLECTION_NOT_FOUND: i32 = 100;
    pub(super) const COLLECTION_NOT_LOADED: i32 = 101;
    pub(super) const LIMIT_EXCEEDED: i32 = 102;
    pub(super) const COLLECTION_NOT_FULLY_LOADED: i32 = 103;
    pub(super) const COLLECTION_LOADED: i32 = 104;
    pub(super) const ILLEGAL_SCHEMA: i32 = 109;
    pub(super) const PARTITION_NOT_FOUND: i32 = 200;
    pub(super) const PARTITION_NOT_LOADED: i32 = 201;
    pub(super) const CHANNEL_NOT_AVAILABLE: i32 = 503;
    pub(super) const INDEX_NOT_FOUND: i32 = 700;
    pub(super) const DATABASE_NOT_FOUND: i32 = 800;
    pub(super) const INVALID_DATABASE_NAME: i32 = 802;
    pub(super) const INVALID_PARAMETER: i32 = 1100;
    pub(super) const PARAMETER_TOO_LARGE: i32 = 1102;
    pub(super) const ALIAS_NOT_FOUND: i32 = 1600;
    pub(super) const ALIAS_CONFLICT: i32 = 1601;
    pub(super) const ALIAS_EXISTS: i32 = 1602;
    pub(super) const FIELD_NOT_FOUND: i32 = 1700;
    pub(super) const FIELD_NAME_INVALID: i32 = 1701;
    pub(super) const UNSUPPORTED: i32 = 3000;
    pub(super) const TIMEOUT: i32 = 10001;
    pub(super) const UNEXPECTED: i32 = 65535;
}

impl ProxyError {
    /// The number of this error in `Status.code`.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            ProxyError::DatabaseNotFound(_) => code::DATABASE_NOT_FOUND,
            ProxyError::CannotFindCollection { .. } | ProxyError::AliasTargetNotFound(_) => {
                code::COLLECTION_NOT_FOUND
            }
            ProxyError::PartitionNotFound(_) => code::PARTITION_NOT_FOUND,
            ProxyError::AliasNotFound { .. } => code::ALIAS_NOT_FOUND,
            ProxyError::IndexNotFound { .. } | ProxyError::IndexNameNotFound(_) => code::INDEX_NOT_FOUND,
            ProxyError::Name(error) => name_code(error),
            ProxyError::Schema(error) => schema_code(error),
            ProxyError::Row(_)
            | ProxyError::PartitionsPickedByKey
            | ProxyError::UnknownIndexType(_)
            | ProxyError::Invalid(_)
            | ProxyError::Unexpected { .. }
            | ProxyError::Expression { .. }
            | ProxyError::EmptyExpression
            | ProxyError::SearchFieldNotFound(_) => code::INVALID_PARAMETER,
            ProxyError::AlteredWhileLoaded { .. } => code::COLLECTION_LOADED,
            ProxyError::SchemaMismatch(_) => code::ILLEGAL_SCHEMA,
            ProxyError::PartitionNameNotFound(_)
            | ProxyError::SearchPartitionsPickedByKey
            | ProxyError::Plain(_)
            | ProxyError::TopK(_)
            | ProxyError::OffsetTopK(_)
            | ProxyError::Window(_)
            | ProxyError::Limit(_)
            | ProxyError::QueryCount(_)
            | ProxyError::AmbiguousVectorField
            | ProxyError::QueryDimension { .. }
            | ProxyError::OutputFieldNotFound(_) => code::UNEXPECTED,
            ProxyError::AnswerTooLarge { .. } => code::PARAMETER_TOO_LARGE,
            ProxyError::Read { error, .. } => read_code(error),
            ProxyError::Append(error) => append_code(error),
            ProxyError::Ddl(error) => ddl_code(error),
            ProxyError::Coord(_) => code::NOT_READY,
            ProxyError::Unsupported(_) => code::UNSUPPORTED,
        }
    }

    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            ProxyError::Read { error, .. } => error.advice(),
            ProxyError::Append(error) => error.advice(),
            ProxyError::Ddl(error) => error.advice(),
            ProxyError::Coord(error) => error.advice(),
            ProxyError::DatabaseNotFound(_)
            | ProxyError::CannotFindCollection { .. }
            | ProxyError::AliasTargetNotFound(_)
            | ProxyError::PartitionNotFound(_)
            | ProxyError::PartitionNameNotFound(_)
            | ProxyError::PartitionsPickedByKey
            | ProxyError::SearchPartitionsPickedByKey
            | ProxyError::AliasNotFound { .. }
            | ProxyError::IndexNotFound { .. }
            | ProxyError::IndexNameNotFound(_)
            | ProxyError::Name(_)
            | ProxyError::Schema(_)
            | ProxyError::Row(_)
            | ProxyError::SchemaMismatch(_)
            | ProxyError::Invalid(_)
            | ProxyError::UnknownIndexType(_)
            | ProxyError::AlteredWhileLoaded { .. }
            | ProxyError::Unexpected { .. }
            | ProxyError::Plain(_)
            | ProxyError::TopK(_)
            | ProxyError::OffsetTopK(_)
            | ProxyError::Window(_)
            | ProxyError::Limit(_)
            | ProxyError::QueryCount(_)
            | ProxyError::EmptyExpression
            | ProxyError::Expression { .. }
            | ProxyError::AmbiguousVectorField
            | ProxyError::SearchFieldNotFound(_)
            | ProxyError::QueryDimension { .. }
            | ProxyError::OutputFieldNotFound(_)
            | ProxyError::AnswerTooLarge { .. }
            | ProxyError::Unsupported(_) => Advice::Reject,
        }
    }

    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> Status {
        let code = self.code();
        let advice = self.advice();
        let mut status = Status {
            error_code: old_code(self, code) as i32,
            reason: self.to_string(),
            code,
            retriable: matches!(advice, Advice::Retry | Advice::Reroute),
            ..Status::default()
        };
        if advice == Advice::Reject && code != code::COLLECTION_NOT_LOADED {
            status.extra_info.insert("is_input_error".to_owned(), "true".to_owned());
        }
        status.detail.clone_from(&status.reason);
        status
    }
}

/// The status of a success.
#[must_use]
pub fn success() -> Status {
    Status::default()
}

fn old_code(error: &ProxyError, code: i32) -> ErrorCode {
    if matches!(error, ProxyError::SchemaMismatch(_) | ProxyError::Append(AppendError::SchemaMismatch { .. }))
    {
        return ErrorCode::SchemaMismatch;
    }
    match code {
        code::COLLECTION_NOT_FOUND => ErrorCode::CollectionNotExists,
        code::INVALID_PARAMETER => ErrorCode::IllegalArgument,
        code::INDEX_NOT_FOUND => ErrorCode::IndexNotExist,
        code::RATE_LIMIT => ErrorCode::RateLimit,
        _ => ErrorCode::UnexpectedError,
    }
}

fn name_code(error: &NameError) -> i32 {
    match error {
        NameError::Collection(_) | NameError::Alias(_) | NameError::Index(_) => code::INVALID_PARAMETER,
        NameError::Field { .. } | NameError::NoField | NameError::Keyword(_) => code::FIELD_NAME_INVALID,
        NameError::Partition { .. } => code::UNEXPECTED,
        NameError::Database { .. } => code::INVALID_DATABASE_NAME,
    }
}

fn schema_code(error: &SchemaError) -> i32 {
    match error {
        SchemaError::Name(error) => name_code(error),
        SchemaError::Plain(_) => code::UNEXPECTED,
        SchemaError::Invalid(_)
        | SchemaError::DefaultOutOfRange { .. }
        | SchemaError::DefaultTooLong { .. } => code::INVALID_PARAMETER,
    }
}

fn read_code(error: &ReadError) -> i32 {
    match error {
        ReadError::NotServed(_) => code::CHANNEL_NOT_AVAILABLE,
        ReadError::NotLoaded(_) => code::COLLECTION_NOT_LOADED,
        ReadError::NotFullyLoaded(_) => code::COLLECTION_NOT_FULLY_LOADED,
        ReadError::PartitionNotLoaded(_) => code::PARTITION_NOT_LOADED,
        ReadError::TooFarAhead { .. } | ReadError::SnapshotGone { .. } | ReadError::Invalid(_) => {
            code::INVALID_PARAMETER
        }
        ReadError::TimedOut { .. } => code::TIMEOUT,
        ReadError::OutOfMemory { .. } => code::MEMORY_LIMIT,
        ReadError::Corrupt(_) => code::INTERNAL,
        ReadError::Unavailable(_) => code::UNAVAILABLE,
    }
}

fn append_code(error: &AppendError) -> i32 {
    match error {
        AppendError::NotOwner
        | AppendError::Closing
        | AppendError::Unavailable(_)
        | AppendError::Unknown(_) => code::UNAVAILABLE,
        AppendError::NotReady(_) => code::NOT_READY,
        AppendError::Overloaded(_) => code::RATE_LIMIT,
        AppendError::TooLarge { .. } => code::PARAMETER_TOO_LARGE,
        AppendError::OutOfSpace { .. } | AppendError::DiskFull(_) => code::DISK_LIMIT,
        AppendError::OutOfMemory { .. } => code::MEMORY_LIMIT,
        AppendError::CollectionNotFound(_) => code::COLLECTION_NOT_FOUND,
        AppendError::PartitionNotFound(..) => code::PARTITION_NOT_FOUND,
        AppendError::SchemaMismatch { .. } => code::ILLEGAL_SCHEMA,
        AppendError::TxnExpired(_) | AppendError::TxnRolledBack(..) | AppendError::Corrupt(_) => {
            code::INTERNAL
        }
        AppendError::Invalid(_) => code::INVALID_PARAMETER,
    }
}

fn ddl_code(error: &DdlError) -> i32 {
    match error {
        DdlError::DatabaseNotFound(_) => code::DATABASE_NOT_FOUND,
        DdlError::CollectionNotFound { .. } => code::COLLECTION_NOT_FOUND,
        DdlError::PartitionNotFound(_) => code::PARTITION_NOT_FOUND,
        DdlError::AliasNotFound { .. } => code::ALIAS_NOT_FOUND,
        DdlError::AliasExists { .. } => code::ALIAS_EXISTS,
        DdlError::AliasConflict { .. } => code::ALIAS_CONFLICT,
        DdlError::IndexNotFound(_) | DdlError::NoVectorIndex { .. } => code::INDEX_NOT_FOUND,
        DdlError::CollectionNotLoaded(_) => code::COLLECTION_NOT_LOADED,
        DdlError::FieldNotFound(_) => code::FIELD_NOT_FOUND,
        DdlError::LimitExceeded(_) => code::LIMIT_EXCEEDED,
        DdlError::Invalid(_) | DdlError::NothingToRelease => code::INVALID_PARAMETER,
        DdlError::TooFewNodes { .. } => code::RESOURCE_INSUFFICIENT,
        DdlError::Unavailable(_) => code::NOT_READY,
        DdlError::DatabaseExists(_)
        | DdlError::DatabaseNotEmpty(_)
        | DdlError::CollectionExists(_)
        | DdlError::NameTaken { .. }
        | DdlError::CollectionNamedAsAlias(_)
        | DdlError::RenamedToAlias(_)
        | DdlError::NothingToLoad
        | DdlError::PartitionLoaded(_)
        | DdlError::IsAlias(_)
        | DdlError::IndexExists(_)
        | DdlError::FieldIndexed
        | DdlError::CollectionLoaded(_) => code::UNEXPECTED,
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
