//! From checked rows to messages, and the messages to their logs.

use std::collections::BTreeMap;

use bytes::Bytes;
use cinclus_catalog::PartitionEntry;
use cinclus_rpc::{AppendError, Appended};
use cinclus_types::message::body::{BodyMeta, DeleteBody, InsertBody};
use cinclus_types::message::{Draft, Header};
use cinclus_types::proto::schema::FieldData;
use cinclus_types::{CollectionSchema, Keys, Tick, VChannel};
use futures::future::join_all;

use crate::convert::{columns, keys};
use crate::names;
use crate::proxy::{Proxy, Target};
use crate::request_key::RequestKey;
use crate::shards;
use crate::status::ProxyError;
use crate::validate::Completed;

/// The messages of one request, by VChannel. Those of one VChannel are one transaction.
pub type Batches = BTreeMap<VChannel, Vec<Draft>>;

/// Which partitions the rows of a write go to.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// All to this one.
    One(PartitionEntry),
    /// Each to the one that the hash of its partition key picks (the position of the key's column).
    ByKey(usize),
}

impl Route {
    /// The partition, if it is one.
    #[must_use]
    pub fn partition(&self) -> Option<&PartitionEntry> {
        match self {
            Route::One(partition) => Some(partition),
            Route::ByKey(_) => None,
        }
    }

    /// The partitions that a write to `name` (empty: the default) goes to.
    ///
    /// # Errors
    /// There is no such partition, or partitions are picked by key and one is named.
    pub fn of(target: &Target, name: &str) -> Result<Route, ProxyError> {
        let collection = &target.collection;
        if let Some(at) = collection.schema().fields.iter().position(|field| field.partition_key) {
            return if name.is_empty() {
                Ok(Route::ByKey(at))
            } else {
                Err(ProxyError::PartitionsPickedByKey)
            };
        }
        if !name.is_empty() {
            names::partition(name)?;
        }
        let name = if name.is_empty() { "_default" } else { name };
        match collection.partition(name) {
            Some(partition) => Ok(Route::One(partition.clone())),
            None => Err(ProxyError::PartitionNotFound(name.to_owned())),
        }
    }
}

/// What stands around a column in a message beside its name, in bytes, at most.
const COLUMN_BYTES: usize = 64;
/// How much longer the lengths and counts of a full message are than those of an empty one, at most.
const LENGTHS_BYTES: usize = 64;

/// How rows and keys become messages.
pub struct Writer<'a> {
    /// Whose rows.
    pub target: &'a Target,
    /// The schema that they were checked against.
    pub schema: &'a CollectionSchema,
    /// Bytes of a message with its properties, at most. A single row or key may take more.
    pub message_bytes_max: usize,
    /// Keys of a message that deletes, at most.
    pub delete_keys_max: usize,
}

