//! One scalar or vector value: defaults, constants of filters, cells of answers.

use serde::{Deserialize, Serialize};

/// A value of any field type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// No value.
    Null,
    /// Bool.
    Bool(bool),
    /// Int8 to Int64.
    Int(i64),
    /// Float and Double.
    Float(f64),
    /// VarChar.
    Text(String),
    /// JSON.
    Json(serde_json::Value),
    /// Array.
    Array(Vec<Value>),
    /// FloatVector.
    FloatVector(Vec<f32>),
}
