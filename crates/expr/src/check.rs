//! A text's tree against a schema: names become fields, templates values, constants typed.

use std::collections::BTreeMap;

use cinclus_types::{CollectionSchema, DataType, Value};

use crate::ast::{ArithOp, CompareOp, Expr, Quantifier, Term};
use crate::cast::{describe, describe_path, describe_value, fit, template_value, type_of, wanted};
use crate::error::{ExprError, Problem};
use crate::fold;
use crate::like::LikePattern;
use crate::limits::TREE_DEPTH_MAX;
use crate::parser::parse_text;
use crate::path::{FieldPath, PathStep};
use crate::syntax::{BinaryOp, ContainsCall, Step, Syntax, SyntaxKind, UnaryOp};
use crate::value_set::ValueSet;

/// Reads a filter of rows of a collection. `templates` gives the values of `{name}`; more than are used
/// are fine.
///
/// # Errors
/// Names the place in the text and what was expected there. A text of nothing but white space is an
/// error as well: what no filter means is the caller's business.
pub fn parse(
    text: &str,
    schema: &CollectionSchema,
    templates: &BTreeMap<String, Value>,
) -> Result<Expr, ExprError> {
    let syntax = parse_text(text)?;
    let checker = Checker { text, schema, templates };
    let expr = checker.condition(&syntax)?;
    if expr_height(&expr) > TREE_DEPTH_MAX {
        return Err(ExprError::new(text, syntax.at, Problem::TooDeep(TREE_DEPTH_MAX)));
    }
    Ok(expr)
}

struct Checker<'a> {
    text: &'a str,
    schema: &'a CollectionSchema,
    templates: &'a BTreeMap<String, Value>,
}

/// What a part of the text stands for.
enum Checked {
    Condition(Expr),
    Value(Term),
}

