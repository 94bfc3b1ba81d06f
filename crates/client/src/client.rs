//! Calls to the owner of a log, wherever it is.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, timeout};
use cinclus_rpc::{
    AppendError, Appended, NodeApi, QueryAnswer, ReadError, SearchAnswer, ShardQuery, ShardSearch,
    ShardStatistics,
};
use cinclus_types::message::Draft;
use cinclus_types::{Advice, Assignment, AssignmentView, BroadcastId, PChannel, Term, Tick, VChannel};
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
trait Repeatable: std::fmt::Display {
    /// Nothing happened, and the same owner will take it soon.
    fn is_not_ready(&self) -> bool;
    /// Nothing happened, and the owner has changed.
    fn is_moved(&self) -> bool;
    /// What to answer when the log was not ready in time.
    fn never_ready(text: String) -> Self;
}

impl Repeatable for AppendError {
    fn is_not_ready(&self) -> bool {
        matches!(self, AppendError::NotReady(_))
    }

    fn is_moved(&self) -> bool {
        self.advice() == Advice::Reroute
    }

    fn never_ready(text: String) -> Self {
        AppendError::NotReady(text)
    }
}

impl Repeatable for ReadError {
    fn is_not_ready(&self) -> bool {
        matches!(self, ReadError::NotFullyLoaded(_))
    }

    fn is_moved(&self) -> bool {
        self.advice() == Advice::Reroute
    }

    fn never_ready(text: String) -> Self {
        ReadError::Unavailable(text)
    }
}

/// Why the last try of a call failed.
#[derive(Default)]
struct Refused {
    /// The term of the owner that does not own the log, or cannot be reached.
    term: Option<Term>,
    reason: Option<String>,
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
    /// As [`NodeApi::append`], but `NotOwner` and `Closing` are waited out; `NotReady` only when the
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
        let owner = self.view.borrow().channels.get(channel).cloned();
        let Some(owner) = owner else { return };
        if let Some(node) = self.nodes.node(&owner.node) {
            node.forget_broadcasts(channel, owner.term, broadcasts).await;
        }
    }

    /// Calls the owner; waits for a new one while there is none. Only what certainly had no effect is
    /// repeated.
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
        let mut refused = Refused::default();
        loop {
            let left = deadline.saturating_sub(self.clock.monotonic());
            let Some(owner) = self.owner(&mut view, channel, refused.term, (pause, left)).await else {
                return Err(E::never_ready(self.gave_up(channel, &refused)));
            };
            let again = match self.nodes.node(&owner.node) {
                None => {
                    let reason = Some("its owner cannot be reached".to_owned());
                    refused = Refused { term: Some(owner.term), reason };
                    Duration::ZERO
                }
                Some(node) => match call(node, owner.term).await {
                    Err(error) if error.is_moved() => {
                        refused = Refused { term: Some(owner.term), reason: Some(error.to_string()) };
                        Duration::ZERO
                    }
                    Err(error) if error.is_not_ready() => {
                        refused = Refused { term: None, reason: Some(error.to_string()) };
                        pause
                    }
                    answer => return answer,
                },
            };
            let left = deadline.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return Err(E::never_ready(self.gave_up(channel, &refused)));
            }
            self.clock.sleep(again.min(left)).await;
            pause = (pause * 2).min(self.config.backoff_max);
        }
    }

    /// The owner in the newest view. While there is none it is awaited for all the time that is left; one
    /// that refused is asked again after a pause, if no other has come by then.
    async fn owner(
        &self,
        view: &mut watch::Receiver<AssignmentView>,
        channel: &PChannel,
        refused: Option<Term>,
        (pause, left): (Duration, Duration),
    ) -> Option<Assignment> {
        let until = self.clock.monotonic() + left;
        let again = self.clock.monotonic() + pause.min(left);
        loop {
            let current = view.borrow_and_update().channels.get(channel).cloned();
            let wake = match &current {
                Some(owner) if Some(owner.term) != refused => return current,
                Some(_) => again,
                None => until,
            };
            let span = wake.saturating_sub(self.clock.monotonic());
            match timeout(&*self.clock, span, view.changed()).await {
                Ok(Ok(())) => {}
                // No view comes any more: the owner that there is may still come back.
                Ok(Err(_)) => {
                    self.clock.sleep_until(wake).await;
                    return current;
                }
                Err(_) => return current,
            }
        }
    }

    fn gave_up(&self, channel: &PChannel, refused: &Refused) -> String {
        let patience = self.config.ready_patience;
        let reason = refused.reason.as_deref().unwrap_or("it is not assigned to a node");
        format!("{channel} did not become ready within {patience:?}: {reason}")
    }
}
