//! Judging what clients send, before anything is done with it: schemas and rows.

pub mod fill;
pub mod rows;
pub mod schema;
pub mod values;

pub use rows::{Checked, Completed, RowError};
pub use schema::SchemaError;
