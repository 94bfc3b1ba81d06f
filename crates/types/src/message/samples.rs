//! One message of each kind, for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::body::{
    AlterCollectionBody, BodyMeta, CreateCollectionBody, DatabaseBody, DeleteBody, DropCollectionBody,
    IndexBody, InsertBody, PartitionBody, TimeTickBody,
};
use super::{
    BroadcastHeader, Draft, Header, LastConfirmed, Placed, Placement, ResourceDomain, ResourceKey, TxnContext,
};
use crate::{
    BroadcastId, CollectionId, CollectionSchema, Column, ColumnData, ConsistencyLevel, DataType, DatabaseId,
    FieldId, FieldSchema, IndexId, Keys, MessageId, PartitionId, Rows, SegmentId, Term, Tick, TxnId,
    VChannel, Value,
};

pub(crate) const TICK: Tick = Tick(450_000_000_000_000_123);
pub(crate) const COLLECTION: CollectionId = CollectionId(100);
pub(crate) const PARTITION: PartitionId = PartitionId(200);
pub(crate) const SEGMENT: SegmentId = SegmentId(300);
pub(crate) const DATABASE: DatabaseId = DatabaseId(1);

pub(crate) fn shard() -> VChannel {
    VChannel::new("by-dev-rootcoord-dml_0_100v0")
}

pub(crate) fn meta() -> BodyMeta {
    BodyMeta {
        vchannel: shard(),
        database: DATABASE,
        database_name: "default".to_owned(),
        collection: COLLECTION,
        collection_name: "docs".to_owned(),
        partition: Some(PARTITION),
        partition_name: "_default".to_owned(),
    }
}

pub(crate) fn schema() -> CollectionSchema {
    let mut title = FieldSchema::new(FieldId(102), "title", DataType::VarChar).with_param("max_length", 64);
    title.description = "t".to_owned();
    title.nullable = true;
    title.default = Some(Value::Text("none".to_owned()));
    let mut tags = FieldSchema::new(FieldId(103), "tags", DataType::Array);
    tags.element_type = Some(DataType::VarChar);
    let tags = tags.with_param("max_capacity", 8).with_param("max_length", 16);
    let mut undeclared = FieldSchema::new(FieldId(104), CollectionSchema::DYNAMIC_FIELD, DataType::Json);
    undeclared.dynamic = true;
    CollectionSchema {
        name: "docs".to_owned(),
        description: "words".to_owned(),
        fields: vec![
            FieldSchema::new(FieldId(100), "id", DataType::Int64).as_primary_key(),
            FieldSchema::new(FieldId(101), "vector", DataType::FloatVector).with_param("dim", 2),
            title,
            tags,
            undeclared,
        ],
        dynamic: true,
        version: 2,
    }
}

