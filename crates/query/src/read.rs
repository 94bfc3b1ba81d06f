//! The read side: pick the tick, take the view, run, merge.

use std::sync::Arc;
use std::time::Duration;

use cinclus_catalog::{CollectionEntry, LoadState};
use cinclus_rpc::{
    Freshness, Hits, QueryAnswer, QueryPlan, ReadError, SearchAnswer, SearchPlan, SegmentsRead, ShardQuery,
    ShardRead, ShardSearch, WorkerApi, WorkerError, keep_hits, keep_rows, merge_answers, merge_hits,
};
use cinclus_segment::{Segment, SegmentError, query_on, search_on};
use cinclus_types::{Key, Keys, PartitionId, SegmentId, Strings, Tick};
use futures::future::try_join_all;

use crate::Delegator;

/// How far ahead of the clock a guarantee may lie: beyond it is an error at once.
const GUARANTEE_AHEAD_MAX: Duration = Duration::from_secs(10);

/// The set of segments that one read looks at, at one tick.
struct Snapshot {
    growing: Vec<Arc<Segment>>,
    sealed: Vec<(Arc<dyn WorkerApi>, Vec<SegmentId>)>,
    partitions: Vec<PartitionId>,
    at: Tick,
}

impl Snapshot {
    fn sources(&self) -> usize {
        self.sealed.len() + usize::from(!self.growing.is_empty())
    }

    fn read(&self, segments: &[SegmentId]) -> SegmentsRead {
        SegmentsRead { segments: segments.to_vec(), partitions: self.partitions.clone(), at: self.at }
    }
}

impl Delegator {
    /// Searches the shard.
    ///
    /// # Errors
    /// As [`ReadError`] tells.
    pub async fn search(&self, search: ShardSearch) -> Result<SearchAnswer, ReadError> {
        let snapshot = self.snapshot(&search.read).await?;
        let plan = search.plan;
        let mut k = plan.k;
        loop {
            let wider =
                if k == plan.k { plan.clone() } else { Arc::new(SearchPlan { k, ..(*plan).clone() }) };
            let sources = self.search_once(&snapshot, &wider).await?;
            let merged = merge_hits(&sources, &wider);
            if snapshot.sources() < 2 {
                return Ok(SearchAnswer { at: snapshot.at, hits: merged });
            }
            let newest = self.newest(&snapshot, &merged.keys).await?;
            let limit = plan.k * plan.group_by.map_or(1, |_| plan.group_size.max(1));
            let hits = keep_hits(&merged, limit, |row| Some(merged.ticks[row]) >= newest[row]);
            let short = |query: usize| {
                hits.counts[query] < plan.k && sources.iter().any(|s| s.counts.get(query) >= Some(&k))
            };
            if !(0..hits.counts.len()).any(short) {
                return Ok(SearchAnswer { at: snapshot.at, hits });
            }
            // Rows that a newer row of their key replaced took places of the answer: look further.
            k *= 2;
        }
    }

    /// Queries the shard.
    ///
    /// # Errors
    /// As [`ReadError`] tells.
    pub async fn query(&self, query: ShardQuery) -> Result<QueryAnswer, ReadError> {
        let snapshot = self.snapshot(&query.read).await?;
        let plan = query.plan;
        let mut limit = plan.limit;
        loop {
            let wider = if limit == plan.limit {
                plan.clone()
            } else {
                Arc::new(QueryPlan { limit, ..(*plan).clone() })
            };
            let sources = self.query_once(&snapshot, &wider).await?;
            let merged = QueryAnswer { at: snapshot.at, ..merge_answers(&sources, &wider) };
            if snapshot.sources() < 2 || plan.count_only {
                return Ok(merged);
            }
            let newest = self.newest(&snapshot, &merged.keys).await?;
            let wanted = plan.limit.unwrap_or(usize::MAX);
            let kept = keep_rows(&merged, wanted, |&row| Some(merged.ticks[row]) >= newest[row]);
            match limit {
                Some(asked) if kept.keys.len() < wanted && merged.keys.len() >= asked => {
                    limit = Some(asked.saturating_mul(2));
                }
                Some(_) | None => return Ok(kept),
            }
        }
    }

    /// Checks that the shard serves what is asked, waits until it is fresh enough, and takes its segments.
    async fn snapshot(&self, read: &ShardRead) -> Result<Snapshot, ReadError> {
        self.loaded_partitions(read)?;
        let at = self.pick_tick(read).await?;
        // It may have been released while the tick was waited for.
        let (entry, partitions) = self.loaded_partitions(read)?;
        // First what there should be, then what there is: a segment that comes in between is read.
        let known = self.parts.segments.view(&self.vchannel);
        let view = self.view();
        if !self.serves(&entry, &known, &view) {
            let loading = ReadError::NotFullyLoaded(self.collection);
            return Err(self.load_error().map_or(loading, worker_failed));
        }
        let growing = view.growing_of(&partitions, read.ignore_growing);
        let sealed = self.by_worker(view.sealed_of(&partitions).into_iter());
        Ok(Snapshot { growing, sealed, partitions, at })
    }

