//! Rows and keys as messages.

use std::sync::Arc;

use cinclus_catalog::{CollectionEntry, DatabaseEntry, LoadState, SchemaVersion};
use cinclus_types::proto::schema::{
    FieldData, FloatArray, LongArray, ScalarField, VectorField, field_data, scalar_field, vector_field,
};
use cinclus_types::{
    CollectionId, Column, ColumnData, ConsistencyLevel, DataType, DatabaseId, FieldId, FieldSchema, PChannel,
    PartitionId,
};

use super::*;
use crate::upsert;
use crate::validate::Checked;

/// id, v (2 floats), k (Int64; the partition key if there is more than one partition).
fn target(shards: u32, partitions: i64) -> Target {
    let mut k = FieldSchema::new(FieldId(102), "k", DataType::Int64);
    k.partition_key = partitions > 1;
    let schema = CollectionSchema {
        fields: vec![
            FieldSchema::new(FieldId(100), "id", DataType::Int64).as_primary_key(),
            FieldSchema::new(FieldId(101), "v", DataType::FloatVector).with_param("dim", 2),
            k,
        ],
        ..CollectionSchema::default()
    };
    let partition = |number| PartitionEntry {
        id: PartitionId(50 + number),
        name: if partitions > 1 { format!("_default_{number}") } else { "_default".to_owned() },
        created: Tick(1),
    };
    let database = DatabaseEntry {
        id: DatabaseId(1),
        name: "default".to_owned(),
        properties: BTreeMap::new(),
        created: Tick(1),
    };
    let collection = CollectionEntry {
        id: CollectionId(7),
        database: DatabaseId(1),
        name: "c".to_owned(),
        schemas: vec![SchemaVersion { from: Tick(1), schema: Arc::new(schema) }],
        partitions: (0..partitions).map(partition).collect(),
        vchannels: (0..shards).map(|n| PChannel::numbered("log", n).shard(CollectionId(7), n)).collect(),
        consistency: ConsistencyLevel::Bounded,
        properties: BTreeMap::new(),
        indexes: Vec::new(),
        load: LoadState::Released,
        created: Tick(1),
        updated: Tick(1),
    };
    Target { database: Arc::new(database), collection: Arc::new(collection) }
}

fn longs(name: &str, data: Vec<i64>) -> FieldData {
    let data = Some(scalar_field::Data::LongData(LongArray { data }));
    let field = Some(field_data::Field::Scalars(ScalarField { data, valid_data: vec![] }));
    FieldData { field_name: name.to_owned(), field, ..FieldData::default() }
}

fn checked(target: &Target, keys: &[i64], more: &[i64]) -> Checked {
    let data = Some(vector_field::Data::FloatVector(FloatArray { data: vec![0.5; keys.len() * 2] }));
    let field = Some(field_data::Field::Vectors(VectorField { dim: 2, data, valid_data: vec![] }));
    let vectors = FieldData { field_name: "v".to_owned(), field, ..FieldData::default() };
    let given = vec![longs("id", keys.to_vec()), vectors, longs("k", more.to_vec())];
    Checked::insert(target.collection.schema(), given, keys.len()).unwrap()
}

fn writer(target: &Target, message_bytes_max: usize) -> Writer<'_> {
    Writer { target, schema: target.collection.schema(), message_bytes_max, delete_keys_max: 3 }
}

/// What a message says: the partition and (key, value of k) of its rows, or the deleted keys.
#[derive(Debug, PartialEq)]
enum Said {
    Rows(i64, Vec<(i64, i64)>),
    Gone(Vec<i64>),
}

fn read(target: &Target, vchannel: &VChannel, draft: &Draft) -> Said {
    assert_eq!(draft.vchannel.as_ref(), Some(vchannel));
    if let Header::Delete { rows, .. } = &draft.header {
        let body = DeleteBody::decode(&draft.payload).unwrap();
        assert_eq!((body.keys.len() as u64, body.partition), (*rows, None));
        let Keys::Int64(keys) = body.keys else { panic!("the keys are numbers") };
        return Said::Gone(keys);
    }
    let Header::Insert { rows, partition, segment, binary_size, collection, .. } = &draft.header else {
        panic!("{:?} was not asked for", draft.header)
    };
    let decoded = InsertBody::decode(&draft.payload, target.collection.schema()).unwrap();
    assert_eq!((decoded.count as u64, *segment), (*rows, None));
    assert_eq!((*binary_size, *collection), (draft.payload.len() as u64, CollectionId(7)));
    let numbers = |column: &Column| {
        let ColumnData::Int64(numbers) = &column.data else { panic!("{column:?} holds no numbers") };
        numbers.clone()
    };
    let (keys, more) = (numbers(&decoded.columns[0]), numbers(&decoded.columns[2]));
    Said::Rows(partition.0, keys.into_iter().zip(more).collect())
}

fn said(target: &Target, batches: &Batches) -> Vec<(String, Vec<Said>)> {
    let batch = |(vchannel, drafts): (&VChannel, &Vec<Draft>)| {
        (vchannel.name().to_owned(), drafts.iter().map(|draft| read(target, vchannel, draft)).collect())
    };
    batches.iter().map(batch).collect()
}

fn one(target: &Target) -> Route {
    Route::of(target, "").unwrap()
}

#[test]
fn rows_of_one_shard_are_one_message() {
    let target = target(1, 1);
    let mut batches = Batches::new();
    let rows = checked(&target, &[1, 2], &[10, 20]).complete(target.collection.schema(), &[]);
    writer(&target, 1 << 20).insert(&mut batches, rows, &[7, 8], &one(&target));
    let due = vec![("log_0_7v0".to_owned(), vec![Said::Rows(50, vec![(1, 10), (2, 20)])])];
    assert_eq!(said(&target, &batches), due);
}

