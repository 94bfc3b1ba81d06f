//! What outlives a node, and lives of a node on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cinclus_catalog::{CatalogChange, Collections, Segments};
use cinclus_env::disk::MemoryDisk;
use cinclus_env::{DynClock, Env, LocalTicks, TokioClock};
use cinclus_log_storage::{DynLogStorage, LogStorage, MemoryLogStorage};
use cinclus_meta::{Config, DynMetaStore, MemoryMetaStore};
use cinclus_node::{Node, NodeConfig, NodeParts};
use cinclus_query::OneWorker;
use cinclus_rpc::{
    AppendError, Appended, Freshness, LogApi, NodeApi, NodeError, QueryAnswer, QueryPlan, ReadError,
    ShardQuery, ShardRead,
};
use cinclus_types::message::Draft;
use cinclus_types::{ColumnData, MessageId, PChannel, PartitionId, SegmentEntry, Term, Tick};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parking_lot::Mutex;

use crate::effects::{Effects, StoppableLog, StoppableMeta, StoppableObjects};
use crate::shard::{KEY, Shard, VALUE};
use crate::stores::{log_on_disk, objects_on_disk};
use crate::worker::Worker;

/// Everything that outlives a node.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) config: NodeConfig,
    pub(crate) effects: Effects,
    pub(crate) channels: Vec<PChannel>,
    pub(crate) objects: Arc<InMemory>,
    storage: MemoryLogStorage,
    /// Has logs and objects instead of the memory.
    pub(crate) disk: Option<MemoryDisk>,
    meta: DynMetaStore,
    /// The dimensions of vectors: how many bytes a row has.
    pub(crate) dim: usize,
    past: Mutex<Past>,
    _runtime: tokio::runtime::Runtime,
}

/// What the lives so far leave behind beside the stores.
struct Past {
    lives: i64,
    unix_ms: u64,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

impl World {
    pub(crate) fn new(seed: u64, channels: u32) -> World {
        let runtime = runtime();
        let guard = runtime.enter();
        let env = Env::test(seed);
        let meta = MemoryMetaStore::new(&Config::default(), env.clock.clone(), &env.tasks);
        drop(guard);
        World {
            seed,
            config: NodeConfig::default(),
            effects: Effects::new(),
            channels: (0..channels).map(|index| PChannel::numbered("log", index)).collect(),
            objects: Arc::new(InMemory::new()),
            storage: MemoryLogStorage::new(),
            disk: None,
            meta: Arc::new(meta),
            dim: 4,
            past: Mutex::new(Past { lives: 0, unix_ms: Env::TEST_UNIX_MS }),
            _runtime: runtime,
        }
    }

    /// A world whose logs and objects are files of a disk whose power can go. Metadata is durable at once; the
    /// power can go before and after each commit.
    pub(crate) fn on_disk(seed: u64, channels: u32) -> World {
        let disk = MemoryDisk::new(seed);
        let effects = Effects::with_disk(disk.clone());
        World { disk: Some(disk), effects, ..World::new(seed, channels) }
    }

    /// Runs a node with all channels open; when `body` returns, everything of it is gone at once.
    pub(crate) fn live<T>(&self, body: impl AsyncFnOnce(Life) -> T) -> T {
        self.live_until_stopped(body).expect("nothing stops this life")
    }

    /// As [`World::live`], or `None` if an effect was the last one, or the power went.
    pub(crate) fn live_until_stopped<T>(&self, body: impl AsyncFnOnce(Life) -> T) -> Option<T> {
        let (term, unix_ms) = {
            let mut past = self.past.lock();
            past.lives += 1;
            (Term(past.lives), past.unix_ms)
        };
        runtime().block_on(async {
            let clock: DynClock = Arc::new(TokioClock::starting_at(unix_ms));
            let living = async { body(Life::begin(self, term, clock.clone()).await).await };
            let output = tokio::select! {
                biased;
                () = self.effects.stopped() => None,
                output = living => Some(output),
            };
            self.past.lock().unix_ms = clock.unix_ms() + 1_000;
            output
        })
    }

    /// The names of all objects.
    pub(crate) fn objects(&self) -> Vec<String> {
        let listed = futures::executor::block_on(async {
            let objects: Arc<dyn ObjectStore> = match &self.disk {
                Some(disk) => objects_on_disk(disk).await.unwrap(),
                None => self.objects.clone(),
            };
            objects.list(None).try_collect::<Vec<_>>().await.unwrap()
        });
        listed.into_iter().map(|object| object.location.to_string()).collect()
    }

