//! One segment in memory.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use cinclus_types::{
    CollectionId, CollectionSchema, Column, ColumnData, DataType, FieldId, Key, Keys, PartitionId, Rows,
    SegmentId, Tick,
};
use parking_lot::{Mutex, RwLock};

use super::fill::filled_rows;
use super::key_index::KeyIndex;
use super::view::{Arrival, View};
use super::{Block, KeyRef, RowRun, RowTicks};
use crate::SegmentError;

/// Rows of one partition in one VChannel, with their deletes.
///
/// The same type serves growing segments and sealed ones, which take no more inserts. Calls that change it
/// take turns; readers never wait for them, apart from the moment in which a small insert is copied.
#[derive(Debug)]
pub struct Segment {
    id: SegmentId,
    collection: CollectionId,
    partition: PartitionId,
    key_field: FieldId,
    key_type: DataType,
    /// Held while the segment is changed. Taken before `state`, `state` before the locks of `index`.
    writer: Mutex<()>,
    state: RwLock<State>,
    index: KeyIndex,
    /// The least and the greatest Int64 key.
    key_span: (AtomicI64, AtomicI64),
    persisted: AtomicU32,
}

#[derive(Debug)]
struct State {
    schema: Arc<CollectionSchema>,
    view: View,
}

impl Segment {
    /// A segment without rows.
    ///
    /// # Errors
    /// If the schema has no primary key.
    pub fn new(
        id: SegmentId,
        collection: CollectionId,
        partition: PartitionId,
        schema: Arc<CollectionSchema>,
    ) -> Result<Segment, SegmentError> {
        let Some(key) = schema.primary_key() else {
            return Err(SegmentError::NoPrimaryKey { schema: schema.name.clone() });
        };
        Ok(Segment {
            id,
            collection,
            partition,
            key_field: key.id,
            key_type: key.data_type,
            writer: Mutex::new(()),
            state: RwLock::new(State { schema: schema.clone(), view: View::empty() }),
            index: KeyIndex::default(),
            key_span: (AtomicI64::new(i64::MAX), AtomicI64::new(i64::MIN)),
            persisted: AtomicU32::new(0),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Its collection.
    #[must_use]
    pub fn collection(&self) -> CollectionId {
        self.collection
    }

    /// Its partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// The newest schema it knows.
    #[must_use]
    pub fn schema(&self) -> Arc<CollectionSchema> {
        self.state.read().schema.clone()
    }

    /// Answers by a newer schema from now on. Rows keep the columns they came with; fields that they lack
    /// read as the default of the field, or null. An older schema than the known one changes nothing.
    pub fn set_schema(&self, schema: Arc<CollectionSchema>) {
        let mut state = self.state.write();
        if schema.version > state.schema.version {
            state.schema = schema;
        }
    }

    /// Adds rows that all have the effective tick `tick`. Ticks of one key ascend from insert to insert.
    ///
    /// # Errors
    /// If the rows have no primary keys or the columns differ in length; then nothing is added.
    pub fn insert(&self, rows: Rows, tick: Tick) -> Result<(), SegmentError> {
        self.insert_ticks(rows, RowTicks::One(tick))
    }

    /// Adds rows with their effective ticks, as a chunk keeps them.
    ///
    /// # Errors
    /// As [`Segment::insert`].
    pub fn insert_ticks(&self, rows: Rows, ticks: RowTicks) -> Result<(), SegmentError> {
        let _turn = self.writer.lock();
        let first = self.rows();
        self.check(&rows, &ticks, first)?;
        let count = rows.count as u32;
        if count == 0 {
            return Ok(());
        }
        self.widen_key_span(&rows);
        let arrival = Arrival::new(first, rows, ticks);
        self.state.write().view.insert(arrival);
        let state = self.state.read();
        for row in first..first + count {
            let key = self.key_in(&state.view, row);
            self.index.insert(key.hash(), row, |other| self.key_in(&state.view, other) == key);
        }
        Ok(())
    }

    /// Makes room in the index for rows that will come.
    pub fn reserve(&self, rows: usize) {
        self.index.reserve(rows);
    }

    /// Hides the rows of these keys whose effective tick is less than `tick` from every reader at `tick` or
    /// later. Invariant Q2. Deletes may come in any order of their ticks, but not before the rows they hide.
    pub fn delete(&self, keys: &Keys, tick: Tick) {
        let _turn = self.writer.lock();
        let state = self.state.read();
        for row in 0..keys.len() {
            self.hide(&state.view, KeyRef::nth(keys, row), tick);
        }
    }

    /// Many deletes, each with its own tick, as a delete file keeps them.
    ///
    /// # Panics
    /// If there are fewer ticks than keys.
    pub fn delete_each(&self, keys: &Keys, ticks: &[Tick]) {
        let _turn = self.writer.lock();
        let state = self.state.read();
        for (row, tick) in (0..keys.len()).map(|row| (row, ticks[row])) {
            self.hide(&state.view, KeyRef::nth(keys, row), tick);
        }
    }

    /// How many rows it has, hidden ones included.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.state.read().view.rows()
    }

    /// The memory it holds, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let blocks: usize = self.view().blocks().map(|block| block.heap_bytes() + size_of::<Block>()).sum();
        blocks + self.index.heap_bytes() + size_of::<Segment>()
    }

    /// The least and the greatest effective tick of its rows; `None` without rows.
    #[must_use]
    pub fn tick_span(&self) -> Option<(Tick, Tick)> {
        let spans =
            |view: View| view.blocks().map(|block| block.span()).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        spans(self.view())
    }

    /// How many rows are visible at `at`.
    #[must_use]
    pub fn visible_count(&self, at: Tick) -> u64 {
        self.view().visible_count(at)
    }

    /// The effective tick of the newest row of a key that is visible at `at`.
    #[must_use]
    pub fn newest(&self, key: &Key, at: Tick) -> Option<Tick> {
        self.newest_row(KeyRef::of(key), at).map(|(_, tick)| tick)
    }

    /// The primary key of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn key(&self, row: u32) -> Key {
        self.key_in(&self.state.read().view, row).to_key()
    }

