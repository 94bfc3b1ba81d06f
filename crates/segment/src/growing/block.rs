//! A run of rows in columns.

use std::ops::Range;
use std::sync::OnceLock;

use cinclus_env::mutated;
use cinclus_types::{Column, ColumnData, FieldId, Rows, Strings, Tick};

use super::deleted_at::DeletedAt;
use super::{KeyRef, RowTicks};
use crate::search::kernel;

/// A run of rows of one segment, with the columns they came with: a field that was added to the schema
/// later has no column here.
#[derive(Debug)]
pub(crate) struct Block {
    first: u32,
    rows: Rows,
    ticks: RowTicks,
    span: (Tick, Tick),
    deleted: DeletedAt,
    norms: Vec<(FieldId, OnceLock<Box<[f32]>>)>,
}

/// A block is closed at so many rows, …
pub(crate) const BLOCK_ROWS: usize = 1024;
/// … or so many bytes.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;

impl Block {
    /// A block of these rows, the first of which has the number `first` in its segment.
    pub(crate) fn new(first: u32, rows: Rows, ticks: RowTicks) -> Block {
        let span = ticks.span(0..rows.count);
        let norms = norm_cells(&rows);
        Block { first, rows, ticks, span, deleted: DeletedAt::none(), norms }
    }

    /// A tail without rows.
    pub(crate) fn empty(first: u32) -> Block {
        Block::new(first, Rows::default(), RowTicks::One(Tick::ZERO))
    }

    /// The number of its first row in the segment.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.count
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn column(&self, field: FieldId) -> Option<&Column> {
        self.rows.column(field)
    }

    pub(crate) fn ticks(&self) -> &RowTicks {
        &self.ticks
    }

    /// The least and the greatest tick.
    pub(crate) fn span(&self) -> (Tick, Tick) {
        self.span
    }

    pub(crate) fn key(&self, field: FieldId, row: usize) -> Option<KeyRef<'_>> {
        KeyRef::in_column(&self.column(field)?.data, row)
    }

    /// Whether every row is visible at `at`: then nobody needs to ask for single rows.
    pub(crate) fn all_visible(&self, at: Tick) -> bool {
        self.span.1 <= at && !self.deleted.any(at)
    }

    /// Whether a row is visible at `at`. Invariant Q1.
    pub(crate) fn is_visible(&self, row: usize, at: Tick) -> bool {
        self.ticks.get(row) <= at && self.deleted.get(row) > at
    }

    /// Hides a row from `tick` on. Says whether older rows of the same key are hidden by now, too, because
    /// a delete that was no later has hidden this one before.
    pub(crate) fn hide(&self, row: usize, tick: Tick) -> bool {
        // Invariant Q2: a delete hides rows with lower ticks, never with its own.
        if self.ticks.get(row) >= tick && !mutated("DeletesHideTheirOwn") {
            return false;
        }
        if self.deleted.get(row) <= tick {
            return true;
        }
        self.deleted.hide(row, self.len(), tick);
        false
    }

    /// Whether rows of these columns can be appended.
    pub(crate) fn takes(&self, rows: &Rows) -> bool {
        let alike = |(mine, theirs): (&Column, &Column)| {
            mine.field == theirs.field && same_type(&mine.data, &theirs.data)
        };
        self.len() + rows.count <= BLOCK_ROWS
            && self.rows.columns.len() == rows.columns.len()
            && self.rows.columns.iter().zip(&rows.columns).all(alike)
    }

    /// Appends rows that it [takes](Block::takes), or any rows if it is empty.
    pub(crate) fn append(&mut self, rows: Rows, ticks: &RowTicks) {
        let before = self.len();
        self.ticks.append(before, ticks, rows.count);
        let (least, greatest) = ticks.span(0..rows.count);
        if before == 0 {
            self.norms = norm_cells(&rows);
            self.rows = rows;
            self.span = (least, greatest);
        } else {
            for (mine, theirs) in self.rows.columns.iter_mut().zip(&rows.columns) {
                mine.append(theirs);
            }
            self.rows.count += rows.count;
            self.span = (self.span.0.min(least), self.span.1.max(greatest));
            self.norms.iter_mut().for_each(|(_, norms)| *norms = OnceLock::new());
        }
        self.deleted.extend(self.rows.count);
    }

    /// The same rows for a writer that goes on while a reader holds `self`.
    pub(crate) fn copied(&self) -> Block {
        Block {
            first: self.first,
            rows: self.rows.clone(),
            ticks: self.ticks.clone(),
            span: self.span,
            deleted: self.deleted.clone(),
            norms: norm_cells(&self.rows),
        }
    }

    /// The same block in the least memory.
    pub(crate) fn closed(mut self) -> Block {
        self.rows.columns.iter_mut().for_each(shrink);
        self.ticks = self.ticks.compacted();
        self
    }

    /// The Euclidean norm of each row of a vector column; computed at the first call.
    pub(crate) fn norms(&self, field: FieldId) -> Option<&[f32]> {
        let ColumnData::FloatVector { dim, data } = &self.column(field)?.data else { return None };
        let (_, norms) = self.norms.iter().find(|(of, _)| *of == field)?;
        Some(norms.get_or_init(|| kernel::norms(data, *dim)))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let norms = self.norms.iter().map(|(_, norms)| norms.get().map_or(0, |norms| norms.len() * 4));
        self.rows.heap_bytes() + self.ticks.heap_bytes() + self.deleted.heap_bytes() + norms.sum::<usize>()
    }

    /// The bytes of a range of its rows, if all rows were alike.
    pub(crate) fn bytes_of(&self, rows: &Range<usize>) -> usize {
        self.rows.heap_bytes() * rows.len() / self.len().max(1)
    }
}