    /// Bytes of all logs behind their checkpoints: what the next life replays.
    pub(crate) fn replay_bytes(&self) -> u64 {
        let (env, meta) = (Env::test(0), self.meta.clone());
        let checkpoints = runtime().block_on(async {
            let segments = Segments::open(meta, &env).await.unwrap();
            let mut found = BTreeMap::new();
            for channel in &self.channels {
                let resume = segments.checkpoint(channel).await.unwrap().map(|saved| saved.checkpoint.resume);
                found.insert(channel.clone(), resume.unwrap_or(MessageId::EARLIEST));
            }
            found
        });
        self.log_bytes(|channel| checkpoints[channel])
    }

    /// Bytes of all logs from some points on, as far as they are not truncated.
    pub(crate) fn log_bytes(&self, from: impl Fn(&PChannel) -> MessageId) -> u64 {
        runtime().block_on(async {
            let mut bytes = 0;
            for channel in &self.channels {
                let begin = self.earliest(channel).await.max(from(channel));
                let mut reader = self.storage.read(channel, begin).await.unwrap();
                while let Some(stored) = reader.next().await.unwrap() {
                    bytes += stored.record.bytes();
                }
            }
            bytes
        })
    }

    async fn stores(&self, env: &Env, meta: &DynMetaStore) -> (DynLogStorage, Arc<dyn ObjectStore>) {
        let Some(disk) = &self.disk else {
            return (Arc::new(self.storage.clone()), self.objects.clone());
        };
        let log = log_on_disk(disk, env, meta.clone()).await;
        let objects = objects_on_disk(disk).await;
        (self.effects.powered(log).await, self.effects.powered(objects).await)
    }

    /// Where a log begins now.
    pub(crate) async fn earliest(&self, channel: &PChannel) -> MessageId {
        self.storage.earliest(channel).await.unwrap()
    }
}

/// One life of a node.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) env: Env,
    pub(crate) node: Arc<Node>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) collections: Collections,
    pub(crate) segments: Segments,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) term: Term,
    /// The logs that stay closed, and why.
    pub(crate) corrupt: BTreeMap<PChannel, String>,
    effects: Effects,
    dim: usize,
}

impl Life {
    pub(crate) async fn begin(world: &World, term: Term, clock: DynClock) -> Life {
        let env = Env { clock: clock.clone(), ..Env::test(world.seed + term.0 as u64) };
        let effects = world.effects.clone();
        let meta: DynMetaStore =
            Arc::new(StoppableMeta { inner: world.meta.clone(), effects: effects.clone() });
        let (storage, objects) = world.stores(&env, &meta).await;
        let storage: DynLogStorage = Arc::new(StoppableLog { inner: storage, effects: effects.clone() });
        let objects: Arc<dyn ObjectStore> =
            Arc::new(StoppableObjects { inner: objects, effects: effects.clone() });
        let collections = Collections::open(meta.clone(), &env).await.unwrap();
        let segments = Segments::open(meta, &env).await.unwrap();
        let worker = Arc::new(Worker::new(objects.clone(), env.clone()));
        let parts = NodeParts {
            storage,
            objects: objects.clone(),
            collections: collections.clone(),
            segments: segments.clone(),
            ticks: Arc::new(LocalTicks::new(clock)),
            workers: Arc::new(OneWorker(worker.clone())),
            env: env.clone(),
        };
        let node = Node::new(parts, world.config.clone());
        let mut corrupt = BTreeMap::new();
        for channel in &world.channels {
            match node.open_channel(channel, term).await {
                Ok(()) => {}
                Err(NodeError::Corrupt { channel, reason }) => drop(corrupt.insert(channel, reason)),
                Err(error) => effects.powered(Err(error)).await,
            }
        }
        Life { env, node, worker, collections, segments, objects, term, corrupt, effects, dim: world.dim }
    }

    pub(crate) async fn pause(&self, span: Duration) {
        self.env.clock.sleep(span).await;
    }

    /// How far the first log is acknowledged.
    pub(crate) async fn frontier(&self) -> Tick {
        self.node.status().await[0].frontier
    }

    pub(crate) async fn append(&self, batch: Vec<Draft>) -> Result<Appended, AppendError> {
        let channel = batch[0].vchannel.clone().unwrap().pchannel();
        self.node.append(&channel, self.term, batch).await
    }

    /// Appends, and does not return if the power went.
    pub(crate) async fn appended(&self, batch: Vec<Draft>) -> Tick {
        self.effects.powered(self.append(batch).await).await.tick
    }

    /// Puts the creation of a collection into the log only.
    pub(crate) async fn append_creation(&self, shard: &Shard) {
        self.appended(vec![shard.creation(self.dim)]).await;
    }

    /// Creates a collection, loaded.
    pub(crate) async fn create(&self, shard: &Shard) {
        self.append_creation(shard).await;
        self.put(shard, true).await;
    }

