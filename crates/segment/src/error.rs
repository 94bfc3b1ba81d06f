//! Why a segment refused.

use cinclus_types::{Advice, FieldId};

/// Why rows were not taken, or a search or query was not answered. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The schema names no primary key.
    #[error("the schema {schema:?} has no primary key")]
    NoPrimaryKey {
        /// The name of the schema.
        schema: String,
    },
    /// The rows lack the primary key.
    #[error("the rows have no column of the primary key, field {field}")]
    MissingKeys {
        /// The primary key.
        field: FieldId,
    },
    /// The primary key of the rows is of another type than that of the schema.
    #[error("the primary keys, field {field}, are not of the type of the schema")]
    WrongKeyType {
        /// The primary key.
        field: FieldId,
    },
    /// A column is longer or shorter than the rows say.
    #[error("field {field} has {found} values for {expected} rows")]
    WrongCount {
        /// The field.
        field: FieldId,
        /// Rows.
        expected: usize,
        /// Values.
        found: usize,
    },
    /// The segment has as many rows as it can number.
    #[error("the segment has {rows} rows and cannot number {more} more")]
    Full {
        /// Rows it has.
        rows: u32,
        /// Rows that were to be added.
        more: usize,
    },
    /// A field that the schema does not know.
    #[error("field {0} is not in the schema")]
    UnknownField(FieldId),
    /// A search of a field that is no float vector.
    #[error("field {0} is not a float vector")]
    NotAVector(FieldId),
    /// Queries of another dimension than the vectors.
    #[error("vector dimension mismatch: field {field} has {expected} dimensions, the query {found}")]
    WrongDimension {
        /// The vector field.
        field: FieldId,
        /// Dimensions of the rows.
        expected: usize,
        /// Dimensions of the queries.
        found: usize,
    },
    /// The query floats are not a whole number of queries.
    #[error("{floats} floats are not a whole number of queries with {dim} dimensions")]
    BrokenQueries {
        /// Floats given.
        floats: usize,
        /// Floats of one query.
        dim: usize,
    },
    /// Nobody waits for the answer any more.
    #[error("nobody waits for the answer any more")]
    Gone,
    /// Groups are made by integers, booleans and texts.
    #[error("field {0} cannot be grouped by: only Bool, Int8 to Int64 and VarChar can")]
    NotAGroup(FieldId),
}

impl SegmentError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            SegmentError::Full { .. } | SegmentError::Gone => Advice::Retry,
            SegmentError::NoPrimaryKey { .. }
            | SegmentError::MissingKeys { .. }
            | SegmentError::WrongKeyType { .. }
            | SegmentError::WrongCount { .. }
            | SegmentError::UnknownField(_)
            | SegmentError::NotAVector(_)
            | SegmentError::WrongDimension { .. }
            | SegmentError::BrokenQueries { .. }
            | SegmentError::NotAGroup(_) => Advice::Reject,
        }
    }
}
