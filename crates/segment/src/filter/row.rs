//! Leaves evaluated row by row.

use cinclus_expr::{CompareOp, LikePattern, Quantifier, ValueSet};
use cinclus_types::Value;

use super::bound::Bound;
use super::cell::Cell;

/// Compares two values of a row.
pub(super) fn compare(left: &Bound<'_>, op: CompareOp, right: &Bound<'_>, row: usize) -> Option<bool> {
    left.cell(row).compare(op, &right.cell(row))
}

/// Looks a value of a row up in a set.
pub(super) fn is_in(path: &Bound<'_>, set: &ValueSet, row: usize) -> Option<bool> {
    path.cell(row).is_in(set)
}

/// Fits a text of a row to a pattern.
pub(super) fn like(path: &Bound<'_>, pattern: &LikePattern, row: usize) -> Option<bool> {
    let Cell::Text(text) = path.cell(row) else { return None };
    Some(pattern.matches(&text))
}

/// Looks for members of a set in arrays.
pub(super) struct Contains<'a> {
    quantifier: Quantifier,
    set: &'a ValueSet,
    members: Vec<Value>,
}

impl<'a> Contains<'a> {
    pub(super) fn new(quantifier: Quantifier, set: &'a ValueSet) -> Contains<'a> {
        let members = match quantifier {
            Quantifier::All => set.iter().collect(),
            Quantifier::Any => Vec::new(),
        };
        Contains { quantifier, set, members }
    }

    /// The answer for the array of a row; unknown if it is none.
    pub(super) fn answer(&self, array: &Bound<'_>, row: usize) -> Option<bool> {
        match array.cell(row) {
            Cell::Items(items) => Some(self.among(|| (0..items.len()).map(|at| Cell::of_data(items, at)))),
            Cell::List(list) => Some(self.among(|| list.iter().map(Cell::of_json))),
            Cell::Unknown | Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) | Cell::Text(_) | Cell::Opaque => {
                None
            }
        }
    }

    fn among<'c, I: Iterator<Item = Cell<'c>>>(&self, items: impl Fn() -> I) -> bool {
        match self.quantifier {
            Quantifier::Any => items().any(|item| item.is_in(self.set) == Some(true)),
            Quantifier::All => self.members.iter().all(|member| {
                let member = Cell::of_constant(member);
                items().any(|item| item.equals(&member))
            }),
        }
    }
}
