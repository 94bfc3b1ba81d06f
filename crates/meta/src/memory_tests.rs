use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{Clock, ManualClock, PanicPolicy, TaskGroup};

use crate::conformance::Harness;
use crate::{Config, DynMetaStore, MemoryMetaStore, MetaStore, Txn, conformance_tests};

/// A store in memory ends with its last owner: the harness is one of them.
struct Memory {
    clock: ManualClock,
    store: DynMetaStore,
}

impl Memory {
    fn new() -> Memory {
        let clock = ManualClock::default();
        let config = Config { history_bytes_max: 256 << 10, ..Config::default() };
        let tasks = TaskGroup::new(PanicPolicy::Propagate);
        let store = Arc::new(MemoryMetaStore::new(&config, Arc::new(clock.clone()), &tasks));
        Memory { clock, store }
    }
}

#[async_trait]
impl Harness for Memory {
    async fn open(&mut self) -> DynMetaStore {
        self.store.clone()
    }

    async fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    async fn forget_changes(&self, store: &dyn MetaStore) {
        for _ in 0..3 {
            store.commit(Txn::new().put("large", vec![0; 256 << 10])).await.unwrap();
        }
    }
}

conformance_tests!(Memory::new());

#[tokio::test]
async fn a_watch_ends_with_its_store() {
    let memory = Memory::new();
    let (revision, _) = memory.store.scan("").await.unwrap();
    let mut watch = memory.store.watch("", revision).await.unwrap();
    drop(memory);
    assert_eq!(watch.next().await, Err(crate::WatchError::Closed));
}
