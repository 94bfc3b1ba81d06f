//! Terms with their columns found.

use cinclus_expr::{ArithOp, FieldPath, PathStep, Term};
use cinclus_types::{Column, ColumnData, Strings, Value};

use super::cell::Cell;
use super::columns::ColumnSource;
use super::json;

/// A term that knows where its values are.
pub(super) enum Bound<'a> {
    /// A field without a column: null in all rows.
    Missing,
    /// A value of a column as it is.
    Plain(&'a Column),
    /// An item of an array.
    Item(&'a Column, &'a [ColumnData], usize),
    /// A place in JSON.
    Json(&'a Column, &'a Strings, &'a [PathStep]),
    /// The same for all rows.
    Const(Cell<'a>),
    /// How many items.
    Length(Box<Bound<'a>>),
    /// Two numbers made one.
    Arith { op: ArithOp, left: Box<Bound<'a>>, right: Box<Bound<'a>> },
}

impl<'a> Bound<'a> {
    pub(super) fn path(path: &'a FieldPath, columns: &'a dyn ColumnSource) -> Bound<'a> {
        let Some(column) = columns.column(path.field) else { return Bound::Missing };
        match (&column.data, path.steps.as_slice()) {
            (ColumnData::Json(texts), steps) => Bound::Json(column, texts, steps),
            (_, []) => Bound::Plain(column),
            (ColumnData::Array(lists), [PathStep::Index(index)]) => Bound::Item(column, lists, *index),
            // Not what the filter was checked with.
            (_, [_, ..]) => Bound::Missing,
        }
    }

    pub(super) fn constant(value: &'a Value) -> Bound<'a> {
        Bound::Const(Cell::of_constant(value))
    }

    pub(super) fn term(term: &'a Term, columns: &'a dyn ColumnSource) -> Bound<'a> {
        match term {
            Term::Path(path) => Bound::path(path, columns),
            Term::Const(value) => Bound::constant(value),
            Term::Length(path) => Bound::Length(Box::new(Bound::path(path, columns))),
            Term::Arith { op, left, right } => Bound::Arith {
                op: *op,
                left: Box::new(Bound::term(left, columns)),
                right: Box::new(Bound::term(right, columns)),
            },
        }
    }

    /// The value of a row.
    pub(super) fn cell(&self, row: usize) -> Cell<'a> {
        match self {
            Bound::Missing => Cell::Unknown,
            Bound::Plain(column) if column.is_valid(row) => Cell::of_data(&column.data, row),
            Bound::Item(column, lists, index) if column.is_valid(row) && *index < lists[row].len() => {
                Cell::of_data(&lists[row], *index)
            }
            Bound::Json(column, texts, steps) if column.is_valid(row) => {
                json::at(texts.get(row), steps).map_or(Cell::Unknown, Cell::of_owned_json)
            }
            Bound::Plain(_) | Bound::Item(..) | Bound::Json(..) => Cell::Unknown,
            Bound::Const(cell) => cell.clone(),
            Bound::Length(array) => array.cell(row).length(),
            Bound::Arith { op, left, right } => left.cell(row).arith(*op, &right.cell(row)),
        }
    }

    /// Whether a row has no value there.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.cell(row) == Cell::Unknown
    }
}