pub(crate) fn rows() -> Rows {
    let texts = |texts: &[&str]| ColumnData::VarChar(texts.iter().collect());
    let lists = vec![texts(&["x", "y"]), texts(&[]), texts(&["z"])];
    let floats = vec![1.0, -0.5, 0.25, 2.0, 0.0, 3.5];
    let documents = ["{}", r#"{"k":1}"#, "{}"];
    Rows {
        count: 3,
        columns: vec![
            Column::new(FieldId(100), ColumnData::Int64(vec![1, -2, 3])),
            Column::new(FieldId(101), ColumnData::FloatVector { dim: 2, data: floats }),
            Column::new(FieldId(102), texts(&["a", "", "Größe"])),
            Column::new(FieldId(103), ColumnData::Array(lists)),
            Column::new(FieldId(104), ColumnData::Json(documents.into_iter().collect())),
        ],
    }
}

pub(crate) fn create_collection() -> CreateCollectionBody {
    CreateCollectionBody {
        database: DATABASE,
        database_name: "default".to_owned(),
        collection: COLLECTION,
        collection_name: "docs".to_owned(),
        schema: schema(),
        properties: map(&[("collection.ttl.seconds", "60")]),
        consistency: ConsistencyLevel::Bounded,
        vchannels: vec![shard()],
        partitions: vec![(PARTITION, "_default".to_owned())],
    }
}

pub(crate) fn alter_collection() -> AlterCollectionBody {
    AlterCollectionBody {
        database: Some((DatabaseId(2), "other".to_owned())),
        collection_name: Some("texts".to_owned()),
        description: Some("d".to_owned()),
        schema: Some(schema()),
        consistency: Some(ConsistencyLevel::Eventually),
        properties: Some(map(&[("mmap.enabled", "true")])),
    }
}

pub(crate) fn partition() -> PartitionBody {
    PartitionBody {
        database: DATABASE,
        database_name: "default".to_owned(),
        collection: COLLECTION,
        collection_name: "docs".to_owned(),
        partition: PartitionId(201),
        partition_name: "p".to_owned(),
    }
}

pub(crate) fn index() -> IndexBody {
    IndexBody {
        collection: COLLECTION,
        field: FieldId(101),
        index: IndexId(400),
        name: "vector".to_owned(),
        type_params: map(&[("dim", "2")]),
        params: map(&[("index_type", "FLAT"), ("metric_type", "L2")]),
        user_params: map(&[("metric_type", "L2")]),
        auto: true,
        created: TICK,
    }
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

const TXN: TxnContext = TxnContext { txn: TxnId(900), keepalive: Duration::from_secs(10) };

fn draft(header: Header, payload: Bytes) -> Draft {
    Draft::new(shard(), header, payload)
}

fn placed(draft: Draft, placement: Placement) -> Placed {
    let last_confirmed = LastConfirmed::Id(MessageId::from_parts(0, 3, 42));
    draft.stamp(TICK, Term(7), last_confirmed).place(placement)
}

fn closes(segments: &[i64]) -> Placement {
    Placement::Closes(segments.iter().copied().map(SegmentId).collect())
}

/// One message of each kind that is stored.
pub(crate) fn one_of_each_kind() -> Vec<Placed> {
    let mut all = about_rows();
    all.extend(about_collections());
    all.extend(about_the_rest());
    all.extend(about_transactions());
    all
}

fn about_rows() -> Vec<Placed> {
    let (collection, partition, segment) = (COLLECTION, PARTITION, SEGMENT);
    let insert =
        Header::Insert { collection, partition, rows: 3, binary_size: 99, segment: None, schema_version: 2 };
    let mut insert = draft(insert, InsertBody::encode_rows(&meta(), &schema(), rows()));
    insert.txn = Some(TXN);
    insert.idempotency_key = Some("k-1".to_owned());
    let everywhere = BodyMeta { partition: None, partition_name: String::new(), ..meta() };
    let keys = DeleteBody::encode(&everywhere, Keys::Int64(vec![7, 8]));
    let mut delete = draft(Header::Delete { collection, rows: 2 }, keys);
    delete.trace = Some("trace-1".to_owned());
    let create_segment = Header::CreateSegment {
        collection,
        partition,
        segment,
        storage_version: 2,
        segment_bytes_max: 1 << 30,
        rows_max: 1000,
        schema_version: 2,
    };
    let flush = Header::Flush { collection, partition, segment };
    let manual = Header::ManualFlush { collection, flush_tick: TICK, segments: Vec::new() };
    let truncate = Header::TruncateCollection { database: DATABASE, collection, segments: Vec::new() };
    vec![
        placed(Draft::time_tick(TimeTickBody::encode_at(TICK)), Placement::Nowhere),
        placed(insert, Placement::Into(segment)),
        placed(delete, Placement::Nowhere),
        placed(draft(create_segment, Bytes::new()), Placement::Nowhere),
        placed(draft(flush, Bytes::new()), Placement::Nowhere),
        placed(draft(manual, Bytes::new()), closes(&[300, 301])),
        placed(draft(truncate, Bytes::new()), closes(&[300])),
    ]
}

fn about_collections() -> Vec<Placed> {
    let (database, collection) = (DATABASE, COLLECTION);
    let create = Header::CreateCollection { collection, partitions: vec![PARTITION], database };
    let mut create = draft(create, create_collection().encode());
    let locks = |domain, key: &str, shared| ResourceKey { domain, key: key.to_owned(), shared };
    create.broadcast = Some(BroadcastHeader {
        id: BroadcastId(77),
        vchannels: vec![shard(), shard().pchannel().control()],
        ack_sync_up: true,
        resource_keys: vec![
            locks(ResourceDomain::Collection, "default:docs", false),
            locks(ResourceDomain::Database, "default", true),
        ],
    });
    let drop = DropCollectionBody {
        database,
        database_name: "default".to_owned(),
        collection,
        collection_name: "docs".to_owned(),
    };
    let alter = alter_collection();
    let update_mask = alter.update_mask();
    let alter_header = Header::AlterCollection { database, collection, update_mask, segments: Vec::new() };
    let partition = PartitionId(201);
    let load = Header::AlterLoadConfig {
        database,
        collection,
        partitions: vec![PARTITION, partition],
        load_fields: vec![FieldId(100), FieldId(101)],
        replicas: 2,
    };
    let release = Header::DropLoadConfig { database, collection };
    vec![
        placed(create, Placement::Nowhere),
        placed(draft(Header::DropCollection { collection, database }, drop.encode()), Placement::Nowhere),
        placed(draft(alter_header, alter.encode()), closes(&[300])),
        placed(
            draft(Header::CreatePartition { collection, partition }, self::partition().encode_create()),
            Placement::Nowhere,
        ),
        placed(
            draft(Header::DropPartition { collection, partition }, self::partition().encode_drop()),
            Placement::Nowhere,
        ),
        placed(draft(load, Bytes::new()), Placement::Nowhere),
        placed(draft(release, Bytes::new()), Placement::Nowhere),
    ]
}

fn about_the_rest() -> Vec<Placed> {
    let (database, collection) = (DATABASE, COLLECTION);
    let (name, other) = ("other".to_owned(), DatabaseId(2));
    let database_name = "default".to_owned();
    let created = DatabaseBody { properties: map(&[("database.replica.number", "1")]) };
    let altered = DatabaseBody { properties: map(&[("a", "b")]) };
    let alias = Header::AlterAlias {
        database,
        database_name: database_name.clone(),
        collection,
        collection_name: "docs".to_owned(),
        alias: "d".to_owned(),
    };
    let (field, id) = (FieldId(101), IndexId(400));
    let index_header =
        Header::CreateIndex { database, collection, field, index: id, index_name: "vector".to_owned() };
    let list = [
        draft(Header::CreateDatabase { name: name.clone(), database: other }, created.encode()),
        draft(Header::AlterDatabase { name: name.clone(), database: other }, altered.encode()),
        draft(Header::DropDatabase { name, database: other }, Bytes::new()),
        draft(alias, Bytes::new()),
        draft(Header::DropAlias { database, database_name, alias: "d".to_owned() }, Bytes::new()),
        draft(index_header, index().encode_create()),
        draft(Header::AlterIndex { collection, indexes: vec![id] }, IndexBody::encode_alter(&[index()])),
        draft(Header::DropIndex { collection, indexes: vec![id, IndexId(401)] }, Bytes::new()),
    ];
    list.into_iter().map(|draft| placed(draft, Placement::Nowhere)).collect()
}

fn about_transactions() -> Vec<Placed> {
    let of_txn = |header, txn| Draft { txn: Some(txn), ..draft(header, Bytes::new()) };
    let forever = TxnContext { keepalive: Duration::MAX, ..TXN };
    let commit = of_txn(Header::CommitTxn, TXN).stamp(TICK, Term(7), LastConfirmed::Own);
    vec![
        placed(of_txn(Header::BeginTxn { keepalive: TXN.keepalive }, TXN), Placement::Nowhere),
        commit.place(Placement::Nowhere),
        placed(of_txn(Header::RollbackTxn, forever), Placement::Nowhere),
    ]
}
