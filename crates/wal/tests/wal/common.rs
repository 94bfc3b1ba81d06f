//! A small world for tests of a Wal: memory storage that fails as told, one PChannel, drafts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cinclus_catalog::{ChannelCheckpoint, Segments};
use cinclus_env::{Env, LocalTicks, TaskHandle};
use cinclus_log_storage::{FaultPlan, FaultyLogStorage, LogStorage, MemoryLogStorage};
use cinclus_meta::{Config, MemoryMetaStore};
use cinclus_types::message::{Draft, Encoded, Header, Kind, Message};
use cinclus_types::{CollectionId, DatabaseId, PChannel, PartitionId, SegmentId, Term, VChannel};
use cinclus_wal::{
    Delivery, DeliveryKind, Feed, FeedError, RecoveryCut, ShardState, Wal, WalConfig, WalParts,
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

/// The partition that every collection of these tests begins with.
pub(crate) const PARTITION: PartitionId = PartitionId(100);

/// Everything that outlives a Wal.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) storage: Arc<dyn LogStorage>,
    pub(crate) faulty: Arc<FaultyLogStorage>,
    pub(crate) segments: Segments,
    pub(crate) ticks: Arc<LocalTicks>,
    pub(crate) channel: PChannel,
}

impl World {
    pub(crate) async fn new(seed: u64) -> World {
        World::on(seed, Arc::new(MemoryLogStorage::new())).await
    }

    pub(crate) async fn on(seed: u64, inner: Arc<dyn LogStorage>) -> World {
        let env = Env::test(seed);
        let faulty = Arc::new(FaultyLogStorage::new(inner, &env));
        let meta = MemoryMetaStore::new(&Config::default(), env.clock.clone(), &env.tasks);
        let segments = Segments::open(Arc::new(meta), &env).await.unwrap();
        let ticks = Arc::new(LocalTicks::new(env.clock.clone()));
        let storage = faulty.clone();
        World { env, storage, faulty, segments, ticks, channel: PChannel::numbered("log", 0) }
    }

    pub(crate) fn faults(&self, plan: FaultPlan) {
        self.faulty.set_plan(plan);
    }

    pub(crate) fn parts(&self) -> WalParts {
        WalParts {
            storage: self.storage.clone(),
            segments: self.segments.clone(),
            ticks: self.ticks.clone(),
            env: self.env.clone(),
        }
    }

    pub(crate) async fn open(&self, term: i64, config: WalConfig) -> (Wal, Feed) {
        cinclus_wal::open(self.parts(), config, self.channel.clone(), Term(term)).await.unwrap()
    }

    /// Opens, pumps, and waits until appends are served.
    pub(crate) async fn serve(&self, term: i64, config: WalConfig) -> (Wal, Pump) {
        let (wal, feed) = self.open(term, config).await;
        let pump = Pump::start(&self.env, feed);
        wal.ready().await.unwrap();
        (wal, pump)
    }

    pub(crate) fn shard(&self, collection: i64) -> VChannel {
        self.channel.shard(CollectionId(collection), 0)
    }

    /// Every record in the storage, decoded.
    pub(crate) async fn log(&self) -> Vec<Message> {
        let earliest = self.storage.earliest(&self.channel).await.unwrap();
        let mut reader = self.storage.read(&self.channel, earliest).await.unwrap();
        let mut log = Vec::new();
        while let Some(stored) = reader.next().await.unwrap() {
            let encoded = Encoded { payload: stored.record.payload, properties: stored.record.properties };
            log.push(encoded.into_stored(stored.id).unwrap());
        }
        log
    }

    pub(crate) async fn commit(&self, wal: &Wal, cut: &RecoveryCut) {
        let checkpoint = ChannelCheckpoint {
            term: wal.term(),
            checkpoint: cut.checkpoint,
            truncate_below: cut.checkpoint.resume,
            state: cut.state.clone(),
        };
        self.segments.commit(wal.claim(), checkpoint, Vec::new()).await.unwrap();
    }
}

/// Reads a feed in a task, as a node does, and keeps what it delivered.
pub(crate) struct Pump {
    pub(crate) seen: Arc<Mutex<Vec<Delivery>>>,
    asks: mpsc::UnboundedSender<oneshot::Sender<(ShardState, RecoveryCut)>>,
    task: TaskHandle<FeedError>,
}

