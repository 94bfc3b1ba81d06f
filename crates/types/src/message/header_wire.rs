//! Headers from and to their wire form (`messages.proto`).

use std::time::Duration;

use prost::Message as _;

use super::header::Header;
use super::kind::Kind;
use crate::proto::common::{LoadPriority, SegmentLevel};
use crate::proto::messages as wire;
use crate::{CollectionId, DatabaseId, FieldId, IndexId, PartitionId, SegmentId, Tick};

/// A word of ours and the type that stands for it on the wire.
trait Word<W>: Sized {
    fn to_wire(&self) -> W;
    fn from_wire(wire: W) -> Self;
}

macro_rules! id_words {
    ($($name:ident)*) => {$(
        impl Word<i64> for $name {
            fn to_wire(&self) -> i64 {
                self.0
            }

            fn from_wire(wire: i64) -> Self {
                $name(wire)
            }
        }

        impl Word<Vec<i64>> for Vec<$name> {
            fn to_wire(&self) -> Vec<i64> {
                self.iter().map(|id| id.0).collect()
            }

            fn from_wire(wire: Vec<i64>) -> Self {
                wire.into_iter().map($name).collect()
            }
        }
    )*};
}

macro_rules! same_words {
    ($($name:ty)*) => {$(
        impl Word<$name> for $name {
            fn to_wire(&self) -> $name {
                self.clone()
            }

            fn from_wire(wire: $name) -> Self {
                wire
            }
        }
    )*};
}

id_words!(CollectionId DatabaseId FieldId IndexId PartitionId SegmentId);
same_words!(String i32 i64 u64);

impl Word<u64> for Tick {
    fn to_wire(&self) -> u64 {
        self.0
    }

    fn from_wire(wire: u64) -> Self {
        Tick(wire)
    }
}

/// Whole milliseconds; -1, as in Milvus, is no limit.
impl Word<i64> for Duration {
    fn to_wire(&self) -> i64 {
        if *self == Duration::MAX { -1 } else { i64::try_from(self.as_millis()).unwrap_or(-1) }
    }

    fn from_wire(wire: i64) -> Self {
        u64::try_from(wire).map_or(Duration::MAX, Duration::from_millis)
    }
}

impl Word<Option<wire::FieldMask>> for Vec<String> {
    fn to_wire(&self) -> Option<wire::FieldMask> {
        Some(wire::FieldMask { paths: self.clone() })
    }

    fn from_wire(wire: Option<wire::FieldMask>) -> Self {
        wire.unwrap_or_default().paths
    }
}

/// Cinclus picks the index of a loaded field itself, so that id stays 0.
impl Word<Vec<wire::LoadFieldConfig>> for Vec<FieldId> {
    fn to_wire(&self) -> Vec<wire::LoadFieldConfig> {
        self.iter().map(|field| wire::LoadFieldConfig { field_id: field.0, index_id: 0 }).collect()
    }

    fn from_wire(wire: Vec<wire::LoadFieldConfig>) -> Self {
        wire.into_iter().map(|field| FieldId(field.field_id)).collect()
    }
}

/// Replicas are numbered from 1; they are all in Milvus' default resource group.
impl Word<Vec<wire::LoadReplicaConfig>> for i32 {
    fn to_wire(&self) -> Vec<wire::LoadReplicaConfig> {
        let replica = |number: i32| wire::LoadReplicaConfig {
            replica_id: number.into(),
            resource_group_name: "__default_resource_group".to_owned(),
            priority: LoadPriority::High.into(),
        };
        (1..=*self).map(replica).collect()
    }

    fn from_wire(wire: Vec<wire::LoadReplicaConfig>) -> Self {
        i32::try_from(wire.len()).unwrap_or(i32::MAX)
    }
}

/// Why a header cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error(transparent)]
    Wire(#[from] prost::DecodeError),
    #[error("an insert for {0} partitions; one was expected")]
    Partitions(usize),
}

fn insert_from_wire(bytes: &[u8]) -> Result<Header, HeaderError> {
    let wire = wire::InsertMessageHeader::decode(bytes)?;
    let [part] = wire.partitions.as_slice() else {
        return Err(HeaderError::Partitions(wire.partitions.len()));
    };
    Ok(Header::Insert {
        collection: CollectionId(wire.collection_id),
        partition: PartitionId(part.partition_id),
        rows: part.rows,
        binary_size: part.binary_size,
        segment: part.segment_assignment.as_ref().map(|assigned| SegmentId(assigned.segment_id)),
        schema_version: wire.schema_version,
    })
}

