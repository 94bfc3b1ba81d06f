//! The state machine of a PChannel's shards.

use std::collections::BTreeMap;

use cinclus_rpc::AppendError;
use cinclus_types::message::Header;
use cinclus_types::{CollectionId, PartitionId, SegmentId, Tick, VChannel};
use serde::{Deserialize, Serialize};

use super::dedup::Dedup;
use super::effect::Effect;

/// One shard: a collection's part of a PChannel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The collection.
    pub collection: CollectionId,
    /// The tick at which it was created.
    pub created: Tick,
    /// The version of the schema in force, once a message said one.
    pub schema_version: Option<i32>,
    /// Its partitions and their growing segments, oldest first.
    pub partitions: BTreeMap<PartitionId, Vec<SegmentId>>,
}

/// A segment that takes rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrowingSegment {
    /// Its collection.
    pub collection: CollectionId,
    /// Its partition.
    pub partition: PartitionId,
    /// Its VChannel.
    pub vchannel: VChannel,
    /// The tick at which it was created.
    pub created: Tick,
    /// The effective tick of its last rows; that of its creation while it has none.
    pub last_write: Tick,
    /// Rows that the log put into it.
    pub rows: u64,
    /// Their bytes, as producers counted them.
    pub bytes: u64,
    /// Rows at which it is full; 0 is no limit.
    pub rows_max: u64,
    /// Bytes at which it is full; 0 is no limit.
    pub bytes_max: u64,
}

/// A segment that was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Its collection.
    pub collection: CollectionId,
    /// Its partition.
    pub partition: PartitionId,
    /// Its VChannel.
    pub vchannel: VChannel,
    /// The tick of the message that closed it.
    pub tick: Tick,
    /// Rows that the log put into it.
    pub rows: u64,
}

/// Everything that the messages of a PChannel so far make of it, rows and deletes aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardState {
    shards: BTreeMap<VChannel, Shard>,
    growing: BTreeMap<SegmentId, GrowingSegment>,
    seals: BTreeMap<SegmentId, Seal>,
    /// Requests that were answered.
    pub dedup: Dedup,
}

impl ShardState {
    /// All shards.
    #[must_use]
    pub fn shards(&self) -> &BTreeMap<VChannel, Shard> {
        &self.shards
    }

    /// The shard in that VChannel.
    #[must_use]
    pub fn shard(&self, vchannel: &VChannel) -> Option<&Shard> {
        self.shards.get(vchannel)
    }

    /// All segments that take rows.
    #[must_use]
    pub fn growing(&self) -> &BTreeMap<SegmentId, GrowingSegment> {
        &self.growing
    }

    /// Segments that were closed and not yet settled.
    #[must_use]
    pub fn seals(&self) -> &BTreeMap<SegmentId, Seal> {
        &self.seals
    }

    /// Bytes of rows in all growing segments.
    #[must_use]
    pub fn growing_bytes(&self) -> u64 {
        self.growing.values().map(|segment| segment.bytes).sum()
    }

    /// Forgets a closed segment: the catalog knows it as sealed or dropped.
    pub fn settle(&mut self, segment: SegmentId) {
        self.seals.remove(&segment);
    }

    /// Whether rows or deletes may go where the header says.
    ///
    /// # Errors
    /// The collection or partition is not there, or the schema version is not the one in force.
    pub fn check_rows(&self, vchannel: &VChannel, header: &Header) -> Result<(), AppendError> {
        let Some(collection) = header.collection() else { return Ok(()) };
        let shard = self.shards.get(vchannel).filter(|shard| shard.collection == collection);
        let shard = shard.ok_or(AppendError::CollectionNotFound(collection))?;
        if let Header::Insert { partition, schema_version, .. } = header {
            if !shard.partitions.contains_key(partition) {
                return Err(AppendError::PartitionNotFound(collection, *partition));
            }
            let given = *schema_version;
            if let Some(current) = shard.schema_version.filter(|current| *current != given) {
                return Err(AppendError::SchemaMismatch { given, current });
            }
        }
        Ok(())
    }

    /// The growing segments that a message closes which says so in its header.
    #[must_use]
    pub fn closed_by(&self, vchannel: &VChannel, header: &Header) -> Vec<SegmentId> {
        let all = if let Header::AlterCollection { update_mask, .. } = header {
            changes_schema(update_mask)
        } else {
            matches!(header, Header::ManualFlush { .. } | Header::TruncateCollection { .. })
        };
        let shard =
            self.shards.get(vchannel).filter(|shard| all && header.collection() == Some(shard.collection));
        shard.into_iter().flat_map(|shard| shard.partitions.values().flatten().copied()).collect()
    }

