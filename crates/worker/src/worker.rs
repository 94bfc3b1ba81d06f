//! The sealed segments of one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cinclus_env::{Env, MemoryFull, MemoryHeld, MemoryPart};
use cinclus_rpc::{
    Hits, QueryAnswer, QueryPlan, SearchPlan, SegmentLoad, SegmentsRead, WorkerApi, WorkerError,
};
use cinclus_segment::files::read_deletes;
use cinclus_segment::{FileError, SealedLoader, Segment, SegmentError, query_on, search_on};
use cinclus_types::{Keys, SegmentId, Tick};
use object_store::ObjectStore;
use parking_lot::RwLock;

/// A query node.
pub struct Worker {
    store: Arc<dyn ObjectStore>,
    loader: SealedLoader,
    memory: MemoryPart,
    env: Env,
    segments: RwLock<BTreeMap<SegmentId, Arc<Held>>>,
}

/// A segment in memory.
struct Held {
    segment: Arc<Segment>,
    /// All deletes up to this tick are applied.
    applied: AtomicU64,
    _memory: MemoryHeld,
}

impl Worker {
    /// A worker that reads segment files from `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, env: Env) -> Worker {
        let loader = SealedLoader::new(store.clone(), env.compute.clone());
        let memory = env.memory.part("sealed", &env.telemetry);
        Worker { store, loader, memory, env, segments: RwLock::default() }
    }

    /// The memory that the held segments take, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.segments.read().values().map(|held| held.segment.heap_bytes()).sum()
    }

    /// The segments that are held.
    #[must_use]
    pub fn held_segments(&self) -> Vec<SegmentId> {
        self.segments.read().keys().copied().collect()
    }

    fn held(&self, ids: &[SegmentId]) -> Result<Vec<Arc<Segment>>, WorkerError> {
        let segments = self.segments.read();
        let held = |id| segments.get(id).map(|held| held.segment.clone()).ok_or(WorkerError::NotLoaded(*id));
        ids.iter().map(held).collect()
    }

    /// The segment as it is in its files.
    async fn read(&self, load: &SegmentLoad) -> Result<Held, WorkerError> {
        // The size of the files is a lower bound; what it comes to is known when they were read.
        let room = self.memory.reserve(load.segment.bytes()).map_err(full)?;
        let loaded = self.loader.load(&load.segment, &load.deletes, load.schema.clone()).await;
        let segment = loaded.map_err(file_failed)?;
        let bytes = segment.heap_bytes() as u64;
        drop(room);
        let memory = self.memory.reserve(bytes).map_err(full)?;
        let applied = AtomicU64::new(load.deletes.persisted_tick.0);
        Ok(Held { segment: Arc::new(segment), applied, _memory: memory })
    }

    /// Brings a segment that is held to the deletes of a later load. Those that its delegator sends are
    /// not touched: the least tick wins.
    async fn catch_up(&self, held: &Held, load: &SegmentLoad) -> Result<(), WorkerError> {
        held.segment.set_schema(load.schema.clone());
        let applied = Tick(held.applied.load(Ordering::Acquire));
        for file in load.deletes.delete_files.iter().filter(|file| file.tick_max > applied) {
            if file.partition.is_some_and(|partition| partition != load.segment.partition) {
                continue;
            }
            let read = read_deletes(&self.store, &self.env.compute, file).await;
            let (deletes, segment) = (read.map_err(file_failed)?, held.segment.clone());
            self.env.compute.run(move || segment.delete_each(&deletes.keys, &deletes.ticks)).await;
        }
        held.applied.fetch_max(load.deletes.persisted_tick.0, Ordering::AcqRel);
        Ok(())
    }
}

#[async_trait]
impl WorkerApi for Worker {
    async fn load(&self, load: SegmentLoad) -> Result<(), WorkerError> {
        let id = load.segment.id;
        let held = self.segments.read().get(&id).cloned();
        if let Some(held) = held {
            return self.catch_up(&held, &load).await;
        }
        let read = Arc::new(self.read(&load).await?);
        let held = self.segments.write().entry(id).or_insert_with(|| read.clone()).clone();
        // Somebody else may have been faster, with older delete files.
        if Arc::ptr_eq(&held, &read) { Ok(()) } else { self.catch_up(&held, &load).await }
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
        search_on(&self.env.compute, &held, &read.partitions, &plan, read.at).await.map_err(failed)
    }

    async fn query(&self, read: SegmentsRead, plan: Arc<QueryPlan>) -> Result<QueryAnswer, WorkerError> {
        let held = self.held(&read.segments)?;
        query_on(&self.env.compute, &held, &read.partitions, &plan, read.at).await.map_err(failed)
    }

    async fn newest(&self, read: SegmentsRead, keys: Arc<Keys>) -> Result<Vec<Option<Tick>>, WorkerError> {
        let held = self.held(&read.segments)?;
        Ok(cinclus_segment::newest(&held, &read.partitions, &keys, read.at))
    }
}

fn full(full: MemoryFull) -> WorkerError {
    // What is in use already is part of what is needed.
    WorkerError::OutOfMemory { need: full.used.saturating_add(full.need), limit: full.limit }
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
