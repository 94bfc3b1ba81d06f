//! Rows of a segment that are to be persisted.

use std::ops::Range;
use std::sync::Arc;

use cinclus_types::{CollectionId, CollectionSchema, PartitionId, SegmentId, Tick};

use super::Block;

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
}