#[test]
fn every_row_goes_once_to_its_shard_and_partition() {
    let target = target(3, 4);
    let keys: Vec<i64> = (0..200).collect();
    let more: Vec<i64> = keys.iter().map(|key| key % 17).collect();
    let mut batches = Batches::new();
    let rows = checked(&target, &keys, &more).complete(target.collection.schema(), &[]);
    writer(&target, 1 << 20).insert(&mut batches, rows, &keys, &Route::ByKey(2));
    let mut seen = Vec::new();
    for (shard, (vchannel, drafts)) in batches.iter().enumerate() {
        for draft in drafts {
            let Said::Rows(partition, rows) = read(&target, vchannel, draft) else { panic!("no rows") };
            for (key, more) in rows {
                assert_eq!(Keys::Int64(vec![key]).shard_of(0, 3) as usize, shard);
                assert_eq!(i64::from(Keys::Int64(vec![more]).shard_of(0, 4)) + 50, partition);
                seen.push((key, more));
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, keys.into_iter().zip(more).collect::<Vec<_>>());
}

#[test]
fn rows_that_are_too_much_for_a_message_are_several() {
    let target = target(1, 1);
    let keys: Vec<i64> = (0..100).collect();
    let mut batches = Batches::new();
    let rows = checked(&target, &keys, &keys).complete(target.collection.schema(), &[]);
    writer(&target, 500).insert(&mut batches, rows, &keys, &one(&target));
    let [(_, messages)] = said(&target, &batches).try_into().unwrap();
    assert!(messages.len() > 3, "{} messages", messages.len());
    let rows: Vec<i64> = messages
        .into_iter()
        .flat_map(|message| {
            let Said::Rows(50, rows) = message else { panic!("{message:?} are no rows of the partition") };
            rows
        })
        .map(|row| row.0)
        .collect();
    assert_eq!(rows, keys);
}

#[test]
fn an_upsert_deletes_its_keys_and_inserts_its_rows() {
    let target = target(1, 1);
    let rows = checked(&target, &[1, 2, 3, 4], &[10, 20, 30, 40]);
    let route = one(&target);
    let (keys, batches) =
        upsert::messages(&writer(&target, 1 << 20), rows, None, &[1, 2, 3, 4], (&route, None));
    assert_eq!(keys, Keys::Int64(vec![1, 2, 3, 4]));
    let due = vec![
        Said::Gone(vec![1, 2, 3]),
        Said::Gone(vec![4]),
        Said::Rows(50, vec![(1, 10), (2, 20), (3, 30), (4, 40)]),
    ];
    assert_eq!(said(&target, &batches), [("log_0_7v0".to_owned(), due)]);
}

#[test]
fn a_partition_is_named_or_picked_but_not_both() {
    let text = |result: Result<Route, ProxyError>| result.unwrap_err().to_string();
    assert!(
        matches!(Route::of(&target(1, 1), "_default"), Ok(Route::One(partition)) if partition.id.0 == 50)
    );
    assert_eq!(Route::of(&target(1, 4), ""), Ok(Route::ByKey(2)));
    assert_eq!(text(Route::of(&target(1, 1), "p")), "partition not found[partition=p]");
    assert!(text(Route::of(&target(1, 4), "_default_0")).contains("partition key mode is used"));
}

/// What the log counts of a message: its payload and properties.
fn fits(draft: &Draft, limit: usize) -> bool {
    draft.bytes() as usize <= limit
}

#[test]
fn messages_of_several_rows_stay_below_the_limit() {
    let target = target(1, 1);
    let keys: Vec<i64> = (0..5_000).map(|n| i64::MAX - n).collect();
    let rows = || checked(&target, &keys, &keys).complete(target.collection.schema(), &[]);
    for limit in (1_000..20_000).step_by(997) {
        let mut batches = Batches::new();
        writer(&target, limit).insert(&mut batches, rows(), &keys, &one(&target));
        let drafts: Vec<&Draft> = batches.values().flatten().collect();
        let rows_of = |draft: &Draft| {
            let Header::Insert { rows, .. } = draft.header else { panic!("only rows were written") };
            rows
        };
        assert_eq!(drafts.iter().map(|draft| rows_of(draft)).sum::<u64>(), 5_000);
        assert!(drafts.iter().all(|draft| fits(draft, limit) || rows_of(draft) == 1), "limit {limit}");
        assert!(limit < 2_000 || drafts.len() < 5_000 * 80 / (limit - 900), "room is used: {}", drafts.len());
    }
}

#[test]
fn messages_of_several_long_keys_stay_below_the_limit() {
    let target = target(1, 1);
    let keys = Keys::VarChar((0..300).map(|n| format!("{n}{}", "x".repeat(n % 97 * 10))).collect());
    for limit in (2_000..40_000).step_by(1_501) {
        let mut batches = Batches::new();
        let writer = Writer { delete_keys_max: 100, ..writer(&target, limit) };
        writer.delete(&mut batches, &keys, None);
        let drafts: Vec<&Draft> = batches.values().flatten().collect();
        assert!(drafts.iter().all(|draft| fits(draft, limit)), "limit {limit}");
        let deleted: Vec<Keys> =
            drafts.iter().map(|draft| DeleteBody::decode(&draft.payload).unwrap().keys).collect();
        assert_eq!(deleted.iter().map(Keys::len).sum::<usize>(), 300);
        assert!(deleted.iter().all(|keys| keys.len() <= 100));
    }
}
