//! Calls to the owner of a log, wherever it is.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, timeout};
use cinclus_rpc::{
    AppendError, Appended, NodeApi, QueryAnswer, ReadError, SearchAnswer, ShardQuery, ShardSearch,
    ShardStatistics,
};
use cinclus_types::message::Draft;
use cinclus_types::{Advice, Assignment, AssignmentView, PChannel, Term, VChannel};
use tokio::sync::watch;

use crate::Nodes;

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

/// A handle to all logs; cheap to clone.
#[derive(Clone)]
pub struct Client {
    view: watch::Receiver<AssignmentView>,
    nodes: Arc<dyn Nodes>,
    clock: DynClock,
    config: ClientConfig,
}

/// An error that says whether the call may be repeated here or elsewhere.
trait Repeatable {
    /// Nothing happened, and the same owner will take it soon.
    fn is_not_ready(&self) -> bool;
    /// Nothing happened, and the owner has changed.
    fn is_moved(&self) -> bool;
    /// What to answer when the log was not ready in time.
    fn never_ready(channel: &PChannel, patience: Duration) -> Self;
}

impl Repeatable for AppendError {
    fn is_not_ready(&self) -> bool {
        matches!(self, AppendError::NotReady(_))
    }

    fn is_moved(&self) -> bool {
        self.advice() == Advice::Reroute
    }

    fn never_ready(channel: &PChannel, patience: Duration) -> Self {
        AppendError::NotReady(format!("{channel} did not become ready within {patience:?}"))
    }
}

impl Repeatable for ReadError {
    fn is_not_ready(&self) -> bool {
        false
    }

    fn is_moved(&self) -> bool {
        self.advice() == Advice::Reroute
    }

    fn never_ready(channel: &PChannel, patience: Duration) -> Self {
        ReadError::Unavailable(format!("{channel} did not become ready within {patience:?}"))
    }
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
        Client { view, nodes, clock, config }
    }

    /// Appends messages of one VChannel: one as it is, several as one transaction.
    ///
    /// # Errors
    /// As [`NodeApi::append`]; `NotOwner`, `Closing` and `NotReady` only after the patience ended.
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

    /// Calls the owner; waits for a new one while there is none.
    async fn call<T, E, F>(
        &self,
        channel: &PChannel,
        mut call: impl FnMut(Arc<dyn NodeApi>, Term) -> F,
    ) -> Result<T, E>
    where
        E: Repeatable,
        F: Future<Output = Result<T, E>>,
    {
        let mut view = self.view.clone();
        let deadline = self.clock.monotonic() + self.config.ready_patience;
        let mut pause = self.config.backoff_min;
        let mut refused: Option<Term> = None;
        loop {
            let Some(owner) = self.owner(&mut view, channel, refused, deadline).await else {
                return Err(E::never_ready(channel, self.config.ready_patience));
            };
            match self.nodes.node(&owner.node) {
                None => refused = Some(owner.term),
                Some(node) => match call(node, owner.term).await {
                    Err(error) if error.is_moved() => refused = Some(owner.term),
                    Err(error) if error.is_not_ready() => {}
                    answer => return answer,
                },
            }
            if self.clock.monotonic() >= deadline {
                return Err(E::never_ready(channel, self.config.ready_patience));
            }
            // A refusal ends with a new view; the pause only bounds how often an owner that has not yet
            // heard of its own term is asked again.
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(self.config.backoff_max);
        }
    }

    /// The owner in the newest view. While there is none, or it is the one that refused, the view is
    /// awaited: until the deadline, or for one pause if an owner stands there already.
    async fn owner(
        &self,
        view: &mut watch::Receiver<AssignmentView>,
        channel: &PChannel,
        refused: Option<Term>,
        deadline: Duration,
    ) -> Option<Assignment> {
        loop {
            let current = view.borrow_and_update().channels.get(channel).cloned();
            let patience = match &current {
                Some(owner) if Some(owner.term) != refused => return current,
                Some(_) => self.config.backoff_max,
                None => deadline.saturating_sub(self.clock.monotonic()),
            };
            match timeout(&*self.clock, patience, view.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return current,
            }
        }
    }
}
