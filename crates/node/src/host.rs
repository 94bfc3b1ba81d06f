//! Hosts the logs of this node.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use cinclus_catalog::{Collections, Segments};
use cinclus_env::{DynTickSource, Env, MemoryPart};
use cinclus_log_storage::DynLogStorage;
use cinclus_query::{Delegator, DelegatorParts, LogPosition as _, Workers};
use cinclus_rpc::{
    AppendError, ChannelStatus, NodeApi, NodeError, QueryAnswer, ReadError, SearchAnswer, ShardQuery,
    ShardRead, ShardSearch, ShardStatistics,
};
use cinclus_types::{BroadcastId, PChannel, Term, Tick, VChannel};
use futures::future::join_all;
use object_store::ObjectStore;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::NodeConfig;
use crate::backlog::Backlog;
use crate::channel::Channel;
use crate::control::Control;
use crate::ending::{corrupt_append, corrupt_read};
use crate::failure::Failure;
use crate::loader::{Loader, LoaderSignal};
use crate::opening::Opening;
use crate::persist::Persister;
use crate::pump::Pump;
use crate::serve::Subscriptions;
use crate::sweep::sweep_now_and_then;

/// Messages that may wait for a pump.
const CONTROL_QUEUE: usize = 64;
/// How long closing a log waits for its tasks.
const CLOSE_BOUND: Duration = Duration::from_secs(5);
/// How long a call to persist waits for the pump.
const PERSIST_PATIENCE: Duration = Duration::from_secs(60);

/// What a node works with.
#[derive(Clone)]
pub struct NodeParts {
    /// The logs' records.
    pub storage: DynLogStorage,
    /// Segment files.
    pub objects: Arc<dyn ObjectStore>,
    /// What is known of collections.
    pub collections: Collections,
    /// What is known of segments, and checkpoints.
    pub segments: Segments,
    /// The TSO.
    pub ticks: DynTickSource,
    /// The query nodes.
    pub workers: Arc<dyn Workers>,
    /// This machine.
    pub env: Env,
}

impl NodeParts {
    /// The parts of a delegator in a log.
    pub(crate) fn delegator(&self, channel: &Channel) -> DelegatorParts {
        DelegatorParts {
            collections: self.collections.clone(),
            segments: self.segments.clone(),
            workers: self.workers.clone(),
            position: Arc::new(channel.position()),
            tsafe: channel.tsafe.clone(),
            memory: self.growing(),
            env: self.env.clone(),
        }
    }

    /// The part of the memory budget that growing rows are counted in.
    fn growing(&self) -> MemoryPart {
        self.env.memory.part("growing", &self.env.telemetry)
    }
}

/// A log of this node.
#[derive(Clone)]
pub(crate) struct Hosted {
    pub(crate) channel: Channel,
    control: mpsc::Sender<Control>,
}

/// What is wrong with a log that could not be opened.
#[derive(Clone, Debug)]
pub(crate) enum Broken {
    /// It stays closed.
    Corrupt(String),
    /// Opening it under this term did not work, and is tried again.
    Failing(Term, Failure),
}

/// The last that was asked for, of a log.
struct Asked {
    term: Term,
    /// Ends the openings under that term which are under way.
    over: CancellationToken,
}

impl Asked {
    fn under(term: Term) -> Asked {
        Asked { term, over: CancellationToken::new() }
    }
}

/// A streaming node.
pub struct Node {
    pub(crate) parts: NodeParts,
    pub(crate) config: NodeConfig,
    pub(crate) backlog: Backlog,
    pub(crate) growing: MemoryPart,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) hosted: Mutex<BTreeMap<PChannel, Hosted>>,
    /// The greatest term that was asked for, of each log.
    asked: Mutex<BTreeMap<PChannel, Asked>>,
    /// What is wrong with logs that could not be opened.
    pub(crate) broken: Mutex<BTreeMap<PChannel, Broken>>,
    /// One opening or closing of a log at a time.
    turns: Mutex<BTreeMap<PChannel, Arc<tokio::sync::Mutex<()>>>>,
    this: Weak<Node>,
}

impl Node {
    /// A node without logs. It removes orphaned objects in the background as long as it lives, so this is
    /// called within a runtime.
    #[must_use]
    pub fn new(parts: NodeParts, config: NodeConfig) -> Arc<Node> {
        let node = Arc::new_cyclic(|this| Node {
            backlog: Backlog::new(config.recovery_log_bytes_max, &parts.env.telemetry),
            growing: parts.growing(),
            subscriptions: Subscriptions::new(config.subscriptions_max, &parts.env.telemetry),
            parts,
            config,
            hosted: Mutex::default(),
            asked: Mutex::default(),
            broken: Mutex::default(),
            turns: Mutex::default(),
            this: this.clone(),
        });
        node.parts.env.tasks.spawn_until_cancelled("orphans", sweep_now_and_then(Arc::downgrade(&node)));
        node
    }