    /// Takes a message in. What does not fit the state (a segment that is not there any more) changes
    /// nothing: the writer refuses such messages before they are stored.
    pub fn apply(&mut self, effect: Effect<'_>) {
        let Effect { vchannel, header, tick, schema_version } = effect;
        if vchannel.is_control() {
            return;
        }
        match header {
            Header::CreateCollection { collection, partitions, .. } => {
                self.shards.entry(vchannel.clone()).or_insert_with(|| Shard {
                    collection: *collection,
                    created: tick,
                    schema_version,
                    partitions: partitions.iter().map(|id| (*id, Vec::new())).collect(),
                });
            }
            Header::DropCollection { .. } => self.drop_shard(vchannel),
            Header::CreatePartition { partition, .. } => {
                if let Some(shard) = self.shards.get_mut(vchannel) {
                    shard.partitions.entry(*partition).or_default();
                }
            }
            Header::DropPartition { partition, .. } => {
                let shard = self.shards.get_mut(vchannel);
                for segment in shard.and_then(|shard| shard.partitions.remove(partition)).unwrap_or_default()
                {
                    self.growing.remove(&segment);
                }
            }
            Header::AlterCollection { segments, .. } => {
                if let Some(shard) = self.shards.get_mut(vchannel) {
                    shard.schema_version = schema_version.or(shard.schema_version);
                }
                self.seal(segments, tick);
            }
            Header::ManualFlush { segments, .. } | Header::TruncateCollection { segments, .. } => {
                self.seal(segments, tick);
            }
            Header::CreateSegment { .. } => self.create_segment(effect),
            Header::Flush { segment, .. } => self.seal(&[*segment], tick),
            Header::Insert { segment: Some(segment), rows, binary_size, .. } => {
                if let Some(growing) = self.growing.get_mut(segment) {
                    growing.rows += rows;
                    growing.bytes += binary_size;
                    growing.last_write = tick;
                }
            }
            Header::Insert { segment: None, .. }
            | Header::TimeTick
            | Header::Delete { .. }
            | Header::AlterLoadConfig { .. }
            | Header::DropLoadConfig { .. }
            | Header::CreateDatabase { .. }
            | Header::AlterDatabase { .. }
            | Header::DropDatabase { .. }
            | Header::AlterAlias { .. }
            | Header::DropAlias { .. }
            | Header::CreateIndex { .. }
            | Header::AlterIndex { .. }
            | Header::DropIndex { .. }
            | Header::BeginTxn { .. }
            | Header::CommitTxn
            | Header::RollbackTxn => {}
        }
    }

    /// Rows of an open transaction were placed.
    pub fn place(&mut self, segment: SegmentId, rows: u64, bytes: u64) {
        if let Some(growing) = self.growing.get_mut(&segment) {
            growing.rows += rows;
            growing.bytes += bytes;
        }
    }

    /// Rows that were placed but will never take effect: their transaction is over.
    pub fn withdraw(&mut self, segment: SegmentId, rows: u64, bytes: u64) {
        if let Some(growing) = self.growing.get_mut(&segment) {
            growing.rows -= rows;
            growing.bytes -= bytes;
        }
    }

    /// Rows that were placed took effect at `tick`, with the commit of their transaction.
    pub fn touch(&mut self, segment: SegmentId, tick: Tick) {
        if let Some(growing) = self.growing.get_mut(&segment) {
            growing.last_write = tick;
        }
    }

    fn create_segment(&mut self, effect: Effect<'_>) {
        let Header::CreateSegment { collection, partition, segment, segment_bytes_max, rows_max, .. } =
            effect.header
        else {
            return;
        };
        let shard = self.shards.get_mut(effect.vchannel);
        let Some(list) = shard.and_then(|shard| shard.partitions.get_mut(partition)) else { return };
        list.push(*segment);
        let growing = GrowingSegment {
            collection: *collection,
            partition: *partition,
            vchannel: effect.vchannel.clone(),
            created: effect.tick,
            last_write: effect.tick,
            rows: 0,
            bytes: 0,
            rows_max: *rows_max,
            bytes_max: *segment_bytes_max,
        };
        self.growing.insert(*segment, growing);
    }

    fn seal(&mut self, segments: &[SegmentId], tick: Tick) {
        for id in segments {
            let Some(growing) = self.growing.remove(id) else { continue };
            let shard = self.shards.get_mut(&growing.vchannel);
            if let Some(list) = shard.and_then(|shard| shard.partitions.get_mut(&growing.partition)) {
                list.retain(|segment| segment != id);
            }
            let GrowingSegment { collection, partition, vchannel, rows, .. } = growing;
            self.seals.insert(*id, Seal { collection, partition, vchannel, tick, rows });
        }
    }

    fn drop_shard(&mut self, vchannel: &VChannel) {
        let Some(shard) = self.shards.remove(vchannel) else { return };
        for segment in shard.partitions.into_values().flatten() {
            self.growing.remove(&segment);
        }
        self.seals.retain(|_, seal| seal.vchannel != *vchannel);
    }
}

/// Whether a change of a collection changes its schema.
#[must_use]
pub fn changes_schema(update_mask: &[String]) -> bool {
    update_mask.iter().any(|path| path == "schema" || path.starts_with("schema."))
}