    /// What the coordinator says of a collection.
    pub(crate) async fn put(&self, shard: &Shard, loaded: bool) {
        let change = CatalogChange {
            put_collections: vec![shard.entry(self.dim, loaded)],
            ..CatalogChange::default()
        };
        self.collections.update(change).await.unwrap();
    }

    pub(crate) async fn forget(&self, shard: &Shard) {
        let change = CatalogChange { delete_collections: vec![shard.collection], ..CatalogChange::default() };
        self.collections.update(change).await.unwrap();
    }

    pub(crate) async fn insert(&self, shard: &Shard, partition: PartitionId, rows: &[(i64, i64)]) -> Tick {
        self.appended(vec![shard.insert(self.dim, partition, rows)]).await
    }

    pub(crate) async fn delete(&self, shard: &Shard, keys: &[i64]) -> Tick {
        self.appended(vec![shard.delete(None, keys)]).await
    }

    /// Seals the segments of a shard and waits until they are in files.
    pub(crate) async fn flush(&self, shard: &Shard) -> Tick {
        let tick = self.appended(vec![shard.manual_flush()]).await;
        self.effects.powered(self.node.persist(&shard.vchannel, tick).await).await;
        tick
    }

    /// A round of persisting that covers everything appended so far.
    pub(crate) async fn persist(&self, shard: &Shard) {
        self.effects.powered(self.node.persist(&shard.vchannel, Tick::ZERO).await).await;
    }

    pub(crate) async fn try_query(
        &self,
        shard: &Shard,
        freshness: Freshness,
        plan: QueryPlan,
    ) -> Result<QueryAnswer, ReadError> {
        let read = ShardRead {
            vchannel: shard.vchannel.clone(),
            collection: shard.collection,
            partitions: Vec::new(),
            freshness,
            ignore_growing: false,
            patience: Duration::from_secs(5),
        };
        self.node.query(ShardQuery { read, plan: Arc::new(plan) }).await
    }

    /// All rows of a shard, once it is loaded: key and value, and the tick of the read.
    pub(crate) async fn rows(&self, shard: &Shard, freshness: Freshness) -> (Tick, BTreeMap<i64, i64>) {
        let plan = QueryPlan { filter: None, limit: None, count_only: false, output: vec![KEY, VALUE] };
        let answer = self.until_loaded(shard, freshness, plan).await;
        let column = |field| match answer.rows.column(field).map(|column| &column.data) {
            Some(ColumnData::Int64(values)) => values.clone(),
            // A shard without segments answers without columns.
            None if answer.keys.is_empty() => Vec::new(),
            other => panic!("not what was asked for: {other:?}"),
        };
        (answer.at, column(KEY).into_iter().zip(column(VALUE)).collect())
    }

    /// How many rows of a shard are visible, each inserted row for itself.
    pub(crate) async fn count(&self, shard: &Shard, freshness: Freshness) -> u64 {
        let plan = QueryPlan { filter: None, limit: None, count_only: true, output: Vec::new() };
        self.until_loaded(shard, freshness, plan).await.count
    }

    async fn until_loaded(&self, shard: &Shard, freshness: Freshness, plan: QueryPlan) -> QueryAnswer {
        for _ in 0..1_000 {
            match self.try_query(shard, freshness, plan.clone()).await {
                Ok(answer) => return answer,
                Err(ReadError::NotFullyLoaded(_)) => self.pause(Duration::from_millis(10)).await,
                Err(error) => panic!("{}: {error}", shard.vchannel),
            }
        }
        panic!("{} is not loaded", shard.vchannel);
    }

    /// Waits until the worker answers for every sealed segment of a shard.
    pub(crate) async fn until_handed_over(&self, shard: &Shard) {
        for _ in 0..1_000 {
            let sealed: Vec<_> = self.sealed(shard).iter().map(|segment| segment.id).collect();
            let held = self.worker.held_segments();
            if !sealed.is_empty() && sealed.iter().all(|id| held.contains(id)) {
                // The hand-over itself comes right behind the load.
                self.pause(Duration::from_millis(10)).await;
                return;
            }
            self.pause(Duration::from_millis(10)).await;
        }
        panic!("{} was not handed over", shard.vchannel);
    }

    /// Bytes that this life wrote into objects.
    pub(crate) fn persisted_bytes(&self) -> u64 {
        let text = self.env.telemetry.render();
        let lines = text.lines().filter_map(|line| line.strip_prefix("cinclus_persist_bytes_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    pub(crate) fn sealed(&self, shard: &Shard) -> Vec<Arc<SegmentEntry>> {
        let view = self.segments.view(&shard.vchannel);
        let sealed = |s: &&Arc<SegmentEntry>| s.state == cinclus_types::SegmentState::Sealed;
        view.segments.values().filter(sealed).cloned().collect()
    }
}
