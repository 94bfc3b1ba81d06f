//! What a message says without its payload: enough for the log's owner to sequence and place it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::{CollectionId, DatabaseId, FieldId, IndexId, PartitionId, SegmentId, Tick};

/// The typed header of a message: one variant for each kind that is stored (property `_h`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Header {
    /// Everything up to the message's tick has been said.
    TimeTick,
    /// Rows of one partition.
    Insert {
        /// Their collection.
        collection: CollectionId,
        /// Their partition.
        partition: PartitionId,
        /// How many.
        rows: u64,
        /// Their bytes, as the producer counts them.
        binary_size: u64,
        /// Where they go; filled in when the message is placed (W8).
        segment: Option<SegmentId>,
        /// The schema version that they were checked against.
        schema_version: i32,
    },
    /// Keys of rows that are gone.
    Delete {
        /// Their collection.
        collection: CollectionId,
        /// How many keys.
        rows: u64,
    },
    /// A segment exists.
    CreateSegment {
        /// Its collection.
        collection: CollectionId,
        /// Its partition.
        partition: PartitionId,
        /// Its id.
        segment: SegmentId,
        /// The generation of its file format.
        storage_version: i64,
        /// Bytes at which it is full.
        segment_bytes_max: u64,
        /// Rows at which it is full; 0 is no limit.
        rows_max: u64,
        /// The newest schema version when it was created.
        schema_version: i32,
    },
    /// A segment takes no more rows.
    Flush {
        /// Its collection.
        collection: CollectionId,
        /// Its partition.
        partition: PartitionId,
        /// Its id.
        segment: SegmentId,
    },
    /// Somebody asked for all rows so far to be persisted.
    ManualFlush {
        /// Of this collection.
        collection: CollectionId,
        /// Rows up to this tick.
        flush_tick: Tick,
        /// The segments that it closes; filled in when the message is placed.
        segments: Vec<SegmentId>,
    },
    /// A collection exists.
    CreateCollection {
        /// Its id.
        collection: CollectionId,
        /// Its first partitions.
        partitions: Vec<PartitionId>,
        /// Its database.
        database: DatabaseId,
    },
    /// A collection is gone.
    DropCollection {
        /// Its id.
        collection: CollectionId,
        /// Its database.
        database: DatabaseId,
    },
    /// A partition exists.
    CreatePartition {
        /// Its collection.
        collection: CollectionId,
        /// Its id.
        partition: PartitionId,
    },
    /// A partition is gone.
    DropPartition {
        /// Its collection.
        collection: CollectionId,
        /// Its id.
        partition: PartitionId,
    },
    /// A collection changed.
    AlterCollection {
        /// Its database.
        database: DatabaseId,
        /// Its id.
        collection: CollectionId,
        /// Which parts of the body hold ([`super::body::AlterCollectionBody::update_mask`]).
        update_mask: Vec<String>,
        /// The segments that the change closes; filled in when the message is placed.
        segments: Vec<SegmentId>,
    },
    /// A collection is to be loaded, or loaded otherwise.
    AlterLoadConfig {
        /// Its database.
        database: DatabaseId,
        /// Its id.
        collection: CollectionId,
        /// The partitions to load.
        partitions: Vec<PartitionId>,
        /// The fields to load; empty: all.
        load_fields: Vec<FieldId>,
        /// How many replicas.
        replicas: i32,
    },
    /// A collection is to be released.
    DropLoadConfig {
        /// Its database.
        database: DatabaseId,
        /// Its id.
        collection: CollectionId,
    },
    /// A database exists.
    CreateDatabase {
        /// Its name.
        name: String,
        /// Its id.
        database: DatabaseId,
    },
    /// A database's properties changed.
    AlterDatabase {
        /// Its name.
        name: String,
        /// Its id.
        database: DatabaseId,
    },
    /// A database is gone.
    DropDatabase {
        /// Its name.
        name: String,
        /// Its id.
        database: DatabaseId,
    },
    /// An alias names a collection.
    AlterAlias {
        /// Their database.
        database: DatabaseId,
        /// Its name.
        database_name: String,
        /// The collection.
        collection: CollectionId,
        /// The collection's name.
        collection_name: String,
        /// The alias.
        alias: String,
    },
    /// An alias is gone.
    DropAlias {
        /// Its database.
        database: DatabaseId,
        /// The database's name.
        database_name: String,
        /// The alias.
        alias: String,
    },
    /// An index exists.
    CreateIndex {
        /// Its database.
        database: DatabaseId,
        /// Its collection.
        collection: CollectionId,
        /// Its field.
        field: FieldId,
        /// Its id.
        index: IndexId,
        /// Its name.
        index_name: String,
    },
    /// The parameters of indexes changed.
    AlterIndex {
        /// Their collection.
        collection: CollectionId,
        /// The indexes.
        indexes: Vec<IndexId>,
    },
    /// Indexes are gone.
    DropIndex {
        /// Their collection.
        collection: CollectionId,
        /// The indexes; empty: all of the collection.
        indexes: Vec<IndexId>,
    },
    /// All rows of a collection are gone.
    TruncateCollection {
        /// Its database.
        database: DatabaseId,
        /// Its id.
        collection: CollectionId,
        /// The segments that it closes; filled in when the message is placed.
        segments: Vec<SegmentId>,
    },
    /// A transaction begins.
    BeginTxn {
        /// How long it lives without a message, in whole milliseconds; [`Duration::MAX`] is no limit.
        keepalive: Duration,
    },
    /// A transaction's messages become visible.
    CommitTxn,
    /// A transaction's messages never become visible.
    RollbackTxn,
}

