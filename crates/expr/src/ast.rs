//! The checked tree of a filter: fields are ids, constants have the type of what they meet.

use std::collections::BTreeSet;

use cinclus_types::{FieldId, Key, Keys, Value};
use serde::{Deserialize, Serialize};

use crate::{FieldPath, LikePattern, ValueSet};

/// A filter. Rows match where it is true; false and unknown (null) do not match.
///
/// [`crate::parse`] gives it in normal form: constants stand right of their operator, `and` and `or`
/// hold at least two conditions that are neither constant nor of their own kind, `not` holds neither a
/// constant nor a `not`, sets are not empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// Matches all rows, or none.
    Const(bool),
    /// True where all are true, false where one is false.
    And(Vec<Expr>),
    /// True where one is true, false where all are false.
    Or(Vec<Expr>),
    /// Swaps true and false.
    Not(Box<Expr>),
    /// Two values in an order.
    Compare {
        /// The left value, never a constant.
        left: Term,
        /// The order.
        op: CompareOp,
        /// The right value.
        right: Term,
    },
    /// A value is one of a set.
    In {
        /// The value.
        path: FieldPath,
        /// The set, of the value's type; of any types for JSON.
        set: ValueSet,
    },
    /// A text fits a pattern.
    Like {
        /// The text.
        path: FieldPath,
        /// The pattern.
        pattern: LikePattern,
    },
    /// An array (field or JSON) holds values of a set.
    Contains {
        /// The array.
        path: FieldPath,
        /// How many of the set.
        quantifier: Quantifier,
        /// The set, of the item's type; of any types for JSON.
        set: ValueSet,
    },
    /// There is no value. Never unknown.
    IsNull(FieldPath),
    /// There is a JSON value other than null. Never unknown.
    Exists(FieldPath),
}

/// A value of a row, or a constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Term {
    /// A value of the row.
    Path(FieldPath),
    /// The same for all rows: Bool, Int, Float, Text, or an Array of these and Arrays.
    Const(Value),
    /// How many items an array (field or JSON) has.
    Length(FieldPath),
    /// Two numbers made one.
    Arith {
        /// How.
        op: ArithOp,
        /// The left number.
        left: Box<Term>,
        /// The right number.
        right: Box<Term>,
    },
}

/// An order of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// An operation on two numbers. Integers stay integers; with a float, both are 64-bit floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArithOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`, of integers cut towards zero.
    Div,
    /// `%`, integers only, with the sign of the left.
    Mod,
    /// `**`: an integer for integers with an exponent of 0 or more, else a float.
    Pow,
    /// `<<`, integers only, by 0 to 63 bits.
    Shl,
    /// `>>`, integers only, by 0 to 63 bits, keeps the sign.
    Shr,
    /// `&`, integers only.
    BitAnd,
    /// `^`, integers only.
    BitXor,
    /// `|`, integers only.
    BitOr,
}

/// How many values of a set an array must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quantifier {
    /// Each of them.
    All,
    /// At least one.
    Any,
}

impl CompareOp {
    /// The order that holds for swapped sides.
    #[must_use]
    pub const fn flipped(self) -> CompareOp {
        match self {
            CompareOp::Eq => CompareOp::Eq,
            CompareOp::Ne => CompareOp::Ne,
            CompareOp::Lt => CompareOp::Gt,
            CompareOp::Le => CompareOp::Ge,
            CompareOp::Gt => CompareOp::Lt,
            CompareOp::Ge => CompareOp::Le,
        }
    }

    /// Whether the order of two values is this one.
    #[must_use]
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            CompareOp::Eq => ordering.is_eq(),
            CompareOp::Ne => ordering.is_ne(),
            CompareOp::Lt => ordering.is_lt(),
            CompareOp::Le => ordering.is_le(),
            CompareOp::Gt => ordering.is_gt(),
            CompareOp::Ge => ordering.is_ge(),
        }
    }

    /// Whether this is `==` or `!=`.
    #[must_use]
    pub const fn is_equality(self) -> bool {
        matches!(self, CompareOp::Eq | CompareOp::Ne)
    }
}

impl ArithOp {
    /// Whether it takes integers only.
    #[must_use]
    pub const fn integers_only(self) -> bool {
        match self {
            ArithOp::Add | ArithOp::Sub | ArithOp::Mul | ArithOp::Div | ArithOp::Pow => false,
            ArithOp::Mod
            | ArithOp::Shl
            | ArithOp::Shr
            | ArithOp::BitAnd
            | ArithOp::BitXor
            | ArithOp::BitOr => true,
        }
    }

