//! Judging what clients send, before anything is done with it: schemas and rows.

pub mod fill;
pub mod roles;
pub mod row_error;
pub mod rows;
pub mod schema;
pub mod values;

#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod schema_tests;

pub use row_error::RowError;
pub use rows::{Checked, Completed};
pub use schema::SchemaError;
