//! The catalog on a memory store.

use std::sync::Arc;

use cinclus_catalog::{
    CatalogChange, CatalogError, ChannelCheckpoint, CollectionEntry, Collections, LoadState, SchemaVersion,
    SegmentChange, Segments,
};
use cinclus_env::Env;
use cinclus_meta::{Config, DynMetaStore, MemoryMetaStore, Write};
use cinclus_types::{
    Checkpoint, CollectionId, ConsistencyLevel, DatabaseId, MessageId, PChannel, PartitionId, SegmentEntry,
    SegmentId, SegmentState, Term, Tick, VChannelEntry,
};

fn store(env: &Env) -> DynMetaStore {
    Arc::new(MemoryMetaStore::new(&Config::default(), env.clock.clone(), &env.tasks))
}

fn collection(id: i64, name: &str) -> CollectionEntry {
    CollectionEntry {
        id: CollectionId(id),
        database: DatabaseId(1),
        name: name.to_owned(),
        schemas: vec![SchemaVersion { from: Tick(1), schema: Arc::default() }],
        partitions: vec![],
        vchannels: vec![PChannel::new("log_0").shard(CollectionId(id), 0)],
        consistency: ConsistencyLevel::Bounded,
        properties: Default::default(),
        indexes: vec![],
        load: LoadState::Released,
        created: Tick(1),
        updated: Tick(1),
    }
}

#[tokio::test]
async fn a_change_is_in_the_view_when_the_call_returns_and_reaches_other_views() {
    let env = Env::test(1);
    let meta = store(&env);
    let mine = Collections::open(meta.clone(), &env).await.unwrap();
    let theirs = Collections::open(meta.clone(), &env).await.unwrap();
    let mut seen = theirs.changes();
    let change = CatalogChange {
        put_collections: vec![collection(7, "a")],
        extra: vec![Write::Put { key: "task".to_owned(), value: "x".into(), lease: None }],
        ..CatalogChange::default()
    };
    mine.update(change).await.unwrap();
    let view = mine.view();
    let found = view.resolve(DatabaseId(1), "a").unwrap();
    assert_eq!(view.by_vchannel(&found.vchannels[0]).unwrap().id, CollectionId(7));
    assert!(meta.get("task").await.unwrap().is_some());
    while theirs.view().collection(CollectionId(7)).is_none() {
        seen.changed().await.unwrap();
    }
    let renamed = CollectionEntry { name: "b".to_owned(), ..collection(7, "a") };
    theirs.update(CatalogChange { put_collections: vec![renamed], ..Default::default() }).await.unwrap();
    assert!(theirs.view().by_name(DatabaseId(1), "a").is_none());
    let gone = CatalogChange { delete_collections: vec![CollectionId(7)], ..Default::default() };
    theirs.update(gone).await.unwrap();
    assert!(theirs.view().all_collections().next().is_none());
}

#[tokio::test]
async fn an_owner_of_an_earlier_term_commits_nothing() {
    let env = Env::test(1);
    let meta = store(&env);
    let segments = Segments::open(meta, &env).await.unwrap();
    let (log, shard) = (PChannel::new("log_0"), PChannel::new("log_0").shard(CollectionId(7), 0));
    let record = |term, tick| ChannelCheckpoint {
        term: Term(term),
        checkpoint: Checkpoint { resume: MessageId::from_parts(0, 1, 2), tick: Tick(tick) },
        truncate_below: MessageId::from_parts(0, 1, 0),
        state: "any\nbytes".into(),
    };
    let entry = SegmentEntry {
        id: SegmentId(5),
        collection: CollectionId(7),
        partition: PartitionId(8),
        vchannel: shard.clone(),
        state: SegmentState::Growing,
        chunks: vec![],
        created: Tick(5),
        sealed: Tick::ZERO,
    };
    let first = segments.claim(&log, Term(1)).await.unwrap();
    let note = VChannelEntry { persisted_tick: Tick(9), ..VChannelEntry::default() };
    let changes = vec![SegmentChange::Put(entry), SegmentChange::VChannel(shard.clone(), note)];
    segments.commit(&first, record(1, 9), changes).await.unwrap();
    assert_eq!(segments.view(&shard).vchannel.persisted_tick, Tick(9));
    assert_eq!(segments.all().len(), 1);

    let second = segments.claim(&log, Term(2)).await.unwrap();
    let fenced = CatalogError::Fenced { channel: log.clone(), term: Term(1) };
    let drop_all = vec![SegmentChange::DropVChannel(shard.clone())];
    assert_eq!(segments.commit(&first, record(1, 10), drop_all.clone()).await, Err(fenced.clone()));
    assert_eq!(segments.claim(&log, Term(1)).await, Err(fenced));
    assert_eq!(segments.checkpoint(&log).await.unwrap(), Some(record(1, 9)));
    segments.commit(&second, record(2, 10), drop_all).await.unwrap();
    assert!(segments.all().is_empty());
}