fn norm_cells(rows: &Rows) -> Vec<(FieldId, OnceLock<Box<[f32]>>)> {
    let vectors = rows.columns.iter().filter(|column| matches!(column.data, ColumnData::FloatVector { .. }));
    vectors.map(|column| (column.field, OnceLock::new())).collect()
}

/// Whether two columns hold values of the same type.
pub(crate) fn same_type(a: &ColumnData, b: &ColumnData) -> bool {
    match (a, b) {
        (ColumnData::FloatVector { dim: a, .. }, ColumnData::FloatVector { dim: b, .. }) => a == b,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// Gives back the memory that vectors keep for growing.
fn shrink(column: &mut Column) {
    match &mut column.data {
        ColumnData::Bool(values) => values.shrink_to_fit(),
        ColumnData::Int8(values) => values.shrink_to_fit(),
        ColumnData::Int16(values) => values.shrink_to_fit(),
        ColumnData::Int32(values) => values.shrink_to_fit(),
        ColumnData::Int64(values) => values.shrink_to_fit(),
        ColumnData::Float(values) => shrink_if_loose(values),
        ColumnData::Double(values) => values.shrink_to_fit(),
        ColumnData::VarChar(texts) | ColumnData::Json(texts) => {
            if texts.heap_bytes() > texts.byte_len() + texts.len() * 4 {
                let mut exact = Strings::with_capacity(texts.len(), texts.byte_len());
                texts.iter().for_each(|text| exact.push(text));
                *texts = exact;
            }
        }
        ColumnData::Array(lists) => lists.shrink_to_fit(),
        ColumnData::FloatVector { data, .. } => shrink_if_loose(data),
    }
    if let Some(valid) = &mut column.valid {
        valid.shrink_to_fit();
    }
    if column.valid.as_ref().is_some_and(|valid| valid.iter().all(|valid| *valid)) {
        column.valid = None;
    }
}

/// Shrinking may copy: for the largest columns only if an eighth is gained.
fn shrink_if_loose(values: &mut Vec<f32>) {
    if values.capacity() > values.len() + values.len() / 8 {
        values.shrink_to_fit();
    }
}