impl Header {
    /// The kind of the message.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Header::TimeTick => Kind::TimeTick,
            Header::Insert { .. } => Kind::Insert,
            Header::Delete { .. } => Kind::Delete,
            Header::CreateSegment { .. } => Kind::CreateSegment,
            Header::Flush { .. } => Kind::Flush,
            Header::ManualFlush { .. } => Kind::ManualFlush,
            Header::CreateCollection { .. } => Kind::CreateCollection,
            Header::DropCollection { .. } => Kind::DropCollection,
            Header::CreatePartition { .. } => Kind::CreatePartition,
            Header::DropPartition { .. } => Kind::DropPartition,
            Header::AlterCollection { .. } => Kind::AlterCollection,
            Header::AlterLoadConfig { .. } => Kind::AlterLoadConfig,
            Header::DropLoadConfig { .. } => Kind::DropLoadConfig,
            Header::CreateDatabase { .. } => Kind::CreateDatabase,
            Header::AlterDatabase { .. } => Kind::AlterDatabase,
            Header::DropDatabase { .. } => Kind::DropDatabase,
            Header::AlterAlias { .. } => Kind::AlterAlias,
            Header::DropAlias { .. } => Kind::DropAlias,
            Header::CreateIndex { .. } => Kind::CreateIndex,
            Header::AlterIndex { .. } => Kind::AlterIndex,
            Header::DropIndex { .. } => Kind::DropIndex,
            Header::TruncateCollection { .. } => Kind::TruncateCollection,
            Header::BeginTxn { .. } => Kind::BeginTxn,
            Header::CommitTxn => Kind::CommitTxn,
            Header::RollbackTxn => Kind::RollbackTxn,
        }
    }

    /// The collection that the message is about.
    #[must_use]
    pub const fn collection(&self) -> Option<CollectionId> {
        match self {
            Header::Insert { collection, .. }
            | Header::Delete { collection, .. }
            | Header::CreateSegment { collection, .. }
            | Header::Flush { collection, .. }
            | Header::ManualFlush { collection, .. }
            | Header::CreateCollection { collection, .. }
            | Header::DropCollection { collection, .. }
            | Header::CreatePartition { collection, .. }
            | Header::DropPartition { collection, .. }
            | Header::AlterCollection { collection, .. }
            | Header::AlterLoadConfig { collection, .. }
            | Header::DropLoadConfig { collection, .. }
            | Header::AlterAlias { collection, .. }
            | Header::CreateIndex { collection, .. }
            | Header::AlterIndex { collection, .. }
            | Header::DropIndex { collection, .. }
            | Header::TruncateCollection { collection, .. } => Some(*collection),
            Header::TimeTick
            | Header::CreateDatabase { .. }
            | Header::AlterDatabase { .. }
            | Header::DropDatabase { .. }
            | Header::DropAlias { .. }
            | Header::BeginTxn { .. }
            | Header::CommitTxn
            | Header::RollbackTxn => None,
        }
    }

    /// The segments that the message closes, for the kinds that close some.
    pub(crate) fn closed_segments_mut(&mut self) -> Option<&mut Vec<SegmentId>> {
        match self {
            Header::ManualFlush { segments, .. }
            | Header::AlterCollection { segments, .. }
            | Header::TruncateCollection { segments, .. } => Some(segments),
            Header::TimeTick
            | Header::Insert { .. }
            | Header::Delete { .. }
            | Header::CreateSegment { .. }
            | Header::Flush { .. }
            | Header::CreateCollection { .. }
            | Header::DropCollection { .. }
            | Header::CreatePartition { .. }
            | Header::DropPartition { .. }
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
            | Header::RollbackTxn => None,
        }
    }
}
