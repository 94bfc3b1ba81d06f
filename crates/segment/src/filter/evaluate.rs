//! A tree to a mask.

use std::ops::Range;

use cinclus_expr::{CompareOp, Expr, FieldPath, Term};

use super::bound::Bound;
use super::columns::ColumnSource;
use super::mask::{Mask, ones, set_bits};
use super::{leaf, row};

/// The answer of a filter for each of a range of rows. A field without a column is null in all rows; a
/// column of another type than the filter was checked with makes its leaf unknown.
///
/// # Panics
/// If a column ends before the range does.
#[must_use]
pub fn evaluate(expr: &Expr, columns: &dyn ColumnSource, rows: Range<usize>) -> Mask {
    let open = ones(rows.len());
    Evaluation { columns, rows }.mask(expr, &open)
}

/// The columns and rows of one evaluation.
struct Evaluation<'a> {
    columns: &'a dyn ColumnSource,
    rows: Range<usize>,
}

impl Evaluation<'_> {
    /// The answers; those of rows that are not `open` do not matter, and may be anything.
    fn mask(&self, expr: &Expr, open: &[u64]) -> Mask {
        match expr {
            Expr::Const(answer) => Mask::all(self.rows.len(), *answer),
            Expr::And(parts) => self.all(parts, open),
            Expr::Or(parts) => self.any(parts, open),
            Expr::Not(inner) => self.mask(inner, open).negated(),
            Expr::Compare { left, op, right } => self.compare(left, *op, right, open),
            Expr::In { path, set } => {
                self.leaf(path, open, leaf::is_in(set), |bound, at| row::is_in(bound, set, at))
            }
            Expr::Like { path, pattern } => {
                self.leaf(path, open, leaf::like(pattern), |bound, at| row::like(bound, pattern, at))
            }
            Expr::Contains { path, quantifier, set } => {
                let contains = row::Contains::new(*quantifier, set);
                let bound = Bound::path(path, self.columns);
                self.each(open, |at| contains.answer(&bound, at))
            }
            Expr::IsNull(path) => self.is_null(path, open),
            Expr::Exists(path) => self.is_null(path, open).negated(),
        }
    }

    fn all(&self, parts: &[Expr], open: &[u64]) -> Mask {
        let mut joined = Mask::all(self.rows.len(), true);
        for part in parts {
            let open = joined.open_for_and(open);
            if open.iter().all(|word| *word == 0) {
                break;
            }
            joined.and(&self.mask(part, &open));
        }
        joined
    }

    fn any(&self, parts: &[Expr], open: &[u64]) -> Mask {
        let mut joined = Mask::all(self.rows.len(), false);
        for part in parts {
            let open = joined.open_for_or(open);
            if open.iter().all(|word| *word == 0) {
                break;
            }
            joined.or(&self.mask(part, &open));
        }
        joined
    }

    fn compare(&self, left: &Term, op: CompareOp, right: &Term, open: &[u64]) -> Mask {
        if let (Term::Path(path), Term::Const(value)) = (left, right) {
            let bits = leaf::compare(op, value);
            let right = Bound::constant(value);
            return self.leaf(path, open, bits, |bound, at| row::compare(bound, op, &right, at));
        }
        let (left, right) = (Bound::term(left, self.columns), Bound::term(right, self.columns));
        self.each(open, |at| row::compare(&left, op, &right, at))
    }

    fn is_null(&self, path: &FieldPath, open: &[u64]) -> Mask {
        let bound = Bound::path(path, self.columns);
        match &bound {
            Bound::Missing => Mask::all(self.rows.len(), true),
            Bound::Plain(column) => {
                let valid = leaf::valid(column, &self.rows);
                Mask::of_bits(self.rows.len(), valid, ones(self.rows.len())).negated()
            }
            Bound::Item(..) | Bound::Json(..) | Bound::Const(_) | Bound::Length(_) | Bound::Arith { .. } => {
                self.each(open, |at| Some(bound.is_null(at)))
            }
        }
    }

    /// A leaf about one path: by `bits` over the packed values if there are any, else row by row.
    fn leaf(
        &self,
        path: &FieldPath,
        open: &[u64],
        bits: impl Fn(&cinclus_types::ColumnData, Range<usize>) -> Option<Vec<u64>>,
        answer: impl Fn(&Bound<'_>, usize) -> Option<bool>,
    ) -> Mask {
        let bound = Bound::path(path, self.columns);
        if let Bound::Missing = bound {
            return Mask::unknown(self.rows.len());
        }
        if let Bound::Plain(column) = bound
            && let Some(bits) = bits(&column.data, self.rows.clone())
        {
            return Mask::of_bits(self.rows.len(), bits, leaf::valid(column, &self.rows));
        }
        self.each(open, |at| answer(&bound, at))
    }

    /// Asks for each open row.
    fn each(&self, open: &[u64], answer: impl Fn(usize) -> Option<bool>) -> Mask {
        let mut mask = Mask::unknown(self.rows.len());
        for row in set_bits(open) {
            if let Some(answer) = answer(self.rows.start + row) {
                mask.set(row, answer);
            }
        }
        mask
    }
}
