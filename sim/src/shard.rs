//! One VChannel of a collection, and the messages about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_catalog::{CollectionEntry, LoadState, PartitionEntry, SchemaVersion};
use cinclus_types::message::body::{BodyMeta, CreateCollectionBody, DeleteBody, InsertBody};
use cinclus_types::message::{Draft, Header};
use cinclus_types::{
    CollectionId, CollectionSchema, Column, ColumnData, ConsistencyLevel, DataType, DatabaseId, FieldId,
    FieldSchema, Keys, PChannel, PartitionId, Rows, Tick, VChannel,
};

use crate::history::Change;

/// The primary key.
pub const KEY: FieldId = FieldId(100);
/// What says which write a row comes from.
pub const VALUE: FieldId = FieldId(101);
/// A vector, since there must be one.
pub const VECTOR: FieldId = FieldId(102);
const DIM: usize = 4;

/// The schema of every collection of the simulation.
#[must_use]
pub fn schema(name: &str) -> CollectionSchema {
    let fields = vec![
        FieldSchema::new(KEY, "key", DataType::Int64).as_primary_key(),
        FieldSchema::new(VALUE, "value", DataType::Int64),
        FieldSchema::new(VECTOR, "vector", DataType::FloatVector).with_param("dim", DIM),
    ];
    CollectionSchema { name: name.to_owned(), fields, ..CollectionSchema::default() }
}

/// One shard.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its collection.
    pub collection: CollectionId,
    /// Its channel.
    pub vchannel: VChannel,
    entry: Arc<CollectionEntry>,
}

impl Shard {
    /// The shards of a collection.
    #[must_use]
    pub fn all_of(entry: &Arc<CollectionEntry>) -> Vec<Shard> {
        let shard = |vchannel: &VChannel| Shard {
            collection: entry.id,
            vchannel: vchannel.clone(),
            entry: entry.clone(),
        };
        entry.vchannels.iter().map(shard).collect()
    }

    /// A shard that no catalog knows.
    #[must_use]
    pub fn alone(channel: &PChannel, collection: i64) -> Shard {
        let id = CollectionId(collection);
        let vchannel = channel.shard(id, 0);
        let name = format!("alone{collection}");
        let created = Tick::ZERO;
        let partition =
            PartitionEntry { id: PartitionId(collection * 10), name: "_default".to_owned(), created };
        let entry = CollectionEntry {
            id,
            database: DatabaseId(1),
            schemas: vec![SchemaVersion { from: Tick::ZERO, schema: Arc::new(schema(&name)) }],
            name,
            partitions: vec![partition],
            vchannels: vec![vchannel.clone()],
            consistency: ConsistencyLevel::Strong,
            properties: BTreeMap::new(),
            indexes: Vec::new(),
            load: LoadState::Released,
            created,
            updated: created,
        };
        Shard { collection: id, vchannel, entry: Arc::new(entry) }
    }

    /// The message that creates it.
    #[must_use]
    pub fn creation(&self) -> Draft {
        let partitions = self.partitions();
        let body = CreateCollectionBody {
            database: self.entry.database,
            database_name: "default".to_owned(),
            collection: self.collection,
            collection_name: self.entry.name.clone(),
            schema: schema(&self.entry.name),
            properties: BTreeMap::new(),
            consistency: ConsistencyLevel::Strong,
            vchannels: vec![self.vchannel.clone()],
            partitions: partitions.iter().map(|id| (*id, "_default".to_owned())).collect(),
        };
        let database = self.entry.database;
        let header = Header::CreateCollection { collection: self.collection, partitions, database };
        Draft::new(self.vchannel.clone(), header, body.encode())
    }

    /// The partitions as they were when it was looked up.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionId> {
        self.entry.partitions.iter().map(|partition| partition.id).collect()
    }

    /// The message of a change, marked as a part of an operation.
    #[must_use]
    pub fn draft(&self, change: &Change, operation: u64) -> Draft {
        let mut draft = match change {
            Change::Insert { partition, rows } => self.insert(*partition, rows),
            Change::Delete { partition, keys } => self.delete(*partition, keys),
            Change::Flush => self.flush(),
        };
        draft.trace = Some(marker(operation));
        draft
    }

    fn meta(&self, partition: Option<PartitionId>) -> BodyMeta {
        BodyMeta {
            vchannel: self.vchannel.clone(),
            database: self.entry.database,
            database_name: "default".to_owned(),
            collection: self.collection,
            collection_name: self.entry.name.clone(),
            partition,
            partition_name: String::new(),
        }
    }

    fn insert(&self, partition: PartitionId, rows: &[(i64, i64)]) -> Draft {
        let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let vector = |key: &i64| (0..DIM as i64).map(|at| (key * 31 + at) as f32).collect::<Vec<f32>>();
        let data = keys.iter().flat_map(vector).collect();
        let columns = vec![
            Column::new(KEY, ColumnData::Int64(keys)),
            Column::new(VALUE, ColumnData::Int64(rows.iter().map(|row| row.1).collect())),
            Column::new(VECTOR, ColumnData::FloatVector { dim: DIM, data }),
        ];
        let rows = Rows { count: rows.len(), columns };
        let header = Header::Insert {
            collection: self.collection,
            partition,
            rows: rows.count as u64,
            binary_size: rows.heap_bytes() as u64,
            segment: None,
            schema_version: self.entry.schema().version,
        };
        let body = InsertBody::encode_rows(&self.meta(Some(partition)), self.entry.schema(), rows);
        Draft::new(self.vchannel.clone(), header, body)
    }

    fn delete(&self, partition: Option<PartitionId>, keys: &[i64]) -> Draft {
        let header = Header::Delete { collection: self.collection, rows: keys.len() as u64 };
        let body = DeleteBody::encode(&self.meta(partition), Keys::Int64(keys.to_vec()));
        Draft::new(self.vchannel.clone(), header, body)
    }

    fn flush(&self) -> Draft {
        let header =
            Header::ManualFlush { collection: self.collection, flush_tick: Tick::ZERO, segments: Vec::new() };
        Draft::new(self.vchannel.clone(), header, bytes::Bytes::new())
    }
}

/// How messages of an operation are marked.
#[must_use]
pub fn marker(operation: u64) -> String {
    format!("op-{operation}")
}

/// The operation that a mark names.
#[must_use]
pub fn marked(trace: Option<&str>) -> Option<u64> {
    trace?.strip_prefix("op-")?.parse().ok()
}
