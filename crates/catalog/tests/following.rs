//! Views follow the store, also when a watch breaks or falls behind.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_catalog::{CatalogChange, Collections, DatabaseEntry};
use cinclus_env::Env;
use cinclus_meta::{
    Change, ChangeSource, CommitOutcome, Config, DynMetaStore, Entry, LeaseId, MemoryMetaStore, MetaError,
    MetaStore, Revision, Txn, Watch, WatchError,
};
use cinclus_types::{DatabaseId, Tick};
use parking_lot::Mutex;

fn put(id: i64) -> CatalogChange {
    let (name, properties) = (format!("d{id}"), Default::default());
    let entry = DatabaseEntry { id: DatabaseId(id), name, properties, created: Tick(1) };
    CatalogChange { put_databases: vec![entry], ..CatalogChange::default() }
}

async fn shows(collections: &Collections, name: &str) {
    let mut changes = collections.changes();
    while collections.view().database(name).is_none() {
        changes.changed().await.unwrap();
    }
}

#[tokio::test]
async fn a_view_that_fell_behind_reads_everything_again() {
    let env = Env::test(1);
    let small = Config { history_bytes_max: 1, ..Config::default() };
    let store: DynMetaStore = Arc::new(MemoryMetaStore::new(&small, env.clock.clone(), &env.tasks));
    let collections = Collections::open(store.clone(), &env).await.unwrap();
    for id in 2..100 {
        let entry =
            format!(r#"{{"v":1,"entry":{{"id":{id},"name":"d{id}","properties":{{}},"created":9}}}}"#);
        store.commit(Txn::new().put(format!("catalog/database/{id}"), entry)).await.unwrap();
    }
    store.commit(Txn::new().delete("catalog/database/50")).await.unwrap();
    shows(&collections, "d99").await;
    assert_eq!(collections.view().databases().count(), 98);
    assert!(collections.view().database("d50").is_none());
    collections.update(put(100)).await.unwrap();
    assert!(collections.view().database("d100").is_some());
}

/// Its watches break after each change, and cannot be had at first; its scans fail every other time.
struct Shaky {
    inner: DynMetaStore,
    refusals: Mutex<u32>,
}

struct OneChange {
    inner: Watch,
    given: bool,
}

fn broken() -> WatchError {
    WatchError::Unavailable("broken by the test".to_owned())
}

#[async_trait]
impl ChangeSource for OneChange {
    async fn next(&mut self) -> Result<Vec<Change>, WatchError> {
        if self.given {
            return Err(broken());
        }
        let changes = self.inner.next().await?;
        self.given = true;
        Ok(changes)
    }
}

impl Shaky {
    fn refuses(&self) -> Result<(), MetaError> {
        let mut refusals = self.refusals.lock();
        *refusals += 1;
        if refusals.is_multiple_of(2) { Err(MetaError::Unavailable("refused".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl MetaStore for Shaky {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.refuses()?;
        self.inner.scan(prefix).await
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        self.inner.commit(txn).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        self.refuses()?;
        Ok(Watch::new(OneChange { inner: self.inner.watch(prefix, after).await?, given: false }))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.inner.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.revoke(lease).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_follows_over_watches_that_break() {
    let env = Env::test(1);
    let inner = Arc::new(MemoryMetaStore::new(&Config::default(), env.clock.clone(), &env.tasks));
    let store = Arc::new(Shaky { inner, refusals: Mutex::new(0) });
    let mine = Collections::open(store.clone(), &env).await.unwrap();
    let theirs = Collections::open(store.inner.clone(), &env).await.unwrap();
    for id in 2..40 {
        theirs.update(put(id)).await.unwrap();
        if id % 3 == 0 {
            shows(&mine, &format!("d{id}")).await;
        }
    }
    shows(&mine, "d39").await;
    // A change is shown when the call returns, whatever its watch went through.
    mine.update(put(40)).await.unwrap();
    assert!(mine.view().database("d40").is_some());
    shows(&theirs, "d40").await;
    assert_eq!(mine.view().databases().count(), 40);
}
