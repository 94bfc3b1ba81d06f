//! The checked tree of a filter: fields are ids, constants have the type of what they meet.

use serde::{Deserialize, Serialize};

/// A filter. Rows match where it is true; false and unknown (null) do not match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// Matches all rows, or none.
    Const(bool),
}
