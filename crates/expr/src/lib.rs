//! The filter language of Milvus: text to a tree that was checked against a schema. Pure.
//!
//! [`parse`] goes in two steps. `parser` (on top of `lexer`) turns text into an untyped `syntax` tree by
//! the precedences of Milvus' grammar; `check` resolves names against the schema, fills in template
//! values, types constants by what they meet, folds what is constant, and gives an [`Expr`]. Every
//! error names the place in the text ([`ExprError`]).
//!
//! The answer of a condition for a row is true, false or unknown; rows match where it is true:
//! - null compares as unknown, and `not` of unknown is unknown;
//! - a JSON path that is missing or null compares as unknown, and so does one that holds a value of
//!   another kind than what it is compared with: such rows do not match, neither with `==` nor `!=`;
//! - an array item beyond the end, an integer that overflows 64 bits and a division by zero are unknown;
//! - `is null`, `is not null` and `exists` are never unknown. A missing JSON path is null, and does not
//!   exist; a JSON `null` is null, and does not exist either.
//!
//! Not supported, with an error that says so: `text_match`, `phrase_match`, `random_sample`, geometry
//! (`st_*`), timestamps (`iso`, `interval`), struct arrays (`element_filter`, `match_*`, `$[..]`) and
//! regular expressions (`=~`, `!~`).
//!
//! Hostile text cannot overflow the stack: [`limits`] bounds the nesting of the text and of the tree.

pub mod ast;
mod cast;
mod check;
mod display;
pub mod error;
mod fold;
mod height;
mod lexer;
pub mod like;
pub mod limits;
mod literal;
mod parser;
pub mod path;
mod syntax;
mod token;
pub mod value_set;

pub use ast::{ArithOp, CompareOp, Expr, Quantifier, Term};
pub use check::parse;
pub use error::{ExprError, Problem};
pub use like::{LikePart, LikePattern};
pub use path::{FieldPath, PathStep};
pub use value_set::{ValueSet, constant_json, order_numbers};
