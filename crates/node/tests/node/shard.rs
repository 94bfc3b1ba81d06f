//! A collection, and the messages about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_catalog::{CollectionEntry, LoadState, PartitionEntry, SchemaVersion};
use cinclus_types::message::body::{BodyMeta, CreateCollectionBody, DeleteBody, InsertBody};
use cinclus_types::message::{Draft, Header};
use cinclus_types::{
    CollectionId, CollectionSchema, Column, ColumnData, ConsistencyLevel, DataType, DatabaseId, FieldId,
    FieldSchema, Keys, PChannel, PartitionId, Rows, Tick, VChannel,
};

pub(crate) const KEY: FieldId = FieldId(100);
pub(crate) const VALUE: FieldId = FieldId(101);
const VECTOR: FieldId = FieldId(102);

/// A collection with one shard and two partitions.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) collection: CollectionId,
    pub(crate) vchannel: VChannel,
}

impl Shard {
    pub(crate) fn new(channel: &PChannel, collection: i64) -> Shard {
        let collection = CollectionId(collection);
        Shard { collection, vchannel: channel.shard(collection, 0) }
    }

    pub(crate) fn partition(&self, index: i64) -> PartitionId {
        PartitionId(self.collection.0 * 10 + index)
    }

    fn name(&self) -> String {
        format!("c{}", self.collection)
    }

    pub(crate) fn schema(&self, dim: usize) -> CollectionSchema {
        let fields = vec![
            FieldSchema::new(KEY, "key", DataType::Int64).as_primary_key(),
            FieldSchema::new(VALUE, "value", DataType::Int64),
            FieldSchema::new(VECTOR, "vector", DataType::FloatVector).with_param("dim", dim),
        ];
        CollectionSchema { name: self.name(), fields, ..CollectionSchema::default() }
    }

    fn meta(&self, partition: Option<PartitionId>) -> BodyMeta {
        BodyMeta {
            vchannel: self.vchannel.clone(),
            database: DatabaseId(1),
            database_name: "default".to_owned(),
            collection: self.collection,
            collection_name: self.name(),
            partition,
            partition_name: String::new(),
        }
    }

    pub(crate) fn entry(&self, dim: usize, loaded: bool) -> CollectionEntry {
        let partition = |index| PartitionEntry {
            id: self.partition(index),
            name: format!("p{index}"),
            created: Tick::ZERO,
        };
        let load = if loaded {
            LoadState::Loaded { partitions: None, fields: Vec::new(), replicas: 1 }
        } else {
            LoadState::Released
        };
        CollectionEntry {
            id: self.collection,
            database: DatabaseId(1),
            name: self.name(),
            schemas: vec![SchemaVersion { from: Tick::ZERO, schema: Arc::new(self.schema(dim)) }],
            partitions: vec![partition(0), partition(1)],
            vchannels: vec![self.vchannel.clone()],
            consistency: ConsistencyLevel::Strong,
            properties: BTreeMap::new(),
            indexes: Vec::new(),
            load,
            created: Tick::ZERO,
            updated: Tick::ZERO,
        }
    }

    pub(crate) fn creation(&self, dim: usize) -> Draft {
        let partitions = vec![self.partition(0), self.partition(1)];
        let body = CreateCollectionBody {
            database: DatabaseId(1),
            database_name: "default".to_owned(),
            collection: self.collection,
            collection_name: self.name(),
            schema: self.schema(dim),
            properties: BTreeMap::new(),
            consistency: ConsistencyLevel::Strong,
            vchannels: vec![self.vchannel.clone()],
            partitions: partitions.iter().map(|id| (*id, format!("p{id}"))).collect(),
        };
        let header =
            Header::CreateCollection { collection: self.collection, partitions, database: DatabaseId(1) };
        Draft::new(self.vchannel.clone(), header, body.encode())
    }

    pub(crate) fn insert(&self, dim: usize, partition: PartitionId, rows: &[(i64, i64)]) -> Draft {
        let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let floats =
            keys.iter().flat_map(|key| (0..dim).map(move |at| (key * 31 + at as i64) as f32)).collect();
        let columns = vec![
            Column::new(KEY, ColumnData::Int64(keys)),
            Column::new(VALUE, ColumnData::Int64(rows.iter().map(|row| row.1).collect())),
            Column::new(VECTOR, ColumnData::FloatVector { dim, data: floats }),
        ];
        let rows = Rows { count: rows.len(), columns };
        let header = Header::Insert {
            collection: self.collection,
            partition,
            rows: rows.count as u64,
            binary_size: rows.heap_bytes() as u64,
            segment: None,
            schema_version: 0,
        };
        let body = InsertBody::encode_rows(&self.meta(Some(partition)), &self.schema(dim), rows);
        Draft::new(self.vchannel.clone(), header, body)
    }

    pub(crate) fn delete(&self, partition: Option<PartitionId>, keys: &[i64]) -> Draft {
        let header = Header::Delete { collection: self.collection, rows: keys.len() as u64 };
        let body = DeleteBody::encode(&self.meta(partition), Keys::Int64(keys.to_vec()));
        Draft::new(self.vchannel.clone(), header, body)
    }

    fn of(&self, header: Header) -> Draft {
        Draft::new(self.vchannel.clone(), header, bytes::Bytes::new())
    }

    /// An insert whose header is right, and whose body nobody can read.
    pub(crate) fn unreadable_insert(&self, body: &'static [u8]) -> Draft {
        let mut draft = self.insert(4, self.partition(0), &[(1, 1)]);
        draft.payload = bytes::Bytes::from_static(body);
        draft
    }

    pub(crate) fn manual_flush(&self) -> Draft {
        self.of(Header::ManualFlush {
            collection: self.collection,
            flush_tick: Tick::ZERO,
            segments: Vec::new(),
        })
    }

    pub(crate) fn drop_partition(&self, partition: PartitionId) -> Draft {
        self.of(Header::DropPartition { collection: self.collection, partition })
    }

    pub(crate) fn drop_collection(&self) -> Draft {
        self.of(Header::DropCollection { collection: self.collection, database: DatabaseId(1) })
    }

    pub(crate) fn truncate(&self) -> Draft {
        let (collection, segments) = (self.collection, Vec::new());
        self.of(Header::TruncateCollection { database: DatabaseId(1), collection, segments })
    }
}
