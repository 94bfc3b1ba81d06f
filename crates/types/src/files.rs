//! What a segment is made of in object storage.

use serde::{Deserialize, Serialize};

use crate::{CollectionId, PartitionId, SegmentId, Tick, VChannel};

/// The life of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentState {
    /// Takes rows; its chunks hold a prefix of them.
    Growing,
    /// Takes no more rows; its chunks hold all of them.
    Sealed,
    /// Not to be read any more.
    Dropped,
}

/// A run of rows of one segment in one Parquet object, or in a slice of a shared tail file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRef {
    /// The name of the object; never written twice.
    pub object: String,
    /// The first row group of this segment in the object.
    pub row_group: u32,
    /// How many row groups.
    pub row_groups: u32,
    /// Rows in the chunk.
    pub rows: u64,
    /// Bytes of the object that are this chunk's.
    pub bytes: u64,
    /// The least effective tick of its rows.
    pub tick_min: Tick,
    /// The greatest effective tick of its rows.
    pub tick_max: Tick,
    /// The schema version it was written with.
    pub schema_version: i32,
}

/// Deletes of one VChannel in one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteFileRef {
    /// The name of the object; never written twice.
    pub object: String,
    /// Deletes in it.
    pub rows: u64,
    /// Bytes of the object.
    pub bytes: u64,
    /// The least tick.
    pub tick_min: Tick,
    /// The greatest tick.
    pub tick_max: Tick,
    /// The only partition whose rows they hide; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartitionId>,
}

/// What the catalog knows of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// Its id.
    pub id: SegmentId,
    /// Its collection.
    pub collection: CollectionId,
    /// Its partition.
    pub partition: PartitionId,
    /// Its VChannel.
    pub vchannel: VChannel,
    /// Its state.
    pub state: SegmentState,
    /// Its chunks in the order of their ticks.
    pub chunks: Vec<ChunkRef>,
    /// The tick at which it was created.
    pub created: Tick,
    /// The tick at which it was sealed; zero while it grows.
    pub sealed: Tick,
}

impl SegmentEntry {
    /// Rows in all chunks.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.rows).sum()
    }

    /// Bytes in all chunks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }
}

/// What the catalog knows of a VChannel: written by the owner together with the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VChannelEntry {
    /// Every row and delete with an effective tick up to here is in chunks and delete files.
    pub persisted_tick: Tick,
    /// The delete files in the order of their ticks.
    pub delete_files: Vec<DeleteFileRef>,
    /// The schema as JSON, if rows were persisted before the collection's own entry was there: its creation
    /// is in the log then, and not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}
