//! The tree of the text alone: nothing is resolved, nothing checked.

use crate::ast::{ArithOp, CompareOp, Quantifier};

/// A part of the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Syntax {
    /// The byte that messages about it point to: the first one, or the operator's.
    pub at: usize,
    /// How many levels are below it.
    pub height: usize,
    /// What it is.
    pub kind: SyntaxKind,
}

/// What a part of the text is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SyntaxKind {
    /// A number that fits i64.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A quoted text.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A name with steps behind it.
    Path(String, Vec<Step>),
    /// `{name}`
    Template(String),
    /// `[a, b]`
    List(Vec<Syntax>),
    /// `- + ~`, `not`
    Unary(UnaryOp, Box<Syntax>),
    /// An operator with two sides.
    Binary(BinaryOp, Box<Syntax>, Box<Syntax>),
    /// `a and b and ...`
    And(Vec<Syntax>),
    /// `a or b or ...`
    Or(Vec<Syntax>),
    /// `1 < a <= 5`: the middle compared with both ends.
    Range(Box<[Syntax; 3]>, CompareOp, CompareOp),
    /// `x is null`
    IsNull(Box<Syntax>),
    /// `exists x`
    Exists(Box<Syntax>),
    /// `array_length(x)`
    Length(Box<Syntax>),
    /// `json_contains(x, v)` and the like.
    Contains(ContainsCall, Box<[Syntax; 2]>),
}

/// A step behind a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// `["key"]`
    Key(String),
    /// `[0]`
    Index(usize),
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Plus,
    Minus,
    BitNot,
    Not,
}

/// An operator between its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Arith(ArithOp),
    Compare(CompareOp),
    Like,
    In,
    NotIn,
}

/// Which of the functions that look into arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainsCall {
    /// `json_contains(x, v)`
    One,
    /// `json_contains_all(x, [v, w])`, `json_contains_any(x, [v, w])`
    Many(Quantifier),
}

impl SyntaxKind {
    /// Whether this has a value, and is not a condition.
    pub(crate) fn is_value(&self) -> bool {
        match self {
            SyntaxKind::Int(_)
            | SyntaxKind::Float(_)
            | SyntaxKind::Text(_)
            | SyntaxKind::Bool(_)
            | SyntaxKind::Path(..)
            | SyntaxKind::Template(_)
            | SyntaxKind::List(_)
            | SyntaxKind::Length(_) => true,
            SyntaxKind::Unary(op, _) => *op != UnaryOp::Not,
            SyntaxKind::Binary(op, ..) => matches!(op, BinaryOp::Arith(_)),
            SyntaxKind::And(_)
            | SyntaxKind::Or(_)
            | SyntaxKind::Range(..)
            | SyntaxKind::IsNull(_)
            | SyntaxKind::Exists(_)
            | SyntaxKind::Contains(..) => false,
        }
    }
}

impl Syntax {
    /// A part with the height that its own parts give it.
    pub(crate) fn new(at: usize, kind: SyntaxKind) -> Syntax {
        let tallest = |parts: &[Syntax]| parts.iter().map(|part| part.height + 1).max().unwrap_or(0);
        let height = match &kind {
            SyntaxKind::Int(_)
            | SyntaxKind::Float(_)
            | SyntaxKind::Text(_)
            | SyntaxKind::Bool(_)
            | SyntaxKind::Path(..)
            | SyntaxKind::Template(_) => 0,
            SyntaxKind::List(parts) | SyntaxKind::And(parts) | SyntaxKind::Or(parts) => tallest(parts),
            SyntaxKind::Unary(_, inner)
            | SyntaxKind::IsNull(inner)
            | SyntaxKind::Exists(inner)
            | SyntaxKind::Length(inner) => inner.height + 1,
            SyntaxKind::Binary(_, left, right) => left.height.max(right.height) + 1,
            SyntaxKind::Range(parts, ..) => tallest(parts.as_slice()),
            SyntaxKind::Contains(_, parts) => tallest(parts.as_slice()),
        };
        Syntax { at, height, kind }
    }
}