/// Writes both directions from one table: our field names on the left, the wire's on the right. An
/// extra `= value` is written always and not read.
macro_rules! headers {
    ($($kind:ident => $message:ident {
        $($ours:ident: $theirs:ident),* $(,)? $(; $extra:ident = $value:expr)?
    })*) => {
        /// The wire form of a header.
        pub(crate) fn encode(header: &Header) -> Vec<u8> {
            match header {
                Header::Insert { collection, partition, rows, binary_size, segment, schema_version } => {
                    let part = wire::PartitionSegmentAssignment {
                        partition_id: partition.0,
                        rows: *rows,
                        binary_size: *binary_size,
                        segment_assignment: segment.map(|id| wire::SegmentAssignment { segment_id: id.0 }),
                    };
                    wire::InsertMessageHeader {
                        collection_id: collection.0,
                        partitions: vec![part],
                        schema_version: *schema_version,
                    }
                    .encode_to_vec()
                }
                $(Header::$kind { $($ours),* } => {
                    #[allow(clippy::needless_update, reason = "some headers have more fields on the wire")]
                    wire::$message {
                        $($theirs: $ours.to_wire(),)*
                        $($extra: $value,)?
                        ..Default::default()
                    }
                    .encode_to_vec()
                })*
            }
        }

        /// The header of a kind; `None` for the kind that is never stored.
        pub(crate) fn decode(kind: Kind, bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
            Ok(Some(match kind {
                Kind::Txn => return Ok(None),
                Kind::Insert => insert_from_wire(bytes)?,
                $(Kind::$kind => {
                    #[allow(unused_variables, reason = "some headers are empty")]
                    let wire = wire::$message::decode(bytes)?;
                    Header::$kind { $($ours: Word::from_wire(wire.$theirs)),* }
                })*
            }))
        }
    };
}

headers! {
    TimeTick => TimeTickMessageHeader {}
    Delete => DeleteMessageHeader { collection: collection_id, rows: rows }
    CreateSegment => CreateSegmentMessageHeader {
        collection: collection_id,
        partition: partition_id,
        segment: segment_id,
        storage_version: storage_version,
        segment_bytes_max: max_segment_size,
        rows_max: max_rows,
        schema_version: schema_version;
        level = SegmentLevel::L1.into()
    }
    Flush => FlushMessageHeader { collection: collection_id, partition: partition_id, segment: segment_id }
    ManualFlush => ManualFlushMessageHeader {
        collection: collection_id, flush_tick: flush_ts, segments: segment_ids
    }
    CreateCollection => CreateCollectionMessageHeader {
        collection: collection_id, partitions: partition_ids, database: db_id
    }
    DropCollection => DropCollectionMessageHeader { collection: collection_id, database: db_id }
    CreatePartition => CreatePartitionMessageHeader { collection: collection_id, partition: partition_id }
    DropPartition => DropPartitionMessageHeader { collection: collection_id, partition: partition_id }
    AlterCollection => AlterCollectionMessageHeader {
        database: db_id, collection: collection_id, update_mask: update_mask, segments: flushed_segment_ids
    }
    AlterLoadConfig => AlterLoadConfigMessageHeader {
        database: db_id,
        collection: collection_id,
        partitions: partition_ids,
        load_fields: load_fields,
        replicas: replicas
    }
    DropLoadConfig => DropLoadConfigMessageHeader { database: db_id, collection: collection_id }
    CreateDatabase => CreateDatabaseMessageHeader { name: db_name, database: db_id }
    AlterDatabase => AlterDatabaseMessageHeader { name: db_name, database: db_id }
    DropDatabase => DropDatabaseMessageHeader { name: db_name, database: db_id }
    AlterAlias => AlterAliasMessageHeader {
        database: db_id,
        database_name: db_name,
        collection: collection_id,
        collection_name: collection_name,
        alias: alias
    }
    DropAlias => DropAliasMessageHeader { database: db_id, database_name: db_name, alias: alias }
    CreateIndex => CreateIndexMessageHeader {
        database: db_id, collection: collection_id, field: field_id, index: index_id, index_name: index_name
    }
    AlterIndex => AlterIndexMessageHeader { collection: collection_id, indexes: index_ids }
    DropIndex => DropIndexMessageHeader { collection: collection_id, indexes: index_ids }
    TruncateCollection => TruncateCollectionMessageHeader {
        database: db_id, collection: collection_id, segments: segment_ids
    }
    BeginTxn => BeginTxnMessageHeader { keepalive: keepalive_milliseconds }
    CommitTxn => CommitTxnMessageHeader {}
    RollbackTxn => RollbackTxnMessageHeader {}
}
