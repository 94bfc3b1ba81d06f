//! Our words from and to Milvus' wire words (`schema.proto`): schemas, columns of rows, keys, values.
//!
//! What is taken apart is moved, not copied, wherever the two forms agree.

pub mod column;
pub mod keys;
pub mod scalar;
pub mod schema;
pub mod value;

pub use column::{ColumnError, column_from_wire, column_to_wire, missing_column};
pub use keys::{KeysError, keys_from_wire, keys_to_wire};
pub use schema::{SchemaError, field_from_wire, field_to_wire, schema_from_wire, schema_to_wire};
pub use value::{default_from_wire, default_to_wire};
