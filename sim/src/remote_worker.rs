//! A worker as its node reaches it: in the same process, but not at once.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_rpc::{
    Hits, QueryAnswer, QueryPlan, SearchPlan, SegmentLoad, SegmentsRead, WorkerApi, WorkerError,
};
use cinclus_types::{Keys, SegmentId, Tick};

use crate::member::Member;

/// The way to a worker.
pub struct RemoteWorker {
    /// Who asks.
    pub from: Member,
    /// The worker itself.
    pub worker: Arc<dyn WorkerApi>,
}

impl RemoteWorker {
    async fn dawdle(&self) {
        self.from.scene.dawdle(|weather| weather.worker_delay).await;
        self.from.pass().await;
    }
}

#[async_trait]
impl WorkerApi for RemoteWorker {
    async fn load(&self, load: SegmentLoad) -> Result<(), WorkerError> {
        self.dawdle().await;
        self.worker.load(load).await
    }

    async fn release(&self, segment: SegmentId) {
        self.dawdle().await;
        self.worker.release(segment).await;
    }

    async fn delete(&self, from: &[SegmentId], keys: Arc<Keys>, tick: Tick) -> Result<(), WorkerError> {
        self.dawdle().await;
        self.worker.delete(from, keys, tick).await
    }

    async fn search(&self, read: SegmentsRead, plan: Arc<SearchPlan>) -> Result<Hits, WorkerError> {
        self.dawdle().await;
        self.worker.search(read, plan).await
    }

    async fn query(&self, read: SegmentsRead, plan: Arc<QueryPlan>) -> Result<QueryAnswer, WorkerError> {
        self.dawdle().await;
        self.worker.query(read, plan).await
    }

    async fn newest(&self, read: SegmentsRead, keys: Arc<Keys>) -> Result<Vec<Option<Tick>>, WorkerError> {
        self.dawdle().await;
        self.worker.newest(read, keys).await
    }
}