    /// Bytes of log that a restart would replay.
    #[must_use]
    pub fn backlog_bytes(&self) -> u64 {
        self.backlog.bytes()
    }

    /// The logs that are served here at this moment.
    pub(crate) fn channels(&self) -> Vec<Channel> {
        self.hosted.lock().values().map(|hosted| hosted.channel.clone()).collect()
    }

    /// Closes every log.
    pub async fn close(&self) {
        self.asked.lock().values().for_each(|asked| asked.over.cancel());
        let hosted: Vec<Hosted> = std::mem::take(&mut *self.hosted.lock()).into_values().collect();
        join_all(hosted.into_iter().map(|hosted| self.shut(hosted))).await;
    }

    /// Notes that a log is to be opened or closed under a term. Openings under earlier terms end. Answers what ends
    /// those under this one.
    ///
    /// # Errors
    /// A newer term is known.
    pub(crate) fn ask(&self, channel: &PChannel, term: Term) -> Result<CancellationToken, NodeError> {
        let mut all = self.asked.lock();
        let asked = all.entry(channel.clone()).or_insert_with(|| Asked::under(term));
        if asked.term > term {
            return Err(NodeError::OldTerm { channel: channel.clone(), given: term, known: asked.term });
        }
        if asked.term < term || asked.over.is_cancelled() {
            asked.over.cancel();
            *asked = Asked::under(term);
        }
        Ok(asked.over.clone())
    }

    /// Runs something to its end in a task of its own. Whoever asked for it may go away half-way; a log that is
    /// opened or closed by half would be served by nobody who knows, and persisted by two.
    async fn to_the_end<F>(
        &self,
        name: &'static str,
        run: impl FnOnce(Arc<Node>) -> F,
    ) -> Result<(), NodeError>
    where
        F: Future<Output = Result<(), NodeError>> + Send + 'static,
    {
        let stops = || NodeError::Unavailable("the node stops".to_owned());
        let node = self.this.upgrade().ok_or_else(stops)?;
        let ended = self.parts.env.tasks.spawn(name, run(node)).join().await;
        ended.unwrap_or_else(|| Err(stops()))
    }

    pub(crate) fn start(&self, channel: Channel, feed: cinclus_wal::Feed) -> Hosted {
        let (control, receiver) = mpsc::channel(CONTROL_QUEUE);
        let signal = LoaderSignal::default();
        let backlog = self.backlog.join();
        let start = feed.replayed_from();
        let persister =
            Persister::new(self.parts.clone(), self.config.clone(), control.clone(), backlog, start);
        let pump = Pump {
            channel: channel.clone(),
            parts: self.parts.clone(),
            feed,
            control: receiver,
            persister,
            loader: signal.clone(),
        };
        let loader =
            Loader { channel: channel.clone(), parts: self.parts.clone(), signal, control: control.clone() };
        channel.tasks.spawn("pump", pump.run());
        channel.tasks.spawn("loader", loader.run());
        Hosted { channel, control }
    }

    pub(crate) async fn shut(&self, hosted: Hosted) {
        let channel = hosted.channel;
        channel.wal.close().await;
        if channel.tasks.join(&*self.parts.env.clock, CLOSE_BOUND).await.is_err() {
            tracing::warn!(channel = %channel.channel, "tasks of a closed log did not end in time");
        }
        for delegator in channel.shards.all() {
            for segment in delegator.view().sealed.keys() {
                self.parts.workers.of(*segment).release(*segment).await;
            }
        }
    }

    pub(crate) fn channel(&self, channel: &PChannel) -> Option<Channel> {
        self.hosted.lock().get(channel).map(|hosted| hosted.channel.clone())
    }

    /// The log of a shard, if this node serves it.
    fn hosting(&self, vchannel: &VChannel) -> Result<Hosted, ReadError> {
        let channel = vchannel.pchannel();
        if let Some(hosted) = self.hosted.lock().get(&channel) {
            return Ok(hosted.clone());
        }
        Err(match self.broken.lock().get(&channel) {
            Some(Broken::Corrupt(reason)) => corrupt_read(&channel, reason),
            Some(Broken::Failing(_, failure)) => ReadError::Unavailable(failure.to_string()),
            None => ReadError::NotServed(vchannel.clone()),
        })
    }

    /// Why an append under a term is not for this node, or not now.
    pub(crate) fn not_hosting(&self, channel: &PChannel, term: Term) -> AppendError {
        match self.broken.lock().get(channel) {
            Some(Broken::Corrupt(reason)) => corrupt_append(channel, reason),
            Some(Broken::Failing(failed, failure)) if *failed == term => failure.refuse(channel.name()),
            Some(Broken::Failing(..)) | None => AppendError::NotOwner,
        }
    }

