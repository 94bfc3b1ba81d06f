//! Rows of a segment that are to be persisted.

use std::ops::Range;
use std::sync::Arc;

use cinclus_types::{CollectionId, CollectionSchema, PartitionId, Rows, SegmentId, Tick};

use super::{Block, RowTicks, filled};
use crate::SegmentError;

/// An immutable run of rows `from..to` of a segment. Holding it does not stop the segment's writer.
#[derive(Clone, Debug)]
pub struct RowRun {
    /// The segment.
    pub segment: SegmentId,
    /// Its collection.
    pub collection: CollectionId,
    /// Its partition.
    pub partition: PartitionId,
    /// The schema in force when the run was taken.
    pub schema: Arc<CollectionSchema>,
    /// The numbers of the rows in the segment; never empty.
    pub rows: Range<u32>,
    /// The least effective tick.
    pub tick_min: Tick,
    /// The greatest effective tick.
    pub tick_max: Tick,
    /// The memory of the rows, in bytes.
    pub bytes: usize,
    pub(crate) pieces: Vec<(Arc<Block>, Range<usize>)>,
}

impl RowRun {
    /// How many rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// The rows of each block with their ticks, every field of the schema and the row id, if the rows have
    /// one, as a column.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Result<(Rows, RowTicks), SegmentError>> + '_ {
        self.pieces.iter().map(|(block, range)| self.part(block, range))
    }

    fn part(&self, block: &Block, range: &Range<usize>) -> Result<(Rows, RowTicks), SegmentError> {
        let whole = range.len() == block.len();
        let picked: Vec<usize> = if whole { Vec::new() } else { range.clone().collect() };
        let hidden = block.rows().columns.iter().map(|column| column.field);
        let hidden = hidden.filter(|&field| self.schema.field_by_id(field).is_none());
        let mut fields: Vec<_> = hidden.chain(self.schema.fields.iter().map(|field| field.id)).collect();
        fields.sort_unstable();
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            let column = filled(block, field, &self.schema)?;
            columns.push(if whole { column.into_owned() } else { column.take(&picked) });
        }
        let ticks = match block.ticks() {
            RowTicks::One(tick) => RowTicks::One(*tick),
            RowTicks::Each(ticks) => RowTicks::Each(ticks[range.clone()].to_vec()),
        };
        Ok((Rows { count: range.len(), columns }, ticks))
    }
}
