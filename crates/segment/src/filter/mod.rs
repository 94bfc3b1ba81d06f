//! Which rows of a block match a filter.
//!
//! [`evaluate`] goes through a checked tree ([`cinclus_expr::Expr`]) leaf by leaf, and through each leaf
//! column at a time: comparisons with constants, lists and patterns of typed columns are loops over packed
//! values (`leaf`), 64 rows a word. What has no such loop (JSON, items of arrays, arithmetic, two fields) is
//! evaluated row by row (`row`), and only for rows whose answer is still open. Leaves are joined as words of
//! bits: a [`Mask`] says for each row true, false or unknown.
//!
//! What is unknown, and so matches neither as it is nor with `not`:
//! - every comparison, list and pattern with null, and with a JSON path that is missing or null;
//! - a JSON value of another kind than the constant (`j["a"] != 1` where `j["a"]` is a text), or than each
//!   member of the list; a JSON value that is no array in `json_contains`, `array_length`;
//! - an item beyond the end of an array, an integer that overflows, a division by zero.
//!
//! `is null` and `exists` are never unknown. JSON is parsed for each row and path anew, as far as the path
//! needs; nothing is kept.

mod bound;
mod cell;
mod columns;
mod evaluate;
mod json;
mod leaf;
mod mask;
#[cfg(test)]
mod model_tests;
mod row;

pub use columns::ColumnSource;
pub use evaluate::evaluate;
pub use mask::Mask;