    /// The delegator of a shard. One whose creation was acknowledged, but has not come through the pump yet,
    /// is waited for.
    async fn delegator(
        &self,
        hosted: &Channel,
        vchannel: &VChannel,
        patience: Duration,
    ) -> Result<Arc<Delegator>, ReadError> {
        if let Some(delegator) = hosted.shards.get(vchannel) {
            return Ok(delegator);
        }
        let frontier = hosted.wal.frontier();
        hosted.tsafe.wait(&*self.parts.env.clock, frontier, patience).await?;
        hosted.shards.get(vchannel).ok_or_else(|| ReadError::NotServed(vchannel.clone()))
    }

    async fn delegator_of(&self, hosted: &Channel, read: &ShardRead) -> Result<Arc<Delegator>, ReadError> {
        self.delegator(hosted, &read.vchannel, read.patience).await
    }

    /// Persists what the log of a shard holds up to a tick.
    async fn persist_upto(&self, hosted: &Hosted, vchannel: &VChannel, upto: Tick) -> Result<(), ReadError> {
        let clock = &*self.parts.env.clock;
        // The tick may be another shard's, and this log idle below it.
        hosted.channel.position().tick_at_least(upto).await?;
        hosted.channel.tsafe.wait(clock, upto, PERSIST_PATIENCE).await?;
        let (done, finished) = oneshot::channel();
        let asked = hosted.control.send(Control::Persist(done)).await;
        asked.map_err(|_| ReadError::NotServed(vchannel.clone()))?;
        let ended = cinclus_env::timeout(clock, PERSIST_PATIENCE, finished).await;
        // The sender is dropped, not used: an error of the channel is the end that was waited for.
        let tsafe = hosted.channel.tsafe.get();
        ended.map(drop).map_err(|_| ReadError::TimedOut { asked: upto, tsafe })
    }

    pub(crate) fn turn(&self, channel: &PChannel) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.lock().entry(channel.clone()).or_default().clone()
    }
}

#[async_trait]
impl NodeApi for Node {
    async fn open_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError> {
        let over = self.ask(channel, term)?;
        let channel = channel.clone();
        self.to_the_end("opening", |node| Opening { node, channel, term, over }.run()).await
    }

    async fn close_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError> {
        self.ask(channel, term)?.cancel();
        let channel = channel.clone();
        let close = |node: Arc<Node>| async move {
            let turn = node.turn(&channel);
            let _turn = turn.lock().await;
            node.ask(&channel, term)?;
            let hosted = node.hosted.lock().remove(&channel);
            if let Some(hosted) = hosted {
                node.shut(hosted).await;
            }
            // Whoever opens it next says how that goes.
            let stays =
                |name: &PChannel, broken: &Broken| *name != channel || matches!(broken, Broken::Corrupt(_));
            node.broken.lock().retain(|name, broken| stays(name, broken));
            Ok(())
        };
        self.to_the_end("closing", close).await
    }

    async fn forget_broadcasts(&self, channel: &PChannel, term: Term, broadcasts: &[BroadcastId]) {
        if let Some(hosted) = self.channel(channel).filter(|hosted| hosted.term == term) {
            broadcasts.iter().for_each(|broadcast| hosted.wal.forget_broadcast(*broadcast));
        }
    }

    async fn persist(&self, vchannel: &VChannel, upto: Tick) -> Result<(), ReadError> {
        let hosted = self.hosting(vchannel)?;
        hosted.channel.ending.or(vchannel, self.persist_upto(&hosted, vchannel, upto)).await
    }

    async fn search(&self, search: ShardSearch) -> Result<SearchAnswer, ReadError> {
        let (vchannel, Hosted { channel, .. }) =
            (search.read.vchannel.clone(), self.hosting(&search.read.vchannel)?);
        let answer = async { self.delegator_of(&channel, &search.read).await?.search(search).await };
        channel.ending.or(&vchannel, answer).await
    }

    async fn query(&self, query: ShardQuery) -> Result<QueryAnswer, ReadError> {
        let (vchannel, Hosted { channel, .. }) =
            (query.read.vchannel.clone(), self.hosting(&query.read.vchannel)?);
        let answer = async { self.delegator_of(&channel, &query.read).await?.query(query).await };
        channel.ending.or(&vchannel, answer).await
    }

    async fn statistics(&self, vchannel: &VChannel) -> Result<ShardStatistics, ReadError> {
        let Hosted { channel, .. } = self.hosting(vchannel)?;
        let answer = async { Ok(self.delegator(&channel, vchannel, CLOSE_BOUND).await?.statistics()) };
        channel.ending.or(vchannel, answer).await
    }

    async fn status(&self) -> Vec<ChannelStatus> {
        let hosted = self.hosted.lock();
        let status = |hosted: &Hosted| ChannelStatus {
            channel: hosted.channel.channel.clone(),
            term: hosted.channel.term,
            frontier: hosted.channel.wal.frontier(),
            tsafe: hosted.channel.tsafe.get(),
        };
        hosted.values().map(status).collect()
    }
}