    /// The effective tick of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn tick(&self, row: u32) -> Tick {
        let state = self.state.read();
        let (block, at) = state.view.locate(row);
        block.ticks().get(at)
    }

    /// The values of these rows, in this order. A field that came after a row reads as its default or null;
    /// [`FieldId::TIMESTAMP`] reads as the effective tick.
    ///
    /// # Errors
    /// If the schema does not know a field.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn fetch(&self, rows: &[u32], fields: &[FieldId]) -> Result<Rows, SegmentError> {
        let (view, schema) = self.view_and_schema();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_unstable_by_key(|&at| rows[at]);
        let mut columns = Vec::with_capacity(fields.len());
        for &field in fields {
            columns.push(fetch_column(&view, &schema, rows, &order, field)?);
        }
        Ok(Rows { count: rows.len(), columns })
    }

    /// The rows that no chunk holds yet; `None` if there are none.
    #[must_use]
    pub fn unpersisted(&self) -> Option<RowRun> {
        self.rows_since(self.persisted(), Tick::MAX)
    }

    /// How many rows, counted from the first, chunks hold.
    #[must_use]
    pub fn persisted(&self) -> u32 {
        self.persisted.load(Ordering::Acquire)
    }

    /// Notes that chunks hold the rows before `row`. Never goes back.
    pub fn set_persisted(&self, row: u32) {
        self.persisted.fetch_max(row, Ordering::AcqRel);
    }

    /// The rows from the number `row` on, up to the first whose tick is above `upto`; `None` if there are
    /// none.
    #[must_use]
    pub fn rows_since(&self, row: u32, upto: Tick) -> Option<RowRun> {
        let (view, schema) = self.view_and_schema();
        let mut pieces = Vec::new();
        let (mut end, mut bytes, mut span) = (row, 0, (Tick::MAX, Tick::ZERO));
        for block in view.blocks() {
            let from = (row.saturating_sub(block.first()) as usize).min(block.len());
            let to = if block.span().1 <= upto {
                block.len()
            } else {
                (from..block.len()).find(|&at| block.ticks().get(at) > upto).unwrap_or(block.len())
            };
            if from < to {
                let (least, greatest) = block.ticks().span(from..to);
                span = (span.0.min(least), span.1.max(greatest));
                end = block.first() + to as u32;
                bytes += block.bytes_of(&(from..to));
                pieces.push((block.clone(), from..to));
            }
            if to < block.len() {
                break;
            }
        }
        (!pieces.is_empty()).then(|| RowRun {
            segment: self.id,
            collection: self.collection,
            partition: self.partition,
            schema,
            rows: row..end,
            tick_min: span.0,
            tick_max: span.1,
            bytes,
            pieces,
        })
    }

    pub(crate) fn key_field(&self) -> FieldId {
        self.key_field
    }

    pub(crate) fn view(&self) -> View {
        self.state.read().view.clone()
    }

    pub(crate) fn view_and_schema(&self) -> (View, Arc<CollectionSchema>) {
        let state = self.state.read();
        (state.view.clone(), state.schema.clone())
    }

    /// The least and the greatest key, if the keys are integers and there are any.
    pub(crate) fn key_span(&self) -> Option<(i64, i64)> {
        let span = (self.key_span.0.load(Ordering::Acquire), self.key_span.1.load(Ordering::Acquire));
        (span.0 <= span.1).then_some(span)
    }

    fn widen_key_span(&self, rows: &Rows) {
        let keys = rows.column(self.key_field).map(|column| &column.data);
        if let Some(ColumnData::Int64(keys)) = keys {
            self.key_span.0.fetch_min(keys.iter().min().copied().unwrap_or(i64::MAX), Ordering::AcqRel);
            self.key_span.1.fetch_max(keys.iter().max().copied().unwrap_or(i64::MIN), Ordering::AcqRel);
        }
    }

    /// How many rows of a key are visible at `at`.
    pub(crate) fn count_of(&self, key: KeyRef<'_>, at: Tick) -> u64 {
        let mut count = 0;
        self.visit_rows::<()>(key, at, |_| {
            count += 1;
            ControlFlow::Continue(())
        });
        count
    }

    /// Whether some key has more than one row here.
    pub(crate) fn has_repeats(&self) -> bool {
        self.index.has_repeats()
    }

    /// The newest row of a key that is visible at `at`, and its tick. Of two rows with the same tick the
    /// later one is the newer.
    pub(crate) fn newest_row(&self, key: KeyRef<'_>, at: Tick) -> Option<(u32, Tick)> {
        self.visit_rows(key, at, ControlFlow::Break)
    }

    /// Visits the rows of a key that are visible at `at`, newest first, until `visit` breaks.
    pub(crate) fn visit_rows<B>(
        &self,
        key: KeyRef<'_>,
        at: Tick,
        mut visit: impl FnMut((u32, Tick)) -> ControlFlow<B>,
    ) -> Option<B> {
        let state = self.state.read();
        let same = |row: u32| self.key_in(&state.view, row) == key;
        self.index.visit(key.hash(), same, |row| {
            let (block, place) = state.view.locate(row);
            if block.is_visible(place, at) {
                return visit((row, block.ticks().get(place)));
            }
            ControlFlow::Continue(())
        })
    }

    fn hide(&self, view: &View, key: KeyRef<'_>, tick: Tick) {
        let same = |row: u32| self.key_in(view, row) == key;
        self.index.visit(key.hash(), same, |row| {
            let (block, place) = view.locate(row);
            if block.hide(place, tick) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    fn key_in<'a>(&self, view: &'a View, row: u32) -> KeyRef<'a> {
        let (block, at) = view.locate(row);
        block.key(self.key_field, at).expect("every block was checked to have keys")
    }

    fn check(&self, rows: &Rows, ticks: &RowTicks, first: u32) -> Result<(), SegmentError> {
        let keys = rows.column(self.key_field).ok_or(SegmentError::MissingKeys { field: self.key_field })?;
        let typed = matches!(
            (&keys.data, self.key_type),
            (ColumnData::Int64(_), DataType::Int64) | (ColumnData::VarChar(_), DataType::VarChar)
        );
        if !typed {
            return Err(SegmentError::WrongKeyType { field: self.key_field });
        }
        let expected = rows.count;
        for column in &rows.columns {
            let found =
                column.valid.as_ref().map_or(column.data.len(), |valid| valid.len().min(column.data.len()));
            if column.data.len() != expected || found != expected {
                return Err(SegmentError::WrongCount {
                    field: column.field,
                    expected,
                    found: column.data.len(),
                });
            }
        }
        if let RowTicks::Each(ticks) = ticks
            && ticks.len() != expected
        {
            return Err(SegmentError::WrongCount { field: FieldId::TIMESTAMP, expected, found: ticks.len() });
        }
        let numbered = u32::try_from(expected).ok().and_then(|more| first.checked_add(more));
        if numbered.is_none_or(|rows| rows == u32::MAX) {
            return Err(SegmentError::Full { rows: first, more: expected });
        }
        Ok(())
    }
}

/// One column of the rows `rows[order[0]], rows[order[1]], …`, which ascend, put back into the order of
/// `rows`: each block is visited once.
fn fetch_column(
    view: &View,
    schema: &CollectionSchema,
    rows: &[u32],
    order: &[usize],
    field: FieldId,
) -> Result<Column, SegmentError> {
    let mut column: Option<Column> = None;
    let mut done = 0;
    while done < order.len() {
        let (block, _) = view.locate(rows[order[done]]);
        let end = block.first() + block.len() as u32;
        let count = order[done..].partition_point(|&at| rows[at] < end);
        let places: Vec<usize> =
            order[done..done + count].iter().map(|&at| (rows[at] - block.first()) as usize).collect();
        let part = filled_rows(block, field, schema, &places)?;
        match &mut column {
            Some(column) => column.append(&part),
            None => column = Some(part),
        }
        done += count;
    }
    let Some(column) = column else {
        return filled_rows(&Block::empty(0), field, schema, &[]);
    };
    if order.is_sorted() {
        return Ok(column);
    }
    let mut back = vec![0; order.len()];
    for (sorted, &at) in order.iter().enumerate() {
        back[at] = sorted;
    }
    Ok(column.take(&back))
}
