//! What is wrong with a filter, and where.

use cinclus_types::Advice;

/// Why a text is not a filter of this collection, and the place that shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line}, column {column}")]
pub struct ExprError {
    /// The byte in the text where it shows.
    pub position: usize,
    /// The line of `position`, from 1.
    pub line: usize,
    /// The character of `position` in its line, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no expression.
    #[error("empty expression")]
    Empty,
    /// The text goes on in a way that the grammar does not know.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What could stand here.
        expected: String,
        /// What stands here.
        found: String,
    },
    /// A literal that cannot be read.
    #[error("{0}")]
    Literal(String),
    /// A name that is no field, in a collection without dynamic fields.
    #[error("field {0} not exist")]
    UnknownField(String),
    /// Operands that do not fit their operator or each other.
    #[error("{0}")]
    Type(String),
    /// Values of two types that cannot be compared. Milvus' own words come first: its clients look for them.
    #[error("comparisons between {left} and {right} are not supported: {detail}")]
    Mismatch {
        /// The type of the one.
        left: &'static str,
        /// The type of the other.
        right: &'static str,
        /// What was expected.
        detail: String,
    },
    /// A value in a list that is not of the field's type. Milvus' own words come first.
    #[error("value '{value}' in list cannot be casted to {data_type}: {detail}")]
    NotOfList {
        /// The value as Milvus writes it.
        value: String,
        /// The type of the field.
        data_type: &'static str,
        /// What was expected.
        detail: String,
    },
    /// The whole text has a value, but is no condition.
    #[error("predicate is not a boolean expression, data type: {data_type}: {detail}")]
    NotBoolean {
        /// Its type.
        data_type: &'static str,
        /// What was expected.
        detail: String,
    },
    /// A part of the language that is not served.
    #[error("{0} is not supported")]
    NotSupported(String),
    /// A template variable without a value.
    #[error("the value of expression template variable name {{{0}}} is not found")]
    NoTemplate(String),
    /// A template variable without a value that fits.
    #[error("template variable {{{name}}} {what}")]
    Template {
        /// The name between the braces.
        name: String,
        /// What is wrong with its value.
        what: String,
    },
    /// The expression nests deeper than is served.
    #[error("nesting depth exceeds {0}")]
    TooDeep(usize),
}

impl ExprError {
    /// A problem at a byte of a text.
    pub(crate) fn new(text: &str, position: usize, problem: Problem) -> ExprError {
        let before = text.get(..position).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ExprError {
            position,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem,
        }
    }

    /// What a caller should do: the text can never work as it is.
    #[must_use]
    pub fn advice(&self) -> Advice {
        Advice::Reject
    }
}
