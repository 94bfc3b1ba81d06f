//! Brute-force search and queries over the rows of several segments.
//!
//! One pass over each block serves all queries of a request: first the rows that are visible and match the
//! filter (`pick`), then their scores by the `kernel`, then the best of each query (`top`,
//! `groups`). A row enters only if no newer visible row of its key is anywhere in the set (`members`),
//! so nothing has to be searched twice.

mod answer;
mod bounds;
mod groups;
pub(crate) mod kernel;
mod members;
mod pick;

mod reader;
mod scan;
mod top;

pub use reader::{newest, query, query_on, search, search_on};
