//! How deep a checked tree is.

use cinclus_types::Value;

use crate::ast::{Expr, Term};

/// How many levels a tree has.
pub(crate) fn expr_height(expr: &Expr) -> usize {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => 1 + parts.iter().map(expr_height).max().unwrap_or(0),
        Expr::Not(inner) => 1 + expr_height(inner),
        Expr::Compare { left, right, .. } => 1 + term_height(left).max(term_height(right)),
        Expr::In { set, .. } | Expr::Contains { set, .. } => {
            1 + set.iter().map(|value| value_height(&value)).max().unwrap_or(0)
        }
        Expr::Const(_) | Expr::Like { .. } | Expr::IsNull(_) | Expr::Exists(_) => 1,
    }
}

fn term_height(term: &Term) -> usize {
    match term {
        Term::Arith { left, right, .. } => 1 + term_height(left).max(term_height(right)),
        Term::Const(value) => value_height(value),
        Term::Path(_) | Term::Length(_) => 1,
    }
}

fn value_height(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(value_height).max().unwrap_or(0),
        Value::Json(json) => json_height(json),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::FloatVector(_) => 1,
    }
}

fn json_height(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::Array(items) => 1 + items.iter().map(json_height).max().unwrap_or(0),
        serde_json::Value::Object(_)
        | serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => 1,
    }
}
