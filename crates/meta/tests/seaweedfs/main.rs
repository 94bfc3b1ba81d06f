//! The store on objects, on a real server with the S3 interface.
//!
//! `CINCLUS_TEST_SEAWEEDFS_ADDRESS` is where a SeaweedFS serves S3, `CINCLUS_TEST_SEAWEEDFS` the program, for the
//! tests that kill one of their own; without them every test fails. `cargo xtask ci services` sets both.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod faults;
mod server;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{Clock, Env, OsClock, PanicPolicy, Random, TaskGroup};
use cinclus_meta::conformance::Harness;
use cinclus_meta::{Config, DynMetaStore, MetaStore, ObjectConfig, ObjectMetaStore, Txn, conformance_tests};
use object_store::ObjectStore;
use object_store::path::Path;

/// A store whose objects nobody else uses.
struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Objects {
    fn new(store: Arc<dyn ObjectStore>) -> Objects {
        Objects { store, prefix: Path::from(format!("meta-tests/{:016x}", Random::from_os().u64())) }
    }

    async fn open(&self) -> ObjectMetaStore {
        let common = Config { history_bytes_max: 256 << 10, ..Config::default() };
        let config = ObjectConfig { common, snapshot_bytes_min: 2 << 10 };
        let env = Env { tasks: TaskGroup::new(PanicPolicy::Propagate), ..Env::os() };
        ObjectMetaStore::open(self.store.clone(), self.prefix.clone(), &config, &env).await.unwrap()
    }
}

#[async_trait]
impl Harness for Objects {
    async fn open(&mut self) -> DynMetaStore {
        Arc::new(Objects::open(self).await)
    }

    async fn advance(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn clock(&self) -> &dyn Clock {
        &OsClock
    }

    fn ttl(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn margin(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn forget_changes(&self, store: &dyn MetaStore) {
        for _ in 0..3 {
            store.commit(Txn::new().put("large", vec![0; 256 << 10])).await.unwrap();
        }
    }
}

conformance_tests!(Objects::new(server::shared().await));
