//! The entries of databases, collections and aliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_types::{
    CollectionId, CollectionSchema, ConsistencyLevel, DatabaseId, FieldId, IndexId, PartitionId, Tick,
    VChannel,
};
use serde::{Deserialize, Serialize};

/// A database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatabaseEntry {
    /// Its id; `default` has 1.
    pub id: DatabaseId,
    /// Its name.
    pub name: String,
    /// What the user set on it.
    pub properties: BTreeMap<String, String>,
    /// When it was created.
    pub created: Tick,
}

/// A second name of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasEntry {
    /// The alias.
    pub name: String,
    /// The database it belongs to.
    pub database: DatabaseId,
    /// What it names.
    pub collection: CollectionId,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionEntry {
    /// Its id.
    pub id: PartitionId,
    /// Its name; `_default` always exists.
    pub name: String,
    /// When it was created.
    pub created: Tick,
}

/// An index of a field, as the user asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Its id.
    pub id: IndexId,
    /// Its name.
    pub name: String,
    /// The indexed field.
    pub field: FieldId,
    /// The parameters to echo (`index_type`, `metric_type`, …).
    pub params: BTreeMap<String, String>,
    /// When it was created.
    pub created: Tick,
}

/// Whether a collection can be searched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadState {
    /// Not loaded: searches fail.
    Released,
    /// Loaded.
    Loaded {
        /// The loaded partitions; `None`: all, also later ones.
        partitions: Option<Vec<PartitionId>>,
        /// Loaded fields; empty: all.
        fields: Vec<FieldId>,
        /// Delegators for each shard.
        replicas: u32,
    },
}

/// A schema and the tick from which it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaVersion {
    /// Rows with an effective tick from here on have it.
    pub from: Tick,
    /// The schema.
    pub schema: Arc<CollectionSchema>,
}

/// A collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionEntry {
    /// Its id.
    pub id: CollectionId,
    /// Its database.
    pub database: DatabaseId,
    /// Its name.
    pub name: String,
    /// All versions of its schema, oldest first; never empty.
    pub schemas: Vec<SchemaVersion>,
    /// Its partitions in the order of creation.
    pub partitions: Vec<PartitionEntry>,
    /// One VChannel for each shard, in shard order.
    pub vchannels: Vec<VChannel>,
    /// The level of reads that name none.
    pub consistency: ConsistencyLevel,
    /// What the user set on it.
    pub properties: BTreeMap<String, String>,
    /// Its indexes.
    pub indexes: Vec<IndexEntry>,
    /// Whether it can be searched.
    pub load: LoadState,
    /// When it was created.
    pub created: Tick,
    /// When it was last changed.
    pub updated: Tick,
}

impl CollectionEntry {
    /// The schema in force.
    ///
    /// # Panics
    /// If the entry has no schema: none such is ever stored.
    #[must_use]
    pub fn schema(&self) -> &Arc<CollectionSchema> {
        &self.schemas.last().expect("a collection has a schema").schema
    }

    /// The partition of that name.
    #[must_use]
    pub fn partition(&self, name: &str) -> Option<&PartitionEntry> {
        self.partitions.iter().find(|partition| partition.name == name)
    }

    /// The index of a field.
    #[must_use]
    pub fn index_of(&self, field: FieldId) -> Option<&IndexEntry> {
        self.indexes.iter().find(|index| index.field == field)
    }

    /// Whether searches are served.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        matches!(self.load, LoadState::Loaded { .. })
    }

    /// Whether searches of a partition are served.
    #[must_use]
    pub fn is_partition_loaded(&self, partition: PartitionId) -> bool {
        match &self.load {
            LoadState::Released => false,
            LoadState::Loaded { partitions, .. } => {
                partitions.as_ref().is_none_or(|loaded| loaded.contains(&partition))
            }
        }
    }
}
