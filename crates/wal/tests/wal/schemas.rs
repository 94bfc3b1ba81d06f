//! Rows that were made for another schema than the one in force: they are reported, and not stored.

use std::collections::BTreeMap;

use cinclus_rpc::AppendError;
use cinclus_types::message::body::{AlterCollectionBody, CreateCollectionBody};
use cinclus_types::message::{Draft, Header};
use cinclus_types::{CollectionId, CollectionSchema, ConsistencyLevel, DatabaseId, VChannel};
use cinclus_wal::WalConfig;

use crate::common::*;

fn schema(version: i32) -> CollectionSchema {
    CollectionSchema { version, ..CollectionSchema::default() }
}

fn create(shard: &VChannel, version: i32) -> Draft {
    let body = CreateCollectionBody {
        database: DatabaseId(1),
        database_name: "default".to_owned(),
        collection: CollectionId(7),
        collection_name: "rows".to_owned(),
        schema: schema(version),
        properties: BTreeMap::new(),
        consistency: ConsistencyLevel::Strong,
        vchannels: vec![shard.clone()],
        partitions: vec![(PARTITION, "first".to_owned())],
    };
    Draft { payload: body.encode(), ..create_collection(shard, 7) }
}

fn change(shard: &VChannel, version: i32) -> Draft {
    let body = AlterCollectionBody {
        database: None,
        collection_name: None,
        description: None,
        schema: Some(schema(version)),
        consistency: None,
        properties: None,
    };
    let header = Header::AlterCollection {
        database: DatabaseId(1),
        collection: CollectionId(7),
        update_mask: body.update_mask(),
        segments: Vec::new(),
    };
    Draft::new(shard.clone(), header, body.encode())
}

fn made_for(version: i32, shard: &VChannel) -> Draft {
    let mut draft = insert(shard, 7, &format!("of {version}"));
    if let Header::Insert { schema_version, .. } = &mut draft.header {
        *schema_version = version;
    }
    draft
}

#[tokio::test(start_paused = true)]
async fn rows_of_another_schema_are_reported_and_not_stored() {
    let world = World::new(70).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create(&shard, 3)]).await.unwrap();
    wal.append(vec![made_for(3, &shard)]).await.unwrap();
    let changed = wal.append(vec![change(&shard, 4)]).await.unwrap();
    assert_eq!(changed.sealed.len(), 1, "rows of one schema are in one segment");
    let before = world.log().await.len();
    for given in [3, 5] {
        let mismatch = AppendError::SchemaMismatch { given, current: 4 };
        assert_eq!(wal.append(vec![made_for(given, &shard)]).await, Err(mismatch.clone()));
        // Nothing of a request is stored of which one part does not fit.
        let request = vec![made_for(4, &shard), made_for(given, &shard)];
        assert_eq!(wal.append(request).await, Err(mismatch));
    }
    assert_eq!(world.log().await.len(), before);
    wal.append(vec![made_for(4, &shard), delete(&shard, 7, "a delete has no schema")]).await.unwrap();
    // The next owner, from a checkpoint and without one, knows which schema is in force.
    let (_, cut) = pump.state().await;
    wal.close().await;
    for term in 2..4 {
        let (wal, _pump) = world.serve(term, WalConfig::default()).await;
        let refused = wal.append(vec![made_for(3, &shard)]).await;
        assert_eq!(refused, Err(AppendError::SchemaMismatch { given: 3, current: 4 }));
        wal.append(vec![made_for(4, &shard)]).await.unwrap();
        world.commit(&wal, &cut).await;
        wal.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_over_a_change_of_the_schema_fails_and_its_rows_are_nowhere() {
    let world = World::new(71).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create(&shard, 1)]).await.unwrap();
    let txn = wal.begin_txn(&shard, None).await.unwrap();
    wal.append_in_txn(txn, vec![made_for(1, &shard)]).await.unwrap();
    wal.append(vec![change(&shard, 2)]).await.unwrap();
    assert!(matches!(wal.commit_txn(&shard, txn).await, Err(AppendError::TxnRolledBack(..))));
    let txn = wal.begin_txn(&shard, None).await.unwrap();
    let refused = wal.append_in_txn(txn, vec![made_for(1, &shard)]).await;
    assert_eq!(refused, Err(AppendError::SchemaMismatch { given: 1, current: 2 }));
    wal.append_in_txn(txn, vec![made_for(2, &shard)]).await.unwrap();
    wal.commit_txn(&shard, txn).await.unwrap();
    drop(pump.state().await);
    assert_eq!(pump.payloads().last().unwrap(), "of 2");
    assert!(!pump.payloads().contains(&"of 1".to_owned()));
}