impl Pump {
    pub(crate) fn start(env: &Env, mut feed: Feed) -> Pump {
        let seen: Arc<Mutex<Vec<Delivery>>> = Arc::default();
        let (asks, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<_>>();
        let kept = seen.clone();
        let task = env.tasks.spawn("pump", async move {
            loop {
                tokio::select! {
                    biased;
                    delivery = feed.next() => match delivery {
                        Ok(delivery) => kept.lock().push(delivery),
                        Err(error) => return error,
                    },
                    Some(ask) = asked.recv() => {
                        let _: Result<_, _> = ask.send((feed.recovered().clone(), feed.cut()));
                    }
                }
            }
        });
        Pump { seen, asks, task }
    }

    /// The recovered state and a cut, once everything published has been delivered.
    pub(crate) async fn state(&self) -> (ShardState, RecoveryCut) {
        let (send, receive) = oneshot::channel();
        self.asks.send(send).unwrap();
        receive.await.unwrap()
    }

    /// What the feed ended with.
    pub(crate) async fn ended(self) -> FeedError {
        self.task.join().await.unwrap()
    }

    /// Messages delivered so far, with their effective ticks, TimeTicks left out.
    pub(crate) fn messages(&self) -> Vec<(u64, Message)> {
        messages(&self.seen.lock())
    }

    pub(crate) fn payloads(&self) -> Vec<String> {
        self.messages().iter().filter(|(_, message)| message.kind().is_dml()).map(|(_, m)| text(m)).collect()
    }
}

pub(crate) fn messages(deliveries: &[Delivery]) -> Vec<(u64, Message)> {
    let said = deliveries.iter().filter(|delivery| delivery.kind != DeliveryKind::TimeTick);
    said.flat_map(|delivery| delivery.messages.iter().map(|message| (delivery.tick.0, message.clone())))
        .collect()
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8_lossy(message.payload()).into_owned()
}

pub(crate) fn kinds(messages: &[Message]) -> Vec<Kind> {
    messages.iter().map(Message::kind).collect()
}

pub(crate) fn create_collection(vchannel: &VChannel, collection: i64) -> Draft {
    let header = Header::CreateCollection {
        collection: CollectionId(collection),
        partitions: vec![PARTITION],
        database: DatabaseId(1),
    };
    Draft::new(vchannel.clone(), header, Bytes::new())
}

pub(crate) fn insert_rows(vchannel: &VChannel, collection: i64, rows: u64, payload: &str) -> Draft {
    let header = Header::Insert {
        collection: CollectionId(collection),
        partition: PARTITION,
        rows,
        binary_size: rows * 10,
        segment: None,
        schema_version: 0,
    };
    Draft::new(vchannel.clone(), header, Bytes::copy_from_slice(payload.as_bytes()))
}

pub(crate) fn insert(vchannel: &VChannel, collection: i64, payload: &str) -> Draft {
    insert_rows(vchannel, collection, 1, payload)
}

pub(crate) fn delete(vchannel: &VChannel, collection: i64, payload: &str) -> Draft {
    let header = Header::Delete { collection: CollectionId(collection), rows: 1 };
    Draft::new(vchannel.clone(), header, Bytes::copy_from_slice(payload.as_bytes()))
}

pub(crate) fn keyed(draft: Draft, key: &str) -> Draft {
    Draft { idempotency_key: Some(key.to_owned()), ..draft }
}

pub(crate) fn segment_of(message: &Message) -> SegmentId {
    let Header::Insert { segment: Some(segment), .. } = message.header() else { panic!("no insert") };
    *segment
}

/// Ticks strictly increase, ids too, and each last confirmed id is true: it lies at or before every
/// record with a greater tick, and at or before the begin of every transaction that ends later.
pub(crate) fn check_log(log: &[Message]) {
    for pair in log.windows(2) {
        assert!(pair[0].tick() < pair[1].tick(), "W1: {} then {}", pair[0].tick(), pair[1].tick());
        assert!(pair[0].id() < pair[1].id());
    }
    let mut open = std::collections::BTreeMap::new();
    let committed: std::collections::BTreeSet<_> =
        log.iter().filter(|m| m.kind() == Kind::CommitTxn).map(|m| m.txn().unwrap().txn).collect();
    for message in log {
        let first = open.values().min().copied().unwrap_or(message.id());
        assert!(message.last_confirmed() <= first.min(message.id()), "_lc of {} is too late", message.id());
        match (message.kind(), message.txn()) {
            (Kind::BeginTxn, Some(txn)) if committed.contains(&txn.txn) => {
                open.insert(txn.txn, message.id());
            }
            (Kind::CommitTxn, Some(txn)) => drop(open.remove(&txn.txn)),
            _ => {}
        }
    }
}

pub(crate) async fn pause(env: &Env, span: Duration) {
    env.clock.sleep(span).await;
}

pub(crate) fn manual_flush(vchannel: &VChannel, collection: i64) -> Draft {
    let header = Header::ManualFlush {
        collection: CollectionId(collection),
        flush_tick: cinclus_types::Tick::ZERO,
        segments: Vec::new(),
    };
    Draft::new(vchannel.clone(), header, Bytes::new())
}
