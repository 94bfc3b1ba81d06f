//! A checked tree as text that gives the same tree again.

use std::fmt::{Display, Formatter, Result, Write};

use cinclus_types::Value;

use crate::ast::{ArithOp, CompareOp, Expr, Quantifier, Term};
use crate::path::{FieldPath, PathStep};
use crate::value_set::ValueSet;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expr::Const(value) => write!(f, "{value}"),
            Expr::And(parts) => joined(f, parts, " and "),
            Expr::Or(parts) => joined(f, parts, " or "),
            Expr::Not(inner) => match inner.as_ref() {
                Expr::IsNull(path) => write!(f, "{path} is not null"),
                Expr::In { path, set } => write!(f, "{path} not in {set}"),
                Expr::Const(_)
                | Expr::And(_)
                | Expr::Or(_)
                | Expr::Not(_)
                | Expr::Compare { .. }
                | Expr::Like { .. }
                | Expr::Contains { .. }
                | Expr::Exists(_) => write!(f, "not ({inner})"),
            },
            Expr::Compare { left, op, right } => write!(f, "{left} {} {right}", op.symbol()),
            Expr::In { path, set } => write!(f, "{path} in {set}"),
            Expr::Like { path, pattern } => write!(f, "{path} like {}", Quoted(&pattern.to_string())),
            Expr::Contains { path, quantifier, set } => {
                let quantifier = match quantifier {
                    Quantifier::All => "all",
                    Quantifier::Any => "any",
                };
                write!(f, "json_contains_{quantifier}({path}, {set})")
            }
            Expr::IsNull(path) => write!(f, "{path} is null"),
            Expr::Exists(path) => write!(f, "exists {path}"),
        }
    }
}

fn joined(f: &mut Formatter<'_>, parts: &[Expr], word: &str) -> Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        if matches!(part, Expr::And(_) | Expr::Or(_)) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Term::Path(path) => path.fmt(f),
            Term::Const(value) => constant(f, value),
            Term::Length(path) => write!(f, "array_length({path})"),
            Term::Arith { op, left, right } => {
                f.write_char('(')?;
                operand(f, left)?;
                write!(f, " {} ", op.symbol())?;
                operand(f, right)?;
                f.write_char(')')
            }
        }
    }
}

/// A minus binds weaker than `**`: signed constants stand in parentheses.
fn operand(f: &mut Formatter<'_>, term: &Term) -> Result {
    if matches!(term, Term::Const(_)) { write!(f, "({term})") } else { term.fmt(f) }
}

impl Display for FieldPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&self.name)?;
        self.steps.iter().try_for_each(|step| match step {
            PathStep::Key(key) => write!(f, "[{}]", Quoted(key)),
            PathStep::Index(index) => write!(f, "[{index}]"),
        })
    }
}

impl Display for ValueSet {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        list(f, self.iter(), |f, value| constant(f, &value))
    }
}

fn constant(f: &mut Formatter<'_>, value: &Value) -> Result {
    match value {
        Value::Null => f.write_str("null"),
        Value::Bool(value) => value.fmt(f),
        Value::Int(value) => value.fmt(f),
        Value::Float(value) => write!(f, "{value:?}"),
        Value::Text(text) => Quoted(text).fmt(f),
        Value::Array(items) => list(f, items, constant),
        Value::Json(json) => constant_json(f, json),
        Value::FloatVector(items) => list(f, items, |f, item| write!(f, "{item:?}")),
    }
}

fn constant_json(f: &mut Formatter<'_>, json: &serde_json::Value) -> Result {
    match json {
        serde_json::Value::String(text) => Quoted(text).fmt(f),
        serde_json::Value::Array(items) => list(f, items, constant_json),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => number.fmt(f),
            None => write!(f, "{:?}", number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Object(_) => json.fmt(f),
    }
}

fn list<T>(
    f: &mut Formatter<'_>,
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(&mut Formatter<'_>, T) -> Result,
) -> Result {
    f.write_char('[')?;
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write_item(f, item)?;
    }
    f.write_char(']')
}

/// A text in quotes.
struct Quoted<'t>(&'t str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                letter if letter.is_control() => write!(f, "\\u{:04x}", u32::from(letter))?,
                letter => f.write_char(letter)?,
            }
        }
        f.write_char('"')
    }
}

impl CompareOp {
    /// How it is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        }
    }
}

impl ArithOp {
    /// How it is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            ArithOp::Add => "+",
            ArithOp::Sub => "-",
            ArithOp::Mul => "*",
            ArithOp::Div => "/",
            ArithOp::Mod => "%",
            ArithOp::Pow => "**",
            ArithOp::Shl => "<<",
            ArithOp::Shr => ">>",
            ArithOp::BitAnd => "&",
            ArithOp::BitXor => "^",
            ArithOp::BitOr => "|",
        }
    }
}
