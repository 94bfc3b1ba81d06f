//! Lists of constants: what a value is one of, what an array contains.

use cinclus_types::{DataType, Value};

use super::Checker;
use crate::ast::{Expr, Quantifier, Term};
use crate::cast::{
    describe, describe_path, describe_value, fit, fits, quoted, type_name, type_of_value, wanted,
};
use crate::error::{ExprError, Problem};
use crate::path::FieldPath;
use crate::syntax::{ContainsCall, Syntax, SyntaxKind};
use crate::value_set::ValueSet;

impl Checker<'_> {
    pub(super) fn is_in(&self, left: &Syntax, right: &Syntax) -> Result<Expr, ExprError> {
        let what = "the right-hand side of 'in' must be a list: ";
        self.refuse_vector(left, right, what)?;
        let path = match self.term(left)? {
            Term::Path(path) if path.value_type() != DataType::Array => path,
            term @ (Term::Path(_) | Term::Const(_) | Term::Length(_) | Term::Arith { .. }) => {
                let what = format!("`in` needs a single field, found {}", describe(&term));
                return Err(self.type_error(left.at, what));
            }
        };
        let items = self.list(right, what)?;
        let value_type = path.value_type();
        if let Some(item) = items.iter().find(|item| !fits(item, value_type)) {
            return Err(self.error(right.at, not_of_list(&path, item)));
        }
        let set = ValueSet::new(self.fit_items(right.at, &path, items)?);
        Ok(if set.is_empty() { Expr::Const(false) } else { Expr::In { path, set } })
    }

    /// No value of a list is a vector; Milvus says so of the first.
    fn refuse_vector(&self, left: &Syntax, right: &Syntax, what: &str) -> Result<(), ExprError> {
        let SyntaxKind::Path(name, steps) = &left.kind else { return Ok(()) };
        let path = self.path(left.at, name, steps)?;
        if !path.value_type().is_vector() {
            return Ok(());
        }
        match self.list(right, what)?.first() {
            Some(item) => Err(self.error(right.at, not_of_list(&path, item))),
            None => Ok(()),
        }
    }

    /// The constants of a list; an error begins with `what`.
    fn list(&self, syntax: &Syntax, what: &str) -> Result<Vec<Value>, ExprError> {
        match self.constant(syntax, "a list such as [1, 2]")? {
            Value::Array(items) => Ok(items),
            value @ (Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Json(_)
            | Value::FloatVector(_)) => {
                let mut what =
                    format!("{what}expected a list such as [1, 2], found {}", describe_value(&value));
                if let SyntaxKind::Template(name) = &syntax.kind {
                    what = format!(
                        "the value of term expression template variable {{{name}}} is not array: {what}"
                    );
                }
                Err(self.type_error(syntax.at, what))
            }
        }
    }

    pub(super) fn contains(
        &self,
        call: ContainsCall,
        array: &Syntax,
        values: &Syntax,
    ) -> Result<Expr, ExprError> {
        let path = self.array(array)?;
        let (quantifier, items) = match call {
            ContainsCall::One => (Quantifier::Any, vec![self.constant(values, "a constant")?]),
            ContainsCall::Many(quantifier @ Quantifier::All) => {
                (quantifier, self.list(values, "ContainsAll operation element must be an array: ")?)
            }
            ContainsCall::Many(quantifier @ Quantifier::Any) => {
                (quantifier, self.list(values, "ContainsAny operation element must be an array: ")?)
            }
        };
        let set = ValueSet::new(self.fit_items(values.at, &path, items)?);
        if set.is_empty() && quantifier == Quantifier::Any {
            return Ok(Expr::Const(false));
        }
        Ok(Expr::Contains { path, quantifier, set })
    }

    /// A field that is an array, or JSON that may be one.
    pub(super) fn array(&self, syntax: &Syntax) -> Result<FieldPath, ExprError> {
        match self.term(syntax)? {
            Term::Path(path) if matches!(path.value_type(), DataType::Array | DataType::Json) => Ok(path),
            term @ (Term::Path(_) | Term::Const(_) | Term::Length(_) | Term::Arith { .. }) => {
                let what = format!("expected an Array or JSON field, found {}", describe(&term));
                Err(self.type_error(syntax.at, what))
            }
        }
    }

    /// A constant as what it is compared with.
    pub(super) fn fit(
        &self,
        at: usize,
        with: &Term,
        data_type: DataType,
        value: Value,
    ) -> Result<Value, ExprError> {
        let (found, right) = (describe_value(&value), type_of_value(&value));
        fit(value, data_type).ok_or_else(|| {
            let what =
                format!("{} is compared: expected {}, found {found}", describe(with), wanted(data_type));
            self.mismatch(at, data_type, right, what)
        })
    }

    /// Constants as values of a path, or as items of it if it is an array.
    pub(super) fn fit_items(
        &self,
        at: usize,
        path: &FieldPath,
        items: Vec<Value>,
    ) -> Result<Vec<Value>, ExprError> {
        let value_type = path.value_type();
        let element_type = path.element_type.filter(|_| value_type == DataType::Array);
        let data_type = element_type.unwrap_or(value_type);
        let with = Term::Path(path.clone());
        items.into_iter().map(|item| self.fit(at, &with, data_type, item)).collect()
    }
}

/// What is said of a value in a list that is not of the field's type.
fn not_of_list(path: &FieldPath, item: &Value) -> Problem {
    let data_type = path.value_type();
    let (field, found) = (describe_path(path), describe_value(item));
    Problem::NotOfList {
        value: quoted(item),
        data_type: type_name(data_type),
        detail: format!("{field} is compared: expected {}, found {found}", wanted(data_type)),
    }
}
