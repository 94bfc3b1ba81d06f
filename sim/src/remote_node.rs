//! A streaming node as others reach it.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_rpc::{
    AppendError, Appended, ChannelStatus, NodeApi, NodeError, QueryAnswer, ReadError, SearchAnswer,
    ShardQuery, ShardSearch, ShardStatistics,
};
use cinclus_types::message::Draft;
use cinclus_types::{BroadcastId, NodeInfo, PChannel, Term, Tick, VChannel};

use crate::member::Member;
use crate::network::{Network, NoAnswer};
use crate::terms::Terms;

/// The way from one member to a node.
pub struct RemoteNode {
    /// Who asks.
    pub from: Member,
    /// The node's process.
    pub to: Member,
    /// What it is called in assignments.
    pub info: NodeInfo,
    /// The node itself.
    pub node: Arc<dyn NodeApi>,
    /// What lies between.
    pub network: Network,
    /// Looks at the terms under which logs are opened.
    pub terms: Terms,
    /// Whether appends come twice that nobody can tell apart: a mutation.
    pub repeats_all: bool,
}

impl RemoteNode {
    async fn call<T>(&self, what: &str, call: impl Future<Output = T>) -> Result<T, NoAnswer> {
        self.network.call((&self.from, &self.to), what, call).await
    }

    /// Calls once or twice; the later answer counts.
    async fn call_again<T, F: Future<Output = T>>(
        &self,
        what: &str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, NoAnswer> {
        if !self.network.repeats(&self.from) {
            return self.call(what, call()).await;
        }
        let (first, second) = (self.call(what, call()), self.call(what, call()));
        futures::join!(first, second).1
    }

    async fn read<T, F: Future<Output = Result<T, ReadError>>>(
        &self,
        what: &str,
        call: impl FnMut() -> F,
    ) -> Result<T, ReadError> {
        let answer = self.call_again(what, call).await;
        answer.unwrap_or_else(|lost| Err(ReadError::Unavailable(lost.to_string())))
    }
}

#[async_trait]
impl NodeApi for RemoteNode {
    async fn open_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError> {
        self.terms.asked(channel, term, self.info.id).await;
        let opened = self.call_again("open", || async { self.node.open_channel(channel, term).await });
        opened.await.unwrap_or_else(|lost| Err(NodeError::Unavailable(lost.to_string())))
    }

    async fn close_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError> {
        let closed = self.call_again("close", || self.node.close_channel(channel, term)).await;
        closed.unwrap_or_else(|lost| Err(NodeError::Unavailable(lost.to_string())))
    }

    async fn append(
        &self,
        channel: &PChannel,
        term: Term,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        // A network may repeat what the receiver can tell apart.
        let keyed = batch.iter().all(|draft| draft.idempotency_key.is_some() || draft.broadcast.is_some())
            || self.repeats_all;
        let call = || self.node.append(channel, term, batch.clone());
        let answer =
            if keyed { self.call_again("append", call).await } else { self.call("append", call()).await };
        answer.unwrap_or_else(|lost| Err(AppendError::Unknown(lost.to_string())))
    }

    async fn forget_broadcasts(&self, channel: &PChannel, term: Term, broadcasts: &[BroadcastId]) {
        // Nobody waits for an answer.
        let _ = self.call("forget", self.node.forget_broadcasts(channel, term, broadcasts)).await;
    }

    async fn persist(&self, vchannel: &VChannel, upto: Tick) -> Result<(), ReadError> {
        self.read("persist", || self.node.persist(vchannel, upto)).await
    }

    async fn search(&self, search: ShardSearch) -> Result<SearchAnswer, ReadError> {
        self.read("search", || self.node.search(search.clone())).await
    }

    async fn query(&self, query: ShardQuery) -> Result<QueryAnswer, ReadError> {
        self.read("query", || self.node.query(query.clone())).await
    }

    async fn statistics(&self, vchannel: &VChannel) -> Result<ShardStatistics, ReadError> {
        self.read("statistics", || self.node.statistics(vchannel)).await
    }

    async fn status(&self) -> Vec<ChannelStatus> {
        self.call("status", self.node.status()).await.unwrap_or_default()
    }
}
