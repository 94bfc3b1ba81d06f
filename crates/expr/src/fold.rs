//! Operations on constants, done while checking.

use std::cmp::Ordering;

use cinclus_types::Value;

use crate::ast::{ArithOp, CompareOp, Expr};
use crate::cast::describe_value;
use crate::value_set::order_numbers;

/// The result of two constant numbers, or why there is none.
pub(crate) fn arith(op: ArithOp, left: &Value, right: &Value) -> Result<Value, String> {
    let symbol = op.symbol();
    let no_number = |value: &Value| format!("`{symbol}` needs numbers, found {}", describe_value(value));
    let float = |value: &Value| number(value).ok_or_else(|| no_number(value));
    let (left_float, right_float) = (float(left)?, float(right)?);
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        check_right(op, &Value::Int(*right))?;
        let float_power = op == ArithOp::Pow && *right < 0;
        if !float_power {
            let result = op.of_ints(*left, *right);
            return result.map(Value::Int).ok_or_else(|| format!("`{symbol}` overflows 64 bits"));
        }
    } else if op.integers_only() {
        return Err(format!("`{symbol}` needs integers, found a float"));
    }
    check_right(op, right)?;
    let result = op.of_floats(left_float, right_float).filter(|result| result.is_finite());
    result.map(Value::Float).ok_or_else(|| format!("the result of `{symbol}` is out of the range of a float"))
}

/// Refuses a right side that no left side can have.
pub(crate) fn check_right(op: ArithOp, right: &Value) -> Result<(), String> {
    let zero = *right == Value::Int(0) || *right == Value::Float(0.0);
    match op {
        ArithOp::Div | ArithOp::Mod if zero => Err("division by zero".to_owned()),
        ArithOp::Shl | ArithOp::Shr => match right {
            Value::Int(0..64) => Ok(()),
            Value::Int(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Json(_)
            | Value::Array(_)
            | Value::FloatVector(_) => Err(format!("`{}` needs 0 to 63 bits", op.symbol())),
        },
        ArithOp::Add
        | ArithOp::Sub
        | ArithOp::Mul
        | ArithOp::Div
        | ArithOp::Mod
        | ArithOp::Pow
        | ArithOp::BitAnd
        | ArithOp::BitXor
        | ArithOp::BitOr => Ok(()),
    }
}

/// The order of two constants of one kind; `None` if they have none.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Float(right)) => order_numbers(*left, *right),
        (Value::Float(left), Value::Int(right)) => order_numbers(*right, *left).map(Ordering::reverse),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        _ => None,
    }
}

/// Whether two constants are in an order; `None` if they cannot be compared.
pub(crate) fn compare(op: CompareOp, left: &Value, right: &Value) -> Option<bool> {
    order(left, right).map(|ordering| op.holds(ordering))
}

/// All of some conditions, in normal form.
pub(crate) fn and(parts: Vec<Expr>) -> Expr {
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        if let Expr::And(inner) = part {
            kept.extend(inner);
        } else if part == Expr::Const(false) {
            // False and unknown is false.
            return part;
        } else if part != Expr::Const(true) {
            kept.push(part);
        }
    }
    match kept.len() {
        0 => Expr::Const(true),
        1 => kept.remove(0),
        _ => Expr::And(kept),
    }
}

/// One of some conditions, in normal form.
pub(crate) fn or(parts: Vec<Expr>) -> Expr {
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        if let Expr::Or(inner) = part {
            kept.extend(inner);
        } else if part == Expr::Const(true) {
            // True or unknown is true.
            return part;
        } else if part != Expr::Const(false) {
            kept.push(part);
        }
    }
    match kept.len() {
        0 => Expr::Const(false),
        1 => kept.remove(0),
        _ => Expr::Or(kept),
    }
}

/// The opposite of a condition, in normal form.
pub(crate) fn not(inner: Expr) -> Expr {
    if let Expr::Const(value) = inner {
        Expr::Const(!value)
    } else if let Expr::Not(inner) = inner {
        *inner
    } else {
        Expr::Not(Box::new(inner))
    }
}

/// A number as a float.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Json(_)
        | Value::Array(_)
        | Value::FloatVector(_) => None,
    }
}
