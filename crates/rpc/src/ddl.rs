//! Changes of what exists: databases, collections, partitions, aliases, indexes, load states.

use std::collections::BTreeMap;

use cinclus_types::{
    Advice, CollectionId, CollectionSchema, ConsistencyLevel, IndexId, PartitionId, SegmentId, Tick,
};

/// One change. Names are resolved by the coordinator under its resource locks; an empty database name
/// means `default`.
#[derive(Clone, Debug, PartialEq)]
pub enum Ddl {
    /// Creates a collection. The proxy has checked the schema; field ids are assigned by it, in order.
    CreateCollection {
        /// The database.
        database: String,
        /// The collection's name.
        name: String,
        /// The schema, `$meta` included if it is dynamic.
        schema: CollectionSchema,
        /// VChannels; 0 means 1.
        shards: u32,
        /// Partitions to start with (`_default`, or `_default_0`… with a partition key).
        partitions: Vec<String>,
        /// The level of reads that name none.
        consistency: ConsistencyLevel,
        /// What the user set on it.
        properties: BTreeMap<String, String>,
    },
    /// Drops a collection. A collection that is missing is a success.
    DropCollection {
        /// The database.
        database: String,
        /// The collection; not an alias.
        name: String,
    },
    /// Renames a collection, or moves it to another database.
    RenameCollection {
        /// The database.
        database: String,
        /// The collection; not an alias.
        name: String,
        /// The new database; empty: the same.
        new_database: String,
        /// The new name.
        new_name: String,
    },
    /// Changes properties or the description of a collection.
    AlterCollection {
        /// The database.
        database: String,
        /// The collection or an alias.
        name: String,
        /// Properties to set.
        set: BTreeMap<String, String>,
        /// Properties to remove.
        remove: Vec<String>,
        /// The new description.
        description: Option<String>,
        /// The new level of reads that name none.
        consistency: Option<ConsistencyLevel>,
    },
    /// Changes the type parameters of a field (`max_length`, `max_capacity`, `mmap.enabled`, …).
    AlterField {
        /// The database.
        database: String,
        /// The collection or an alias.
        name: String,
        /// The field.
        field: String,
        /// Parameters to set.
        set: BTreeMap<String, String>,
        /// Parameters to remove.
        remove: Vec<String>,
    },
    /// Creates a partition. One that exists is a success.
    CreatePartition {
        /// The database.
        database: String,
        /// The collection or an alias.
        collection: String,
        /// The partition.
        partition: String,
    },
    /// Drops a partition. One that is missing is a success.
    DropPartition {
        /// The database.
        database: String,
        /// The collection or an alias.
        collection: String,
        /// The partition.
        partition: String,
    },
    /// Creates an alias, or points it at another collection.
    PutAlias {
        /// The database.
        database: String,
        /// The alias.
        alias: String,
        /// The collection.
        collection: String,
        /// Whether the alias must exist (alter) or must not (create).
        alter: bool,
    },
    /// Drops an alias. One that is missing is a success.
    DropAlias {
        /// The database.
        database: String,
        /// The alias.
        alias: String,
    },
    /// Creates a database.
    CreateDatabase {
        /// Its name.
        name: String,
        /// What the user set on it.
        properties: BTreeMap<String, String>,
    },
    /// Drops an empty database.
    DropDatabase {
        /// Its name.
        name: String,
    },
    /// Changes the properties of a database.
    AlterDatabase {
        /// Its name.
        name: String,
        /// Properties to set.
        set: BTreeMap<String, String>,
        /// Properties to remove.
        remove: Vec<String>,
    },
    /// Creates an index. The same parameters again are a success.
    CreateIndex {
        /// The database.
        database: String,
        /// The collection or an alias.
        collection: String,
        /// The field.
        field: String,
        /// Its name; empty: the field's.
        name: String,
        /// Its parameters, completed with defaults by the proxy.
        params: BTreeMap<String, String>,
    },
    /// Changes parameters of an index.
    AlterIndex {
        /// The database.
        database: String,
        /// The collection or an alias.
        collection: String,
        /// The index.
        name: String,
        /// Parameters to set.
        set: BTreeMap<String, String>,
        /// Parameters to remove.
        remove: Vec<String>,
    },
    /// Drops an index. One that is missing is a success.
    DropIndex {
        /// The database.
        database: String,
        /// The collection or an alias.
        collection: String,
        /// The index, or its field's name.
        name: String,
    },
    /// Loads a collection or partitions of it.
    Load {
        /// The database.
        database: String,
        /// The collection or an alias.
        collection: String,
        /// The partitions; `None`: all.
        partitions: Option<Vec<String>>,
        /// Delegators for each shard; 0 means 1.
        replicas: u32,
        /// Fields to load; empty: all.
        fields: Vec<String>,
    },
    /// Releases a collection or partitions of it.
    Release {
        /// The database.
        database: String,
        /// The collection or an alias.
        collection: String,
        /// The partitions; `None`: all.
        partitions: Option<Vec<String>>,
    },
    /// Seals all growing segments of a collection.
    Flush {
        /// The database.
        database: String,
        /// The collection or an alias.
        collection: String,
    },
}