impl Writer<'_> {
    /// Adds the messages that insert rows.
    ///
    /// # Panics
    /// If there are more or fewer ids than rows: such a message could not be read again.
    pub fn insert(&self, batches: &mut Batches, rows: Completed, row_ids: &[i64], route: &Route) {
        assert_eq!(row_ids.len(), rows.count, "a row has one id");
        let vchannels = &self.target.collection.vchannels;
        let by_key = match route {
            Route::One(_) => None,
            Route::ByKey(at) => keys::of_column(&rows.columns[*at]),
        };
        let partitions = self.target.collection.partitions.as_slice();
        let count = u32::try_from(partitions.len()).unwrap_or(1);
        let partition_of = |row| by_key.as_ref().map_or(0, |keys: &Keys| keys.shard_of(row, count) as usize);
        let groups = shards::split(&rows.keys, vchannels.len(), partition_of);
        let alone = groups.len() == 1;
        for ((shard, partition), positions) in groups {
            let partition = match route {
                Route::One(partition) => partition,
                Route::ByKey(_) => &partitions[partition],
            };
            let meta = self.meta(&vchannels[shard], Some(partition));
            let drafts = batches.entry(vchannels[shard].clone()).or_default();
            if alone {
                self.chunks(drafts, &meta, rows.columns, row_ids);
                return;
            }
            let ids: Vec<i64> = positions.iter().map(|&row| row_ids[row]).collect();
            let taken = rows.columns.iter().map(|column| columns::take(column, &positions)).collect();
            self.chunks(drafts, &meta, taken, &ids);
        }
    }

    /// Adds the messages that delete keys: in one partition, or in all.
    pub fn delete(&self, batches: &mut Batches, keys: &Keys, partition: Option<&PartitionEntry>) {
        let vchannels = &self.target.collection.vchannels;
        for ((shard, _), positions) in shards::split(keys, vchannels.len(), |_| 0) {
            let meta = self.meta(&vchannels[shard], partition);
            let drafts = batches.entry(vchannels[shard].clone()).or_default();
            let limit = self.bytes_left(&meta);
            for part in positions.chunks(self.delete_keys_max.max(1)) {
                for part in columns::key_chunks(keys, part, limit) {
                    let header = Header::Delete { collection: meta.collection, rows: part.len() as u64 };
                    let body = DeleteBody::encode(&meta, keys.take(part));
                    drafts.push(Draft::new(meta.vchannel.clone(), header, body));
                }
            }
        }
    }

    fn chunks(&self, drafts: &mut Vec<Draft>, meta: &BodyMeta, fields: Vec<FieldData>, row_ids: &[i64]) {
        let names: usize = fields.iter().map(|field| field.field_name.len() + COLUMN_BYTES).sum();
        let limit = self.bytes_left(meta).saturating_sub(names);
        let chunks = columns::chunks(&fields, row_ids.len(), limit);
        if let [_] = chunks.as_slice() {
            drafts.push(self.draft(meta, row_ids.to_vec(), fields));
            return;
        }
        for chunk in chunks {
            let positions: Vec<usize> = chunk.clone().collect();
            let part = fields.iter().map(|column| columns::take(column, &positions)).collect();
            drafts.push(self.draft(meta, row_ids[chunk].to_vec(), part));
        }
    }

    /// What a message has left for its rows or keys.
    fn bytes_left(&self, meta: &BodyMeta) -> usize {
        let empty = InsertBody::encode_with_row_ids(meta, Vec::new(), Vec::new());
        self.message_bytes_max.saturating_sub(empty.len() + LENGTHS_BYTES + Draft::PROPERTIES_BYTES)
    }

    fn draft(&self, meta: &BodyMeta, row_ids: Vec<i64>, fields: Vec<FieldData>) -> Draft {
        let rows = row_ids.len() as u64;
        let payload: Bytes = InsertBody::encode_with_row_ids(meta, row_ids, fields);
        let header = Header::Insert {
            collection: meta.collection,
            partition: meta.partition.unwrap_or_default(),
            rows,
            binary_size: payload.len() as u64,
            segment: None,
            schema_version: self.schema.version,
        };
        Draft::new(meta.vchannel.clone(), header, payload)
    }

    fn meta(&self, vchannel: &VChannel, partition: Option<&PartitionEntry>) -> BodyMeta {
        BodyMeta {
            vchannel: vchannel.clone(),
            database: self.target.database.id,
            database_name: self.target.database.name.clone(),
            collection: self.target.collection.id,
            collection_name: self.target.collection.name.clone(),
            partition: partition.map(|partition| partition.id),
            partition_name: partition.map_or_else(String::new, |partition| partition.name.clone()),
        }
    }
}

impl Proxy {
    /// Appends the messages of a request, all VChannels at once; those of one that has a key once, however often
    /// it comes. Answers the greatest tick.
    ///
    /// # Errors
    /// That of a VChannel; what went to the others may be stored.
    pub async fn append(&self, mut batches: Batches, key: Option<&RequestKey>) -> Result<Tick, ProxyError> {
        if let Some(key) = key {
            key.mark(&mut batches);
        }
        let client = &self.parts().client;
        let appends =
            batches.into_iter().map(|(vchannel, batch)| async move { client.append(&vchannel, batch).await });
        let answers: Result<Vec<Appended>, AppendError> = join_all(appends).await.into_iter().collect();
        Ok(answers?.iter().map(|appended| appended.tick).max().unwrap_or_default())
    }

    /// How rows and keys of a collection become messages.
    #[must_use]
    pub fn writer<'a>(&self, target: &'a Target) -> Writer<'a> {
        Writer {
            target,
            schema: target.collection.schema(),
            message_bytes_max: self.config().message_bytes_max,
            delete_keys_max: self.config().delete_keys_max,
        }
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
