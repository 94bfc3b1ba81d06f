//! The sealed segments of one process.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cinclus_env::Env;
use cinclus_rpc::{
    Hits, QueryAnswer, QueryPlan, SearchPlan, SegmentLoad, SegmentsRead, WorkerApi, WorkerError,
};
use cinclus_segment::{FileError, SealedLoader, Segment, SegmentError};
use cinclus_types::{Keys, SegmentId, Tick};
use object_store::ObjectStore;
use parking_lot::RwLock;

/// A query node.
pub struct Worker {
    loader: SealedLoader,
    env: Env,
    segments: RwLock<BTreeMap<SegmentId, Arc<Segment>>>,
}

impl Worker {
    /// A worker that reads segment files from `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, env: Env) -> Worker {
        let loader = SealedLoader::new(store, env.compute.clone());
        Worker { loader, env, segments: RwLock::default() }
    }

    /// The memory that the held segments take, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.segments.read().values().map(|segment| segment.heap_bytes()).sum()
    }

    fn held(&self, ids: &[SegmentId]) -> Result<Vec<Arc<Segment>>, WorkerError> {
        let segments = self.segments.read();
        ids.iter().map(|id| segments.get(id).cloned().ok_or(WorkerError::NotLoaded(*id))).collect()
    }
}

#[async_trait]
impl WorkerApi for Worker {
    async fn load(&self, load: SegmentLoad) -> Result<(), WorkerError> {
        let id = load.segment.id;
        if self.segments.read().contains_key(&id) {
            return Ok(());
        }
        let loaded = self.loader.load(&load.segment, &load.deletes, load.schema).await;
        let segment = loaded.map_err(file_failed)?;
        self.segments.write().entry(id).or_insert_with(|| Arc::new(segment));
        Ok(())
    }

    async fn release(&self, segment: SegmentId) {
        self.segments.write().remove(&segment);
    }

    async fn delete(&self, segments: &[SegmentId], keys: Arc<Keys>, tick: Tick) -> Result<(), WorkerError> {
        for segment in self.held(segments)? {
            segment.delete(&keys, tick);
        }
        Ok(())
    }

    async fn search(&self, read: SegmentsRead, plan: Arc<SearchPlan>) -> Result<Hits, WorkerError> {
        let held = self.held(&read.segments)?;
        let search = move || cinclus_segment::search(&held, &read.partitions, &plan, read.at);
        self.env.compute.run(search).await.map_err(failed)
    }

    async fn query(&self, read: SegmentsRead, plan: Arc<QueryPlan>) -> Result<QueryAnswer, WorkerError> {
        let held = self.held(&read.segments)?;
        let query = move || cinclus_segment::query(&held, &read.partitions, &plan, read.at);
        self.env.compute.run(query).await.map_err(failed)
    }

    async fn newest(&self, read: SegmentsRead, keys: Arc<Keys>) -> Result<Vec<Option<Tick>>, WorkerError> {
        let held = self.held(&read.segments)?;
        Ok(cinclus_segment::newest(&held, &read.partitions, &keys, read.at))
    }
}

fn failed(error: SegmentError) -> WorkerError {
    WorkerError::Invalid(error.to_string())
}

fn file_failed(error: FileError) -> WorkerError {
    match error {
        FileError::Store { .. } | FileError::Missing { .. } => WorkerError::Unavailable(error.to_string()),
        FileError::Segment(error) => failed(error),
        FileError::Exists { .. }
        | FileError::Corrupt { .. }
        | FileError::Newer { .. }
        | FileError::Misfit { .. }
        | FileError::Nothing { .. } => WorkerError::Corrupt(error.to_string()),
    }
}
