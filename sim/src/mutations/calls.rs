//! A worker that does not apply deletes.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_rpc::{
    Hits, QueryAnswer, QueryPlan, SearchPlan, SegmentLoad, SegmentsRead, WorkerApi, WorkerError,
};
use cinclus_types::{Keys, SegmentId, Tick};

/// A worker that says it applied what it was sent.
pub struct DeafWorker(pub Arc<dyn WorkerApi>);

#[async_trait]
impl WorkerApi for DeafWorker {
    async fn load(&self, load: SegmentLoad) -> Result<(), WorkerError> {
        self.0.load(load).await
    }

    async fn release(&self, segment: SegmentId) {
        self.0.release(segment).await;
    }

    async fn delete(&self, _: &[SegmentId], _: Arc<Keys>, _: Tick) -> Result<(), WorkerError> {
        Ok(())
    }

    async fn search(&self, read: SegmentsRead, plan: Arc<SearchPlan>) -> Result<Hits, WorkerError> {
        self.0.search(read, plan).await
    }

    async fn query(&self, read: SegmentsRead, plan: Arc<QueryPlan>) -> Result<QueryAnswer, WorkerError> {
        self.0.query(read, plan).await
    }

    async fn newest(&self, read: SegmentsRead, keys: Arc<Keys>) -> Result<Vec<Option<Tick>>, WorkerError> {
        self.0.newest(read, keys).await
    }
}
