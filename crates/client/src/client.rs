//! Calls to the owner of a log, wherever it is.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::DynClock;
use cinclus_rpc::{
    AppendError, Appended, NodeApi, QueryAnswer, ReadError, SearchAnswer, ShardQuery, ShardSearch,
    ShardStatistics,
};
use cinclus_types::message::Draft;
use cinclus_types::{AssignmentView, BroadcastId, PChannel, Term, Tick, VChannel};
use tokio::sync::watch;

use crate::nodes::LogsOfNodes;
use crate::route::{Repeatable, Router};
use crate::{LogClient, Nodes};

/// How patient the client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long a call waits for its log to be ready before it fails.
    pub ready_patience: Duration,
    /// The first pause before a call is repeated at the same owner.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            ready_patience: Duration::from_secs(30),
            backoff_min: Duration::from_millis(5),
            backoff_max: Duration::from_millis(500),
        }
    }
}

/// A handle to all logs and the shards in them; cheap to clone.
#[derive(Clone)]
pub struct Client {
    router: Router,
    nodes: Arc<dyn Nodes>,
}

impl Client {
    /// A client that follows `view` and calls through `nodes`.
    #[must_use]
    pub fn new(
        view: watch::Receiver<AssignmentView>,
        nodes: Arc<dyn Nodes>,
        clock: DynClock,
        config: ClientConfig,
    ) -> Client {
        Client { router: Router { view, clock, config }, nodes }
    }

    /// The logs alone: to subscribe, and for transactions of several calls.
    #[must_use]
    pub fn logs(&self) -> LogClient {
        LogClient { router: self.router.clone(), logs: Arc::new(LogsOfNodes(self.nodes.clone())) }
    }

    /// Appends messages of one VChannel: one as it is, several as one transaction.
    ///
    /// # Errors
    /// As [`cinclus_rpc::LogApi::append`], but `NotOwner` and `Closing` are waited out; `NotReady` only when the
    /// patience has ended, with the last reason. A log whose storage fails (`Unavailable`) is not waited for.
    pub async fn append(&self, vchannel: &VChannel, batch: Vec<Draft>) -> Result<Appended, AppendError> {
        self.append_to(&vchannel.pchannel(), batch).await
    }

    /// Appends a message that concerns a whole log, or messages of one of its VChannels.
    ///
    /// # Errors
    /// As [`Client::append`].
    pub async fn append_to(&self, channel: &PChannel, batch: Vec<Draft>) -> Result<Appended, AppendError> {
        self.call(channel, |node, term| {
            let (channel, batch) = (channel.clone(), batch.clone());
            async move { node.append(&channel, term, batch).await }
        })
        .await
    }

    /// Searches one shard at its owner.
    ///
    /// # Errors
    /// As [`NodeApi::search`].
    pub async fn search(&self, search: ShardSearch) -> Result<SearchAnswer, ReadError> {
        let channel = search.read.vchannel.pchannel();
        self.call(&channel, |node, _| {
            let search = search.clone();
            async move { node.search(search).await }
        })
        .await
    }

    /// Queries one shard at its owner.
    ///
    /// # Errors
    /// As [`NodeApi::query`].
    pub async fn query(&self, query: ShardQuery) -> Result<QueryAnswer, ReadError> {
        let channel = query.read.vchannel.pchannel();
        self.call(&channel, |node, _| {
            let query = query.clone();
            async move { node.query(query).await }
        })
        .await
    }

    /// Counts the rows of one shard at its owner.
    ///
    /// # Errors
    /// As [`NodeApi::statistics`].
    pub async fn statistics(&self, vchannel: &VChannel) -> Result<ShardStatistics, ReadError> {
        self.call(&vchannel.pchannel(), |node, _| {
            let vchannel = vchannel.clone();
            async move { node.statistics(&vchannel).await }
        })
        .await
    }

    /// Persists what a shard holds up to a tick.
    ///
    /// # Errors
    /// As [`NodeApi::persist`].
    pub async fn persist(&self, vchannel: &VChannel, upto: Tick) -> Result<(), ReadError> {
        self.call(&vchannel.pchannel(), |node, _| {
            let vchannel = vchannel.clone();
            async move { node.persist(&vchannel, upto).await }
        })
        .await
    }

    /// Tells the owner of a log that every target of these broadcasts has acknowledged (C2). Said once:
    /// a log that does not hear of it forgets them by age.
    pub async fn forget_broadcasts(&self, channel: &PChannel, broadcasts: &[BroadcastId]) {
        let owner = self.router.view.borrow().channels.get(channel).cloned();
        let Some(owner) = owner else { return };
        if let Some(node) = self.nodes.node(&owner.node) {
            node.forget_broadcasts(channel, owner.term, broadcasts).await;
        }
    }

    async fn call<T, E, F>(
        &self,
        channel: &PChannel,
        call: impl FnMut(Arc<dyn NodeApi>, Term) -> F,
    ) -> Result<T, E>
    where
        E: Repeatable,
        F: Future<Output = Result<T, E>>,
    {
        self.router.call(channel, |info| self.nodes.node(info), call).await
    }
}