    /// The collection, and the partitions to read; empty means all.
    fn loaded_partitions(
        &self,
        read: &ShardRead,
    ) -> Result<(Arc<CollectionEntry>, Vec<PartitionId>), ReadError> {
        let not_loaded = ReadError::NotLoaded(self.collection);
        let entry = self.entry().ok_or_else(|| not_loaded.clone())?;
        let LoadState::Loaded { partitions, .. } = &entry.load else { return Err(not_loaded) };
        for partition in &read.partitions {
            if !entry.is_partition_loaded(*partition) {
                return Err(ReadError::PartitionNotLoaded(*partition));
            }
        }
        let partitions = match partitions {
            Some(none) if none.is_empty() => return Err(not_loaded),
            Some(loaded) if read.partitions.is_empty() => loaded.clone(),
            Some(_) | None => read.partitions.clone(),
        };
        Ok((entry, partitions))
    }

    /// The tick to read at: everything that must be seen lies at or below it, and it is applied.
    async fn pick_tick(&self, read: &ShardRead) -> Result<Tick, ReadError> {
        let (tsafe, clock) = (&self.parts.tsafe, &*self.parts.env.clock);
        match read.freshness {
            Freshness::Strong => {
                // Invariant Q3: the tick first, the proof of ownership after it.
                let frontier = self.parts.position.frontier();
                self.parts.position.prove().await?;
                tsafe.wait(clock, frontier, read.patience).await
            }
            Freshness::AtLeast(asked) => self.reach(asked, read.patience).await,
            Freshness::Snapshot(asked) => self.reach(asked, read.patience).await.map(|_| asked),
        }
    }

    async fn reach(&self, asked: Tick, patience: Duration) -> Result<Tick, ReadError> {
        let (tsafe, clock) = (&self.parts.tsafe, &*self.parts.env.clock);
        let now = tsafe.get();
        if now >= asked {
            return Ok(now);
        }
        let clock_tick = Tick::from_unix_ms(clock.unix_ms()).max(now);
        if asked > clock_tick.plus(GUARANTEE_AHEAD_MAX) {
            return Err(ReadError::TooFarAhead { asked, now: clock_tick });
        }
        let ticked = cinclus_env::timeout(clock, patience, self.parts.position.tick_at_least(asked)).await;
        ticked.map_err(|_| ReadError::TimedOut { asked, tsafe: tsafe.get() })??;
        tsafe.wait(clock, asked, patience).await
    }

    async fn search_once(&self, snapshot: &Snapshot, plan: &Arc<SearchPlan>) -> Result<Vec<Hits>, ReadError> {
        let remote = try_join_all(snapshot.sealed.iter().map(|(worker, segments)| {
            let (read, plan) = (snapshot.read(segments), plan.clone());
            async move { worker.search(read, plan).await }
        }));
        let (compute, growing) = (&self.parts.env.compute, &snapshot.growing);
        let local = search_on(compute, growing, &snapshot.partitions, plan, snapshot.at);
        let (remote, local) = futures::join!(remote, local);
        let mut sources = remote.map_err(worker_failed)?;
        sources.push(local.map_err(segment_failed)?);
        Ok(sources)
    }

    async fn query_once(
        &self,
        snapshot: &Snapshot,
        plan: &Arc<QueryPlan>,
    ) -> Result<Vec<QueryAnswer>, ReadError> {
        let remote = try_join_all(snapshot.sealed.iter().map(|(worker, segments)| {
            let (read, plan) = (snapshot.read(segments), plan.clone());
            async move { worker.query(read, plan).await }
        }));
        let (compute, growing) = (&self.parts.env.compute, &snapshot.growing);
        let local = query_on(compute, growing, &snapshot.partitions, plan, snapshot.at);
        let (remote, local) = futures::join!(remote, local);
        let mut sources = remote.map_err(worker_failed)?;
        sources.push(local.map_err(segment_failed)?);
        Ok(sources)
    }

    /// The tick of the newest visible row of each key, over all segments of the snapshot.
    async fn newest(&self, snapshot: &Snapshot, keys: &[Key]) -> Result<Vec<Option<Tick>>, ReadError> {
        let keys = Arc::new(pack(keys));
        let remote = try_join_all(snapshot.sealed.iter().map(|(worker, segments)| {
            let (read, keys) = (snapshot.read(segments), keys.clone());
            async move { worker.newest(read, keys).await }
        }));
        let mut newest: Vec<Option<Tick>> =
            cinclus_segment::newest(&snapshot.growing, &snapshot.partitions, &keys, snapshot.at);
        for ticks in remote.await.map_err(worker_failed)? {
            newest.iter_mut().zip(ticks).for_each(|(newest, tick)| *newest = (*newest).max(tick));
        }
        Ok(newest)
    }
}

fn pack(keys: &[Key]) -> Keys {
    if let Some(Key::VarChar(_)) = keys.first() {
        let mut strings = Strings::default();
        for key in keys {
            if let Key::VarChar(text) = key {
                strings.push(text.as_bytes());
            }
        }
        return Keys::VarChar(strings);
    }
    Keys::Int64(
        keys.iter().filter_map(|key| if let Key::Int64(id) = key { Some(*id) } else { None }).collect(),
    )
}

fn worker_failed(error: WorkerError) -> ReadError {
    match error {
        WorkerError::OutOfMemory { need, limit } => ReadError::OutOfMemory { need, limit },
        WorkerError::Corrupt(reason) => ReadError::Corrupt(reason),
        WorkerError::Invalid(reason) => ReadError::Invalid(reason),
        WorkerError::NotLoaded(_) | WorkerError::Unavailable(_) => ReadError::Unavailable(error.to_string()),
    }
}

fn segment_failed(error: SegmentError) -> ReadError {
    ReadError::Invalid(error.to_string())
}