impl Checker<'_> {
    fn error(&self, at: usize, problem: Problem) -> ExprError {
        ExprError::new(self.text, at, problem)
    }

    fn type_error(&self, at: usize, what: impl Into<String>) -> ExprError {
        self.error(at, Problem::Type(what.into()))
    }

    fn condition(&self, syntax: &Syntax) -> Result<Expr, ExprError> {
        match self.checked(syntax)? {
            Checked::Condition(expr) => Ok(expr),
            Checked::Value(Term::Const(Value::Bool(value))) => Ok(Expr::Const(value)),
            Checked::Value(Term::Path(path)) if path.value_type() == DataType::Bool => {
                let what =
                    format!("expected a condition, found {}: write `{path} == true`", describe_path(&path));
                Err(self.type_error(syntax.at, what))
            }
            Checked::Value(term) => {
                Err(self.type_error(syntax.at, format!("expected a condition, found {}", describe(&term))))
            }
        }
    }

    fn term(&self, syntax: &Syntax) -> Result<Term, ExprError> {
        match self.checked(syntax)? {
            Checked::Value(Term::Path(path)) if path.value_type().is_vector() => {
                let what = format!("{} cannot be used in a filter", describe_path(&path));
                Err(self.type_error(syntax.at, what))
            }
            Checked::Value(term) => Ok(term),
            Checked::Condition(Expr::Const(value)) => Ok(Term::Const(Value::Bool(value))),
            Checked::Condition(_) => Err(self.type_error(syntax.at, "expected a value, found a condition")),
        }
    }

    fn constant(&self, syntax: &Syntax, expected: &str) -> Result<Value, ExprError> {
        match self.term(syntax)? {
            Term::Const(value) => Ok(value),
            term @ (Term::Path(_) | Term::Length(_) | Term::Arith { .. }) => {
                Err(self.type_error(syntax.at, format!("expected {expected}, found {}", describe(&term))))
            }
        }
    }

    fn checked(&self, syntax: &Syntax) -> Result<Checked, ExprError> {
        let at = syntax.at;
        let value = |value| Ok(Checked::Value(Term::Const(value)));
        match &syntax.kind {
            SyntaxKind::Int(number) => value(Value::Int(*number)),
            SyntaxKind::Float(number) => value(Value::Float(*number)),
            SyntaxKind::Text(text) => value(Value::Text(text.clone())),
            SyntaxKind::Bool(truth) => value(Value::Bool(*truth)),
            SyntaxKind::Path(name, steps) => Ok(Checked::Value(Term::Path(self.path(at, name, steps)?))),
            SyntaxKind::Template(name) => value(self.template(at, name)?),
            SyntaxKind::List(items) => {
                let items = items.iter().map(|item| self.constant(item, "a constant"));
                value(Value::Array(items.collect::<Result<_, _>>()?))
            }
            SyntaxKind::Unary(UnaryOp::Not, inner) => self.negation(inner).map(Checked::Condition),
            SyntaxKind::Unary(op, inner) => self.unary(*op, inner).map(Checked::Value),
            SyntaxKind::Binary(BinaryOp::Arith(op), left, right) => {
                self.arith(at, *op, self.term(left)?, self.term(right)?).map(Checked::Value)
            }
            SyntaxKind::Binary(BinaryOp::Compare(op), left, right) => {
                self.compare(at, *op, left, right).map(Checked::Condition)
            }
            SyntaxKind::Binary(BinaryOp::Like, left, right) => self.like(left, right).map(Checked::Condition),
            SyntaxKind::Binary(BinaryOp::In, left, right) => self.is_in(left, right).map(Checked::Condition),
            SyntaxKind::Binary(BinaryOp::NotIn, left, right) => {
                self.is_in(left, right).map(|expr| Checked::Condition(fold::not(expr)))
            }
            SyntaxKind::And(parts) => Ok(Checked::Condition(fold::and(self.conditions(parts)?))),
            SyntaxKind::Or(parts) => Ok(Checked::Condition(fold::or(self.conditions(parts)?))),
            SyntaxKind::Range(parts, low, high) => self.range(parts, *low, *high).map(Checked::Condition),
            SyntaxKind::IsNull(inner) => match self.checked(inner)? {
                Checked::Value(Term::Path(path)) => Ok(Checked::Condition(Expr::IsNull(path))),
                Checked::Value(_) | Checked::Condition(_) => {
                    Err(self.type_error(inner.at, "expected a field before `is null`"))
                }
            },
            SyntaxKind::Exists(inner) => self.exists(inner).map(Checked::Condition),
            SyntaxKind::Length(inner) => Ok(Checked::Value(Term::Length(self.array(inner)?))),
            SyntaxKind::Contains(call, parts) => {
                self.contains(*call, &parts[0], &parts[1]).map(Checked::Condition)
            }
        }
    }

    fn conditions(&self, parts: &[Syntax]) -> Result<Vec<Expr>, ExprError> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn path(&self, at: usize, name: &str, steps: &[Step]) -> Result<FieldPath, ExprError> {
        let steps = steps.iter().map(|step| match step {
            Step::Key(key) => PathStep::Key(key.clone()),
            Step::Index(index) => PathStep::Index(*index),
        });
        let Some(field) = self.schema.field(name) else {
            let unknown = || self.error(at, Problem::UnknownField(name.to_owned()));
            let meta = self.schema.dynamic_field().filter(|_| self.schema.dynamic).ok_or_else(unknown)?;
            return Ok(FieldPath {
                field: meta.id,
                name: meta.name.clone(),
                data_type: meta.data_type,
                element_type: None,
                steps: std::iter::once(PathStep::Key(name.to_owned())).chain(steps).collect(),
            });
        };
        let path = FieldPath {
            field: field.id,
            name: field.name.clone(),
            data_type: field.data_type,
            element_type: field.element_type,
            steps: steps.collect(),
        };
        let fits = match (path.data_type, path.steps.as_slice()) {
            (_, []) | (DataType::Json, _) | (DataType::Array, [PathStep::Index(_)]) => true,
            (_, [_, ..]) => false,
        };
        if fits {
            return Ok(path);
        }
        let what = match path.data_type {
            DataType::Array => format!("field {name} is an Array: expected one index such as {name}[0]"),
            data_type => format!("field {name} is {data_type:?}: nothing is inside it"),
        };
        Err(self.type_error(at, what))
    }

    fn template(&self, at: usize, name: &str) -> Result<Value, ExprError> {
        let problem =
            |what: &str| self.error(at, Problem::Template { name: name.to_owned(), what: what.to_owned() });
        let value = self.templates.get(name).ok_or_else(|| problem("has no value"))?;
        template_value(value).map_err(problem)
    }

    fn negation(&self, inner: &Syntax) -> Result<Expr, ExprError> {
        match self.checked(inner)? {
            Checked::Condition(expr) => Ok(fold::not(expr)),
            Checked::Value(Term::Const(Value::Bool(value))) => Ok(Expr::Const(!value)),
            Checked::Value(term) => {
                let what = format!(
                    "`not` needs a condition, found {}; it binds tighter than comparisons: write `not (...)`",
                    describe(&term)
                );
                Err(self.type_error(inner.at, what))
            }
        }
    }

    fn unary(&self, op: UnaryOp, inner: &Syntax) -> Result<Term, ExprError> {
        let term = self.term(inner)?;
        let result = match (op, term) {
            (UnaryOp::Minus, Term::Const(Value::Float(value))) => Ok(Term::Const(Value::Float(-value))),
            (UnaryOp::BitNot, term) => {
                self.arith(inner.at, ArithOp::BitXor, term, Term::Const(Value::Int(-1)))
            }
            (UnaryOp::Plus, term) => {
                // Adding nothing checks that it is a number.
                self.arith(inner.at, ArithOp::Add, term.clone(), Term::Const(Value::Int(0)))?;
                Ok(term)
            }
            (UnaryOp::Minus | UnaryOp::Not, term) => {
                self.arith(inner.at, ArithOp::Sub, Term::Const(Value::Int(0)), term)
            }
        };
        result
    }

    fn arith(&self, at: usize, op: ArithOp, left: Term, right: Term) -> Result<Term, ExprError> {
        let wrong = |what: String| self.type_error(at, what);
        if let (Term::Const(left), Term::Const(right)) = (&left, &right) {
            return fold::arith(op, left, right).map(Term::Const).map_err(wrong);
        }
        for term in [&left, &right] {
            let data_type = type_of(term);
            let json = data_type == DataType::Json;
            if !(data_type.is_integer() || data_type.is_float() || json) {
                return Err(wrong(format!("`{}` needs numbers, found {}", op.symbol(), describe(term))));
            }
            if op.integers_only() && !(data_type.is_integer() || json) {
                return Err(wrong(format!("`{}` needs integers, found {}", op.symbol(), describe(term))));
            }
        }
        match &right {
            Term::Const(right) => fold::check_right(op, right).map_err(wrong)?,
            Term::Path(_) | Term::Length(_) | Term::Arith { .. } if op == ArithOp::Pow => {
                return Err(wrong(format!(
                    "the right side of `**` must be a constant, found {}",
                    describe(&right)
                )));
            }
            Term::Path(_) | Term::Length(_) | Term::Arith { .. } => {}
        }
        Ok(Term::Arith { op, left: Box::new(left), right: Box::new(right) })
    }

    fn compare(&self, at: usize, op: CompareOp, left: &Syntax, right: &Syntax) -> Result<Expr, ExprError> {
        match (self.term(left)?, self.term(right)?) {
            (Term::Const(left), Term::Const(right)) => match fold::compare(op, &left, &right) {
                Some(truth) => Ok(Expr::Const(truth)),
                None => {
                    let (left, right) = (describe_value(&left), describe_value(&right));
                    Err(self.type_error(at, format!("{left} and {right} cannot be compared")))
                }
            },
            (left, Term::Const(value)) => self.compare_constant(right.at, op, left, value),
            (Term::Const(value), right) => self.compare_constant(left.at, op.flipped(), right, value),
            (left, right) => self.compare_terms(at, op, left, right),
        }
    }

    fn compare_constant(
        &self,
        at: usize,
        op: CompareOp,
        left: Term,
        value: Value,
    ) -> Result<Expr, ExprError> {
        let is_list = matches!(value, Value::Array(_));
        if is_list && !op.is_equality() {
            return Err(self.type_error(
                at,
                format!("a list can be compared with `==` and `!=`, not `{}`", op.symbol()),
            ));
        }
        let value = match (&left, value) {
            (Term::Path(path), Value::Array(items)) if path.value_type() == DataType::Array => {
                Value::Array(self.fit_items(at, path, items)?)
            }
            (Term::Arith { .. }, value) if type_of(&left) == DataType::Json => {
                self.fit(at, &left, DataType::Double, value.clone()).map(|_| value)?
            }
            (_, value) => self.fit(at, &left, type_of(&left), value)?,
        };
        Ok(Expr::Compare { left, op, right: Term::Const(value) })
    }

    fn compare_terms(&self, at: usize, op: CompareOp, left: Term, right: Term) -> Result<Expr, ExprError> {
        let (left_type, right_type) = (type_of(&left), type_of(&right));
        let number = |data_type: DataType| data_type.is_integer() || data_type.is_float();
        let scalar = |data_type: DataType| data_type != DataType::Array;
        let json = left_type == DataType::Json || right_type == DataType::Json;
        let fits = (number(left_type) && number(right_type))
            || (left_type == right_type && scalar(left_type))
            || (json && scalar(left_type) && scalar(right_type));
        if fits {
            return Ok(Expr::Compare { left, op, right });
        }
        let what = format!("{} and {} cannot be compared", describe(&left), describe(&right));
        Err(self.type_error(at, what))
    }

    fn range(&self, parts: &[Syntax; 3], low: CompareOp, high: CompareOp) -> Result<Expr, ExprError> {
        let [first, middle, last] = parts;
        let Term::Path(path) = self.term(middle)? else {
            return Err(self.type_error(middle.at, "expected a field in the middle of a range"));
        };
        let first_value = self.constant(first, "a constant at the end of a range")?;
        let last_value = self.constant(last, "a constant at the end of a range")?;
        let left = self.compare_constant(first.at, low.flipped(), Term::Path(path.clone()), first_value)?;
        let right = self.compare_constant(last.at, high, Term::Path(path), last_value)?;
        Ok(fold::and(vec![left, right]))
    }

    fn like(&self, left: &Syntax, right: &Syntax) -> Result<Expr, ExprError> {
        let term = self.term(left)?;
        let path = match term {
            Term::Path(path) if matches!(path.value_type(), DataType::VarChar | DataType::Json) => path,
            term @ (Term::Path(_) | Term::Const(_) | Term::Length(_) | Term::Arith { .. }) => {
                let what = format!("`like` needs a VarChar or JSON field, found {}", describe(&term));
                return Err(self.type_error(left.at, what));
            }
        };
        let value = self.constant(right, "a pattern in quotes")?;
        let Value::Text(pattern) = value else {
            let what = format!("expected a pattern in quotes, found {}", describe_value(&value));
            return Err(self.type_error(right.at, what));
        };
        Ok(match LikePattern::new(&pattern) {
            LikePattern::Exact(text) => Expr::Compare {
                left: Term::Path(path),
                op: CompareOp::Eq,
                right: Term::Const(Value::Text(text)),
            },
            pattern @ (LikePattern::Prefix(_)
            | LikePattern::Suffix(_)
            | LikePattern::Contains(_)
            | LikePattern::General(_)) => Expr::Like { path, pattern },
        })
    }

    fn is_in(&self, left: &Syntax, right: &Syntax) -> Result<Expr, ExprError> {
        let path = match self.term(left)? {
            Term::Path(path) if path.value_type() != DataType::Array => path,
            term @ (Term::Path(_) | Term::Const(_) | Term::Length(_) | Term::Arith { .. }) => {
                let what = format!("`in` needs a single field, found {}", describe(&term));
                return Err(self.type_error(left.at, what));
            }
        };
        let items = self.list(right)?;
        let set = ValueSet::new(self.fit_items(right.at, &path, items)?);
        Ok(if set.is_empty() { Expr::Const(false) } else { Expr::In { path, set } })
    }

    fn list(&self, syntax: &Syntax) -> Result<Vec<Value>, ExprError> {
        match self.constant(syntax, "a list such as [1, 2]")? {
            Value::Array(items) => Ok(items),
            value @ (Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Json(_)
            | Value::FloatVector(_)) => {
                let what = format!("expected a list such as [1, 2], found {}", describe_value(&value));
                Err(self.type_error(syntax.at, what))
            }
        }
    }

    fn contains(&self, call: ContainsCall, array: &Syntax, values: &Syntax) -> Result<Expr, ExprError> {
        let path = self.array(array)?;
        let (quantifier, items) = match call {
            ContainsCall::One => (Quantifier::Any, vec![self.constant(values, "a constant")?]),
            ContainsCall::Many(quantifier) => (quantifier, self.list(values)?),
        };
        let set = ValueSet::new(self.fit_items(values.at, &path, items)?);
        if set.is_empty() && quantifier == Quantifier::Any {
            return Ok(Expr::Const(false));
        }
        Ok(Expr::Contains { path, quantifier, set })
    }

    /// A field that is an array, or JSON that may be one.
    fn array(&self, syntax: &Syntax) -> Result<FieldPath, ExprError> {
        match self.term(syntax)? {
            Term::Path(path) if matches!(path.value_type(), DataType::Array | DataType::Json) => Ok(path),
            term @ (Term::Path(_) | Term::Const(_) | Term::Length(_) | Term::Arith { .. }) => {
                let what = format!("expected an Array or JSON field, found {}", describe(&term));
                Err(self.type_error(syntax.at, what))
            }
        }
    }

    fn exists(&self, syntax: &Syntax) -> Result<Expr, ExprError> {
        match self.term(syntax)? {
            Term::Path(path) if path.value_type() == DataType::Json => Ok(Expr::Exists(path)),
            term @ (Term::Path(_) | Term::Const(_) | Term::Length(_) | Term::Arith { .. }) => {
                let what = format!("`exists` needs a JSON field or a key in it, found {}", describe(&term));
                Err(self.type_error(syntax.at, what))
            }
        }
    }

    /// A constant as what it is compared with.
    fn fit(&self, at: usize, with: &Term, data_type: DataType, value: Value) -> Result<Value, ExprError> {
        let found = describe_value(&value);
        fit(value, data_type).ok_or_else(|| {
            let what =
                format!("{} is compared: expected {}, found {found}", describe(with), wanted(data_type));
            self.type_error(at, what)
        })
    }

    /// Constants as values of a path, or as items of it if it is an array.
    fn fit_items(&self, at: usize, path: &FieldPath, items: Vec<Value>) -> Result<Vec<Value>, ExprError> {
        let data_type = match path.value_type() {
            DataType::Array => path.element_type.unwrap_or(DataType::Json),
            data_type => data_type,
        };
        let with = Term::Path(path.clone());
        items.into_iter().map(|item| self.fit(at, &with, data_type, item)).collect()
    }
}

/// How many levels a tree has.
fn expr_height(expr: &Expr) -> usize {
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