    /// The result for integers; `None` if it does not fit 64 bits, or divides by zero, or the right
    /// side is out of range. An exponent below 0 is not for integers: also `None`.
    #[must_use]
    pub fn of_ints(self, left: i64, right: i64) -> Option<i64> {
        let bits = || u32::try_from(right).ok().filter(|&bits| bits < 64);
        match self {
            ArithOp::Add => left.checked_add(right),
            ArithOp::Sub => left.checked_sub(right),
            ArithOp::Mul => left.checked_mul(right),
            ArithOp::Div => left.checked_div(right),
            ArithOp::Mod if right == -1 => Some(0),
            ArithOp::Mod => left.checked_rem(right),
            ArithOp::Pow => match (left, u32::try_from(right)) {
                (_, Ok(exponent)) => left.checked_pow(exponent),
                (1, Err(_)) if right > 0 => Some(1),
                (0, Err(_)) if right > 0 => Some(0),
                (-1, Err(_)) if right > 0 => Some(if right % 2 == 0 { 1 } else { -1 }),
                (_, Err(_)) => None,
            },
            ArithOp::Shl => Some(left << bits()?),
            ArithOp::Shr => Some(left >> bits()?),
            ArithOp::BitAnd => Some(left & right),
            ArithOp::BitXor => Some(left ^ right),
            ArithOp::BitOr => Some(left | right),
        }
    }

    /// The result for floats; `None` for an operation on integers only, and for what is no number.
    #[must_use]
    pub fn of_floats(self, left: f64, right: f64) -> Option<f64> {
        let result = match self {
            ArithOp::Add => left + right,
            ArithOp::Sub => left - right,
            ArithOp::Mul => left * right,
            ArithOp::Div if right == 0.0 => return None,
            ArithOp::Div => left / right,
            ArithOp::Pow => left.powf(right),
            ArithOp::Mod
            | ArithOp::Shl
            | ArithOp::Shr
            | ArithOp::BitAnd
            | ArithOp::BitXor
            | ArithOp::BitOr => return None,
        };
        Some(result).filter(|result| !result.is_nan())
    }
}

impl Term {
    fn collect_fields(&self, fields: &mut BTreeSet<FieldId>) {
        match self {
            Term::Path(path) | Term::Length(path) => {
                fields.insert(path.field);
            }
            Term::Const(_) => {}
            Term::Arith { left, right, .. } => {
                left.collect_fields(fields);
                right.collect_fields(fields);
            }
        }
    }
}

impl Expr {
    /// The fields whose values the filter reads.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<FieldId> {
        let mut fields = BTreeSet::new();
        self.collect_fields(&mut fields);
        fields
    }

    fn collect_fields(&self, fields: &mut BTreeSet<FieldId>) {
        match self {
            Expr::Const(_) => {}
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| part.collect_fields(fields)),
            Expr::Not(inner) => inner.collect_fields(fields),
            Expr::Compare { left, right, .. } => {
                left.collect_fields(fields);
                right.collect_fields(fields);
            }
            Expr::In { path, .. }
            | Expr::Like { path, .. }
            | Expr::Contains { path, .. }
            | Expr::IsNull(path)
            | Expr::Exists(path) => {
                fields.insert(path.field);
            }
        }
    }

    /// All keys that can match, if the filter is exactly `pk == x` or `pk in [...]`: ascending, each once.
    #[must_use]
    pub fn primary_keys(&self, pk: FieldId) -> Option<Keys> {
        if let Expr::Compare { left: Term::Path(path), op: CompareOp::Eq, right: Term::Const(value) } = self
            && path.field == pk
        {
            return match value {
                Value::Int(key) => Some(Keys::Int64(vec![*key])),
                Value::Text(key) => Some(Keys::VarChar(std::iter::once(key).collect())),
                Value::Null
                | Value::Bool(_)
                | Value::Float(_)
                | Value::Json(_)
                | Value::Array(_)
                | Value::FloatVector(_) => None,
            };
        }
        match self {
            Expr::In { path, set } if path.field == pk => set.keys(),
            Expr::Const(_)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::Compare { .. }
            | Expr::In { .. }
            | Expr::Like { .. }
            | Expr::Contains { .. }
            | Expr::IsNull(_)
            | Expr::Exists(_) => None,
        }
    }

    /// The filter that matches exactly these keys.
    #[must_use]
    pub fn of_keys(pk: FieldPath, keys: impl IntoIterator<Item = Key>) -> Expr {
        let values = keys.into_iter().map(|key| match key {
            Key::Int64(key) => Value::Int(key),
            Key::VarChar(key) => Value::Text(key.into()),
        });
        let set = ValueSet::new(values);
        if set.is_empty() { Expr::Const(false) } else { Expr::In { path: pk, set } }
    }
}
