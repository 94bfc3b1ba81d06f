//! A text's tree against a schema: names become fields, templates values, constants typed.

use std::collections::BTreeMap;

use cinclus_types::{CollectionSchema, DataType, Value};

use crate::ast::{ArithOp, CompareOp, Expr, Term};
use crate::cast::{
    describe, describe_path, describe_value, not_a_condition, not_inside, template_value, type_name,
    type_name_of, type_of, type_of_value,
};
use crate::error::{ExprError, Problem};
use crate::fold;
use crate::height::expr_height;
use crate::like::LikePattern;
use crate::limits::TREE_DEPTH_MAX;
use crate::parser::parse_text;
use crate::path::{FieldPath, PathStep};
use crate::syntax::{BinaryOp, Step, Syntax, SyntaxKind, UnaryOp};

mod sets;

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
    let expr = checker.predicate(&syntax)?;
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

impl Checker<'_> {
    fn error(&self, at: usize, problem: Problem) -> ExprError {
        ExprError::new(self.text, at, problem)
    }

    fn type_error(&self, at: usize, what: impl Into<String>) -> ExprError {
        self.error(at, Problem::Type(what.into()))
    }

    /// The whole text.
    fn predicate(&self, syntax: &Syntax) -> Result<Expr, ExprError> {
        if !syntax.kind.is_value() {
            return self.condition(syntax);
        }
        match self.term(syntax)? {
            Term::Const(Value::Bool(value)) => Ok(Expr::Const(value)),
            term @ (Term::Path(_) | Term::Const(_) | Term::Length(_) | Term::Arith { .. }) => {
                let data_type = type_name_of(&term);
                Err(self.error(syntax.at, Problem::NotBoolean { data_type, detail: not_a_condition(&term) }))
            }
        }
    }

    fn mismatch(&self, at: usize, left: DataType, right: DataType, detail: String) -> ExprError {
        self.error(at, Problem::Mismatch { left: type_name(left), right: type_name(right), detail })
    }

    /// What is true or false. One arm for each kind, and the work elsewhere: this recurses as deep as the
    /// text nests, so its frame is kept small.
    fn condition(&self, syntax: &Syntax) -> Result<Expr, ExprError> {
        match &syntax.kind {
            SyntaxKind::And(parts) => self.all(parts),
            SyntaxKind::Or(parts) => self.any(parts),
            SyntaxKind::Unary(UnaryOp::Not, inner) => self.negation(inner),
            SyntaxKind::Binary(BinaryOp::Compare(op), left, right) => {
                self.compare(syntax.at, *op, left, right)
            }
            SyntaxKind::Binary(BinaryOp::Like, left, right) => self.like(left, right),
            SyntaxKind::Binary(BinaryOp::In, left, right) => self.is_in(left, right),
            SyntaxKind::Binary(BinaryOp::NotIn, left, right) => self.is_not_in(left, right),
            SyntaxKind::Range(parts, low, high) => self.range(parts, *low, *high),
            SyntaxKind::IsNull(inner) => self.is_null(inner),
            SyntaxKind::Exists(inner) => self.exists(inner),
            SyntaxKind::Contains(call, parts) => self.contains(*call, &parts[0], &parts[1]),
            SyntaxKind::Int(_)
            | SyntaxKind::Float(_)
            | SyntaxKind::Text(_)
            | SyntaxKind::Bool(_)
            | SyntaxKind::Path(..)
            | SyntaxKind::Template(_)
            | SyntaxKind::List(_)
            | SyntaxKind::Unary(UnaryOp::Plus | UnaryOp::Minus | UnaryOp::BitNot, _)
            | SyntaxKind::Binary(BinaryOp::Arith(_), ..)
            | SyntaxKind::Length(_) => self.value_as_condition(syntax),
        }
    }

    /// What has a value.
    fn term(&self, syntax: &Syntax) -> Result<Term, ExprError> {
        match &syntax.kind {
            SyntaxKind::Int(value) => Ok(Term::Const(Value::Int(*value))),
            SyntaxKind::Float(value) => Ok(Term::Const(Value::Float(*value))),
            SyntaxKind::Text(value) => Ok(Term::Const(Value::Text(value.clone()))),
            SyntaxKind::Bool(value) => Ok(Term::Const(Value::Bool(*value))),
            SyntaxKind::Path(name, steps) => self.value_at(syntax.at, name, steps),
            SyntaxKind::Template(name) => self.template(syntax.at, name),
            SyntaxKind::List(items) => self.constants(items),
            SyntaxKind::Unary(op @ (UnaryOp::Plus | UnaryOp::Minus | UnaryOp::BitNot), inner) => {
                self.unary(*op, inner)
            }
            SyntaxKind::Binary(BinaryOp::Arith(op), left, right) => self.binary(syntax.at, *op, left, right),
            SyntaxKind::Length(inner) => self.length(inner),
            SyntaxKind::And(_)
            | SyntaxKind::Or(_)
            | SyntaxKind::Unary(UnaryOp::Not, _)
            | SyntaxKind::Binary(
                BinaryOp::Compare(_) | BinaryOp::Like | BinaryOp::In | BinaryOp::NotIn,
                ..,
            )
            | SyntaxKind::Range(..)
            | SyntaxKind::IsNull(_)
            | SyntaxKind::Exists(_)
            | SyntaxKind::Contains(..) => self.condition_as_value(syntax),
        }
    }

    fn value_as_condition(&self, syntax: &Syntax) -> Result<Expr, ExprError> {
        let term = self.term(syntax)?;
        if let Term::Const(Value::Bool(value)) = term {
            return Ok(Expr::Const(value));
        }
        let what = "'and' can only be used between boolean expressions, and 'or' too";
        Err(self.type_error(syntax.at, format!("{what}: {}", not_a_condition(&term))))
    }

    /// A condition that is the same for all rows is a constant; no other has a value.
    fn condition_as_value(&self, syntax: &Syntax) -> Result<Term, ExprError> {
        let Expr::Const(value) = self.condition(syntax)? else {
            return Err(self.type_error(syntax.at, "expected a value, found a condition"));
        };
        Ok(Term::Const(Value::Bool(value)))
    }

    fn constant(&self, syntax: &Syntax, expected: &str) -> Result<Value, ExprError> {
        match self.term(syntax)? {
            Term::Const(value) => Ok(value),
            term @ (Term::Path(_) | Term::Length(_) | Term::Arith { .. }) => {
                Err(self.type_error(syntax.at, format!("expected {expected}, found {}", describe(&term))))
            }
        }
    }

    fn constants(&self, items: &[Syntax]) -> Result<Term, ExprError> {
        let items = items.iter().map(|item| self.constant(item, "a constant"));
        items.collect::<Result<_, _>>().map(|items| Term::Const(Value::Array(items)))
    }

    fn all(&self, parts: &[Syntax]) -> Result<Expr, ExprError> {
        parts.iter().map(|part| self.condition(part)).collect::<Result<_, _>>().map(fold::and)
    }

    fn any(&self, parts: &[Syntax]) -> Result<Expr, ExprError> {
        parts.iter().map(|part| self.condition(part)).collect::<Result<_, _>>().map(fold::or)
    }

    fn value_at(&self, at: usize, name: &str, steps: &[Step]) -> Result<Term, ExprError> {
        let path = self.path(at, name, steps)?;
        if path.value_type().is_vector() {
            let what = "comparisons with vectors are not supported";
            return Err(
                self.type_error(at, format!("{} cannot be used in a filter: {what}", describe_path(&path)))
            );
        }
        Ok(Term::Path(path))
    }

    fn is_null(&self, syntax: &Syntax) -> Result<Expr, ExprError> {
        let SyntaxKind::Path(name, steps) = &syntax.kind else {
            return Err(self.type_error(syntax.at, "expected a field before `is null`"));
        };
        let path = self.path(syntax.at, name, steps)?;
        if path.value_type().is_vector() {
            let what = "IsNull/IsNotNull operations are not supported on vector fields";
            return Err(self.type_error(syntax.at, format!("{what}: {}", describe_path(&path))));
        }
        Ok(Expr::IsNull(path))
    }

    fn length(&self, syntax: &Syntax) -> Result<Term, ExprError> {
        self.array(syntax).map(Term::Length)
    }

    fn is_not_in(&self, left: &Syntax, right: &Syntax) -> Result<Expr, ExprError> {
        self.is_in(left, right).map(fold::not)
    }

    fn binary(&self, at: usize, op: ArithOp, left: &Syntax, right: &Syntax) -> Result<Term, ExprError> {
        self.arith(at, op, self.term(left)?, self.term(right)?)
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
        if fits { Ok(path) } else { Err(self.type_error(at, not_inside(&path))) }
    }

    fn template(&self, at: usize, name: &str) -> Result<Term, ExprError> {
        let problem =
            |what: &str| self.error(at, Problem::Template { name: name.to_owned(), what: what.to_owned() });
        let missing = || Problem::NoTemplate(name.to_owned());
        let value = self.templates.get(name).ok_or_else(|| self.error(at, missing()))?;
        template_value(value).map(Term::Const).map_err(problem)
    }

    fn negation(&self, inner: &Syntax) -> Result<Expr, ExprError> {
        if !inner.kind.is_value() {
            return self.condition(inner).map(fold::not);
        }
        let term = self.term(inner)?;
        if let Term::Const(Value::Bool(value)) = term {
            return Ok(Expr::Const(!value));
        }
        let what = format!(
            "not op can only be applied on boolean expression: `not` needs a condition, found {}; it binds tighter than comparisons: write `not (...)`",
            describe(&term)
        );
        Err(self.type_error(inner.at, what))
    }

    fn unary(&self, op: UnaryOp, inner: &Syntax) -> Result<Term, ExprError> {
        let term = self.term(inner)?;
        match (op, term) {
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
        }
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
                    let what = format!(
                        "{} and {} cannot be compared",
                        describe_value(&left),
                        describe_value(&right)
                    );
                    Err(self.mismatch(at, type_of_value(&left), type_of_value(&right), what))
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
        if json && left_type == right_type {
            let what = "two column comparison with JSON type is not supported";
            let what = format!("{what}: {} and {}", describe(&left), describe(&right));
            return Err(self.type_error(at, what));
        }
        let fits = (number(left_type) && number(right_type))
            || (left_type == right_type && scalar(left_type))
            || (json && scalar(left_type) && scalar(right_type));
        if fits {
            return Ok(Expr::Compare { left, op, right });
        }
        let what = format!("{} and {} cannot be compared", describe(&left), describe(&right));
        Err(self.mismatch(at, left_type, right_type, what))
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
                let what = format!(
                    "like operation on non-string or no-json field is unsupported: `like` needs a VarChar or JSON field, found {}",
                    describe(&term)
                );
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

    fn exists(&self, syntax: &Syntax) -> Result<Expr, ExprError> {
        match self.term(syntax)? {
            Term::Path(path) if path.value_type() == DataType::Json => Ok(Expr::Exists(path)),
            term @ (Term::Path(_) | Term::Const(_) | Term::Length(_) | Term::Arith { .. }) => {
                let what = format!("`exists` needs a JSON field or a key in it, found {}", describe(&term));
                Err(self.type_error(syntax.at, what))
            }
        }
    }
}