/// A change took effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DdlDone {
    /// The tick at which it took effect: the greatest over all VChannels.
    pub tick: Tick,
    /// The segments that a flush sealed, also those sealed before and not yet persisted.
    pub sealed: Vec<SegmentId>,
}

/// Why a change did not take effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DdlError {
    /// No such database.
    #[error("database not found[database={0}]")]
    DatabaseNotFound(String),
    /// The database exists.
    #[error("database already exist: {0}")]
    DatabaseExists(String),
    /// The database holds collections.
    #[error("{0} not empty, must drop all collections before drop database")]
    DatabaseNotEmpty(String),
    /// No such collection.
    #[error("collection not found[database={database}][collection={collection}]")]
    CollectionNotFound {
        /// The database.
        database: String,
        /// The asked name.
        collection: String,
    },
    /// A collection of that name with another schema exists.
    #[error("create duplicate collection with different parameters, collection: {0}")]
    CollectionExists(String),
    /// The new name of a collection is taken.
    #[error("duplicated new collection name {database}:{name} with other collection name or alias")]
    NameTaken {
        /// The database.
        database: String,
        /// The name.
        name: String,
    },
    /// No such partition.
    #[error("partition not found[partition={0}]")]
    PartitionNotFound(String),
    /// The partition is loaded.
    #[error("partition cannot be dropped, partition is loaded, please release it first")]
    PartitionLoaded(PartitionId),
    /// No such alias.
    #[error("alias not found[database={database}][alias={alias}]")]
    AliasNotFound {
        /// The database.
        database: String,
        /// The alias.
        alias: String,
    },
    /// The alias names another collection.
    #[error(
        "{alias} is alias to another collection: {collection}: alias already exist[database={database}][alias={alias}]"
    )]
    AliasExists {
        /// The database.
        database: String,
        /// The alias.
        alias: String,
        /// What it names.
        collection: String,
    },
    /// A new collection has the name of an alias.
    #[error("collection name [{0}] conflicts with an existing alias, please choose a unique name")]
    CollectionNamedAsAlias(String),
    /// A collection is given the name of an alias.
    #[error("cannot rename collection to an existing alias: {0}")]
    RenamedToAlias(String),
    /// A collection has the name of the alias.
    #[error("alias and collection name conflict[database={database}][alias={alias}]")]
    AliasConflict {
        /// The database.
        database: String,
        /// The alias.
        alias: String,
    },
    /// A name stands for an alias where a collection must be named.
    #[error("{0}")]
    IsAlias(String),
    /// No such index.
    #[error("index not found[indexName={0}]")]
    IndexNotFound(String),
    /// Partitions are to be loaded, and none is named.
    #[error("failed to load partition, due to no partition specified")]
    NothingToLoad,
    /// Partitions are to be released, and none is named.
    #[error("invalid parameter[expected=any partition][actual=empty partition list]")]
    NothingToRelease,
    /// There are not as many nodes as replicas are asked for.
    #[error(
        "call query coordinator LoadCollection: when load {replicas} replica count: service resource insufficient[currentStreamingNode={nodes}][expectedStreamingNode={replicas}]"
    )]
    TooFewNodes {
        /// How many nodes there are.
        nodes: u32,
        /// How many are needed.
        replicas: u32,
    },
    /// A vector field of a collection to load has no index.
    #[error(
        "there is no vector index on field: [{fields}], please create index firstly: index not found[collection={collection}]"
    )]
    NoVectorIndex {
        /// The collection.
        collection: String,
        /// The fields without an index, with blanks between them.
        fields: String,
    },
    /// The field has another index.
    #[error("CreateIndex failed: at most one distinct index is allowed per field")]
    IndexExists(IndexId),
    /// An index of another name is on the field, or on the path in a JSON field.
    #[error(
        "CreateIndex failed: creating multiple indexes on same field is not supported: at most one distinct index is allowed per field"
    )]
    FieldIndexed,
    /// The collection is loaded.
    #[error(
        "vector index cannot be dropped on loaded collection: index cannot be dropped, collection is loaded, please release it first"
    )]
    CollectionLoaded(CollectionId),
    /// The collection is not loaded.
    #[error("collection not loaded[collection={0}]")]
    CollectionNotLoaded(CollectionId),
    /// No such field.
    #[error("field not found[field={0}]")]
    FieldNotFound(String),
    /// A limit of numbers is reached.
    #[error("{0}")]
    LimitExceeded(String),
    /// The change can never be made.
    #[error("{0}")]
    Invalid(String),
    /// The change could not be made now; if it was begun it will be completed.
    #[error("service not ready: {0}")]
    Unavailable(String),
}

impl DdlError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        if matches!(self, DdlError::Unavailable(_)) { Advice::Unknown } else { Advice::Reject }
    }
}
