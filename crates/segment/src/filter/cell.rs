//! One value of one row.

use std::borrow::Cow;
use std::cmp::Ordering;

use cinclus_expr::{ArithOp, CompareOp, ValueSet, constant_json, order_numbers};
use cinclus_types::{ColumnData, Value};
use serde_json::Value as Json;

/// A value as filters see it: all integers are one kind, all floats another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// Null, missing, or not to be computed.
    Unknown,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// An array of a row of an Array column.
    Items(&'a ColumnData),
    /// An array in JSON, or a constant list.
    List(Cow<'a, [Json]>),
    /// What can be neither compared nor searched: a JSON object, a vector.
    Opaque,
}

impl<'a> Cell<'a> {
    /// A value of a packed column.
    pub(super) fn of_data(data: &'a ColumnData, row: usize) -> Cell<'a> {
        match data {
            ColumnData::Bool(values) => Cell::Bool(values[row]),
            ColumnData::Int8(values) => Cell::Int(values[row].into()),
            ColumnData::Int16(values) => Cell::Int(values[row].into()),
            ColumnData::Int32(values) => Cell::Int(values[row].into()),
            ColumnData::Int64(values) => Cell::Int(values[row]),
            ColumnData::Float(values) => Cell::Float(values[row].into()),
            ColumnData::Double(values) => Cell::Float(values[row]),
            ColumnData::VarChar(texts) => Cell::Text(Cow::Borrowed(texts.text(row))),
            ColumnData::Json(texts) => {
                serde_json::from_slice(texts.get(row)).map_or(Cell::Unknown, Cell::of_owned_json)
            }
            ColumnData::Array(lists) => Cell::Items(&lists[row]),
            ColumnData::FloatVector { .. } => Cell::Opaque,
        }
    }

    /// A JSON value.
    pub(super) fn of_owned_json(json: Json) -> Cell<'a> {
        match json {
            Json::String(text) => Cell::Text(Cow::Owned(text)),
            Json::Array(items) => Cell::List(Cow::Owned(items)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Cell::of_scalar_json(&json),
        }
    }

    /// A JSON value.
    pub(super) fn of_json(json: &'a Json) -> Cell<'a> {
        match json {
            Json::String(text) => Cell::Text(Cow::Borrowed(text)),
            Json::Array(items) => Cell::List(Cow::Borrowed(items)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Cell::of_scalar_json(json),
        }
    }

    fn of_scalar_json(json: &Json) -> Cell<'a> {
        match json {
            Json::Bool(value) => Cell::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Cell::Int(value),
                (None, Some(value)) => Cell::Float(value),
                (None, None) => Cell::Unknown,
            },
            Json::Object(_) => Cell::Opaque,
            Json::Null | Json::String(_) | Json::Array(_) => Cell::Unknown,
        }
    }

    /// A constant of a filter.
    pub(super) fn of_constant(value: &'a Value) -> Cell<'a> {
        match value {
            Value::Null => Cell::Unknown,
            Value::Bool(value) => Cell::Bool(*value),
            Value::Int(value) => Cell::Int(*value),
            Value::Float(value) => Cell::Float(*value),
            Value::Text(text) => Cell::Text(Cow::Borrowed(text)),
            Value::Json(json) => Cell::of_json(json),
            Value::Array(items) => Cell::List(items.iter().map(constant_json).collect()),
            Value::FloatVector(_) => Cell::Opaque,
        }
    }

    /// Whether two values are in an order; `None` if that is unknown. Lists know only `==` and `!=`.
    pub(super) fn compare(&self, op: CompareOp, other: &Cell<'_>) -> Option<bool> {
        let same = match (self, other) {
            (Cell::Items(items), Cell::List(list)) | (Cell::List(list), Cell::Items(items)) => {
                items.len() == list.len()
                    && (0..items.len()).all(|at| Cell::of_data(items, at).equals(&Cell::of_json(&list[at])))
            }
            (Cell::List(left), Cell::List(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right.iter()).all(|(left, right)| json_equal(left, right))
            }
            (left, right) => return left.order(right).map(|ordering| op.holds(ordering)),
        };
        match op {
            CompareOp::Eq => Some(same),
            CompareOp::Ne => Some(!same),
            CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => None,
        }
    }

    /// Whether two values are surely equal.
    pub(super) fn equals(&self, other: &Cell<'_>) -> bool {
        self.compare(CompareOp::Eq, other) == Some(true)
    }

    /// The order of two scalars of one kind.
    fn order(&self, other: &Cell<'_>) -> Option<Ordering> {
        match (self, other) {
            (Cell::Bool(left), Cell::Bool(right)) => Some(left.cmp(right)),
            (Cell::Int(left), Cell::Int(right)) => Some(left.cmp(right)),
            (Cell::Text(left), Cell::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
            (Cell::Float(left), Cell::Float(right)) => left.partial_cmp(right),
            (Cell::Int(left), Cell::Float(right)) => order_numbers(*left, *right),
            (Cell::Float(left), Cell::Int(right)) => order_numbers(*right, *left).map(Ordering::reverse),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Cell::Int(value) => Some(*value as f64),
            Cell::Float(value) => Some(*value),
            Cell::Unknown | Cell::Bool(_) | Cell::Text(_) | Cell::Items(_) | Cell::List(_) | Cell::Opaque => {
                None
            }
        }
    }

    /// Two numbers made one.
    pub(super) fn arith(&self, op: ArithOp, other: &Cell<'_>) -> Cell<'a> {
        if let (Cell::Int(left), Cell::Int(right)) = (self, other)
            && !(op == ArithOp::Pow && *right < 0)
        {
            return op.of_ints(*left, *right).map_or(Cell::Unknown, Cell::Int);
        }
        let result = self.number().zip(other.number()).and_then(|(left, right)| op.of_floats(left, right));
        result.map_or(Cell::Unknown, Cell::Float)
    }

    /// How many items an array has.
    pub(super) fn length(&self) -> Cell<'a> {
        match self {
            Cell::Items(items) => Cell::Int(items.len() as i64),
            Cell::List(items) => Cell::Int(items.len() as i64),
            Cell::Unknown | Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) | Cell::Text(_) | Cell::Opaque => {
                Cell::Unknown
            }
        }
    }

    /// Whether the value is in a set; `None` if it is unknown, or no member of the set is of its kind.
    pub(super) fn is_in(&self, set: &ValueSet) -> Option<bool> {
        let numbers = !set.ints.is_empty() || !set.floats.is_empty();
        let (comparable, found) = match self {
            Cell::Bool(value) => (set.bools != [false; 2], set.contains_bool(*value)),
            Cell::Int(value) => (numbers, set.contains_int(*value)),
            Cell::Float(value) => (numbers, set.contains_float(*value)),
            Cell::Text(text) => (!set.texts.is_empty(), set.contains_text(text.as_bytes())),
            Cell::Items(_) | Cell::List(_) => {
                let found = set.lists.iter().any(|list| self.equals(&Cell::of_json(list)));
                (!set.lists.is_empty(), found)
            }
            Cell::Unknown | Cell::Opaque => (false, false),
        };
        comparable.then_some(found)
    }
}

/// Whether two JSON values are equal; numbers by value, however they are written.
fn json_equal(left: &Json, right: &Json) -> bool {
    left == right || Cell::of_json(left).equals(&Cell::of_json(right))
}
