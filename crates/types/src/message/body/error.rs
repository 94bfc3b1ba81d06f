//! Why a body cannot be read.

use crate::Advice;
use crate::convert::{ColumnError, KeysError, SchemaError};

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum BodyError {
    /// The bytes are no such protobuf message.
    #[error("the payload is no {body}: {source}")]
    Wire {
        /// What was expected.
        body: &'static str,
        /// What is wrong.
        source: prost::DecodeError,
    },
    /// A part that every such body has is not there.
    #[error("the {body} has no {part}")]
    Missing {
        /// What it is.
        body: &'static str,
        /// What it lacks.
        part: &'static str,
    },
    /// The rows are written one by one, as Milvus did long ago.
    #[error("the InsertRequest holds rows, not columns: such bodies are not read")]
    RowBased,
    /// There are more rows than the payload can hold.
    #[error("the InsertRequest says {rows} rows in {bytes} bytes")]
    RowCount {
        /// What it says.
        rows: u64,
        /// The length of the payload.
        bytes: usize,
    },
    /// A column does not fit the schema.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// The primary keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// There are more or fewer keys than the body says.
    #[error("the DeleteRequest says {rows} keys and holds {found}")]
    KeyCount {
        /// What it says.
        rows: i64,
        /// What it holds.
        found: usize,
    },
    /// The delete is by a filter that is not worked out.
    #[error("the DeleteRequest holds a filter, not keys: such bodies are not read")]
    ByFilter,
    /// The schema cannot be read.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl BodyError {
    /// The bytes will not get better.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        Advice::Reject
    }

    pub(crate) fn wire(body: &'static str) -> impl Fn(prost::DecodeError) -> BodyError {
        move |source| BodyError::Wire { body, source }
    }
}
