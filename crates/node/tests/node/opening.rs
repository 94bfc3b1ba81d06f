//! A log that cannot be opened: callers are told why at once, not after their patience. One that takes long to open:
//! whoever waits for that may go away.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_catalog::{Collections, Segments};
use cinclus_env::disk::{Fault, FaultError, FaultOperation};
use cinclus_env::{Env, LocalTicks, TickError, TickSource, timeout};
use cinclus_log_storage::MemoryLogStorage;
use cinclus_meta::{Config, DynMetaStore, MemoryMetaStore};
use cinclus_node::{Node, NodeConfig, NodeParts};
use cinclus_query::OneWorker;
use cinclus_rpc::{AppendError, Freshness, LogApi, NodeApi, NodeError, QueryPlan, ReadError};
use cinclus_types::{PChannel, Term, TickRange};
use object_store::memory::InMemory;
use tokio::sync::watch;

use crate::shard::Shard;
use crate::worker::Worker;
use crate::world::{Life, World};

const COUNT: QueryPlan = QueryPlan { filter: None, limit: None, count_only: true, output: Vec::new() };

/// Fails to open a log under the next term; what an append, with that term and with the old one, and a read get then.
fn refused(failing: impl Fn(&World)) -> (AppendError, AppendError, ReadError) {
    let world = World::on_disk(1, 1);
    let channel = world.channels[0].clone();
    let shard = Shard::new(&channel, 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &[(1, 1)]).await;
        failing(&world);
        let term = Term(life.term.0 + 1);
        let failed = life.node.open_channel(&channel, term).await;
        assert!(matches!(failed, Err(NodeError::Unavailable(_))), "{failed:?}");
        let row = || vec![shard.insert(4, shard.partition(0), &[(2, 1)])];
        let now = life.node.append(&channel, term, row()).await.unwrap_err();
        let before = life.node.append(&channel, life.term, row()).await.unwrap_err();
        let read = life.try_query(&shard, Freshness::Strong, COUNT).await.unwrap_err();
        let disk = world.disk.as_ref().unwrap();
        disk.set_capacity_bytes(u64::MAX);
        disk.clear_faults();
        life.node.open_channel(&channel, term).await.unwrap();
        life.node.append(&channel, term, row()).await.unwrap();
        assert_eq!(life.count(&shard, Freshness::Strong).await, 2);
        (now, before, read)
    })
}

#[test]
fn a_log_that_cannot_be_opened_says_why_until_it_is_open() {
    let (now, before, read) = refused(|world| {
        let fault = Fault {
            operation: FaultOperation::Write,
            path_contains: "/wal/".to_owned(),
            error: FaultError::Io,
            after: 0,
            times: u32::MAX,
        };
        world.disk.as_ref().unwrap().inject(fault);
    });
    assert!(matches!(&now, AppendError::Unavailable(text) if text.contains("log_0: ")), "{now}");
    assert_eq!(before, AppendError::NotOwner);
    assert!(matches!(read, ReadError::Unavailable(_)), "{read}");
}

#[test]
fn a_log_that_cannot_be_opened_on_a_full_disk_says_that_it_is_full() {
    let (now, _, _) = refused(|world| world.disk.as_ref().unwrap().set_capacity_bytes(0));
    assert!(matches!(&now, AppendError::DiskFull(text) if text.contains("no space left")), "{now}");
}

/// A source of ticks that does not answer until it is told to.
struct HeldTicks {
    ticks: LocalTicks,
    answers: watch::Receiver<bool>,
}

#[async_trait]
impl TickSource for HeldTicks {
    async fn grant(&self, count: u32) -> Result<TickRange, TickError> {
        let _ = self.answers.clone().wait_for(|answers| *answers).await;
        self.ticks.grant(count).await
    }
}

/// A node that cannot open a log for want of ticks, until it is told so.
async fn node_without_ticks(env: &Env) -> (Arc<Node>, watch::Sender<bool>) {
    let (answer, answers) = watch::channel(false);
    let meta = MemoryMetaStore::new(&Config::default(), env.clock.clone(), &env.tasks);
    let meta: DynMetaStore = Arc::new(meta);
    let objects = Arc::new(InMemory::new());
    let parts = NodeParts {
        storage: Arc::new(MemoryLogStorage::new()),
        objects: objects.clone(),
        collections: Collections::open(meta.clone(), env).await.unwrap(),
        segments: Segments::open(meta, env).await.unwrap(),
        ticks: Arc::new(HeldTicks { ticks: LocalTicks::new(env.clock.clone()), answers }),
        workers: Arc::new(OneWorker(Arc::new(Worker::new(objects, env.clone())))),
        env: env.clone(),
    };
    (Node::new(parts, NodeConfig::default()), answer)
}

const SOON: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_log_is_opened_once_also_if_whoever_asked_for_it_has_gone() {
    let (env, channel) = (Env::test(1), PChannel::new("log_0"));
    let (node, answer) = node_without_ticks(&env).await;
    let gone = timeout(&*env.clock, SOON, node.open_channel(&channel, Term(1))).await;
    assert!(gone.is_err(), "{gone:?}");
    answer.send_replace(true);
    env.clock.sleep(SOON).await;
    let status = node.status().await;
    assert_eq!(status.iter().map(|status| status.term).collect::<Vec<_>>(), [Term(1)]);
    node.open_channel(&channel, Term(1)).await.unwrap();
    assert_eq!(node.status().await, status, "it is the same");
}

#[tokio::test(start_paused = true)]
async fn a_later_term_ends_an_opening_that_hangs() {
    let (env, channel) = (Env::test(2), PChannel::new("log_0"));
    let (node, answer) = node_without_ticks(&env).await;
    let later = async {
        env.clock.sleep(SOON).await;
        timeout(&*env.clock, SOON, node.open_channel(&channel, Term(2))).await
    };
    let first = timeout(&*env.clock, SOON * 2, node.open_channel(&channel, Term(1)));
    let (first, later) = tokio::join!(first, later);
    assert!(matches!(first, Ok(Err(NodeError::OldTerm { known: Term(2), .. }))), "{first:?}");
    assert!(later.is_err(), "there are no ticks for it either: {later:?}");
    answer.send_replace(true);
    node.open_channel(&channel, Term(2)).await.unwrap();
    let closed = node.close_channel(&channel, Term(1)).await;
    assert!(matches!(closed, Err(NodeError::OldTerm { .. })), "{closed:?}");
    assert_eq!(node.status().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_a_log_ends_an_opening_that_hangs() {
    let (env, channel) = (Env::test(3), PChannel::new("log_0"));
    let (node, answer) = node_without_ticks(&env).await;
    let close = async {
        env.clock.sleep(SOON).await;
        timeout(&*env.clock, SOON, node.close_channel(&channel, Term(1))).await
    };
    let opening = timeout(&*env.clock, SOON * 3, node.open_channel(&channel, Term(1)));
    let (opened, closed) = tokio::join!(opening, close);
    assert!(matches!(opened, Ok(Err(NodeError::Unavailable(_)))), "{opened:?}");
    assert_eq!(closed, Ok(Ok(())));
    answer.send_replace(true);
    env.clock.sleep(SOON).await;
    assert!(node.status().await.is_empty());
    node.open_channel(&channel, Term(1)).await.unwrap();
    assert_eq!(node.status().await.len(), 1);
}
