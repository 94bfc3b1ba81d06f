//! A streaming node as others reach it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_rpc::{
    AppendError, Appended, ChannelStatus, ConsumeError, Deliveries, Delivery, LogApi, NodeApi, NodeError,
    QueryAnswer, ReadError, SearchAnswer, ShardQuery, ShardSearch, ShardStatistics, Subscription,
};
use cinclus_types::message::{Draft, TxnContext};
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
    /// Whether calls that are late are said not to have happened: a mutation.
    pub denies_late: bool,
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

    /// Makes a call that nobody waits for, if it is to be late.
    async fn late<F: Future<Output = ()> + Send + 'static>(
        &self,
        what: &'static str,
        call: impl FnOnce(Arc<dyn NodeApi>) -> F,
    ) -> Option<NoAnswer> {
        if !self.network.delays(&self.from) {
            return None;
        }
        Some(self.network.send_late((&self.from, &self.to), what, call(self.node.clone())).await)
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

/// The way that deliveries take.
struct RemoteDeliveries {
    from: Member,
    to: Member,
    network: Network,
    deliveries: Box<dyn Deliveries>,
    /// Under way: not lost when whoever waits for it turns away.
    sent: Option<Delivery>,
}

#[async_trait]
impl Deliveries for RemoteDeliveries {
    async fn next(&mut self) -> Result<Delivery, ConsumeError> {
        if self.sent.is_none() {
            self.sent = Some(self.deliveries.next().await?);
        }
        let passed = self.network.call((&self.from, &self.to), "deliver", async {}).await;
        match (passed, self.sent.take()) {
            (Ok(()), Some(delivery)) => Ok(delivery),
            _ => Err(ConsumeError::Unavailable("the connection broke".to_owned())),
        }
    }
}

#[async_trait]
impl LogApi for RemoteNode {
    async fn check_owner(&self, channel: &PChannel, term: Term) -> Result<(), AppendError> {
        let answer = self.call_again("check", || self.node.check_owner(channel, term)).await;
        answer.unwrap_or_else(|lost| Err(AppendError::NotReady(lost.to_string())))
    }

    async fn append(
        &self,
        channel: &PChannel,
        term: Term,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        let (of_channel, sent) = (channel.clone(), batch.clone());
        let late = |node: Arc<dyn NodeApi>| async move { drop(node.append(&of_channel, term, sent).await) };
        if let Some(lost) = self.late("append", late).await {
            let lost = lost.to_string();
            return Err(if self.denies_late {
                AppendError::NotReady(lost)
            } else {
                AppendError::Unknown(lost)
            });
        }
        // A network may repeat what the receiver can tell apart.
        let keyed = batch.iter().all(|draft| draft.idempotency_key.is_some() || draft.broadcast.is_some())
            || self.repeats_all;
        let call = || self.node.append(channel, term, batch.clone());
        let answer =
            if keyed { self.call_again("append", call).await } else { self.call("append", call()).await };
        answer.unwrap_or_else(|lost| Err(AppendError::Unknown(lost.to_string())))
    }

    async fn begin_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        keepalive: Option<Duration>,
    ) -> Result<TxnContext, AppendError> {
        let answer = self.call("begin", self.node.begin_txn(vchannel, term, keepalive)).await;
        answer.unwrap_or_else(|lost| Err(AppendError::Unknown(lost.to_string())))
    }

    async fn append_in_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        let answer = self.call("append in txn", self.node.append_in_txn(vchannel, term, txn, batch)).await;
        answer.unwrap_or_else(|lost| Err(AppendError::Unknown(lost.to_string())))
    }

    async fn commit_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
    ) -> Result<Appended, AppendError> {
        let shard = vchannel.clone();
        let late = |node: Arc<dyn NodeApi>| async move { drop(node.commit_txn(&shard, term, txn).await) };
        if let Some(lost) = self.late("commit", late).await {
            return Err(AppendError::Unknown(lost.to_string()));
        }
        let answer = self.call_again("commit", || self.node.commit_txn(vchannel, term, txn)).await;
        answer.unwrap_or_else(|lost| Err(AppendError::Unknown(lost.to_string())))
    }

    async fn rollback_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
    ) -> Result<(), AppendError> {
        let answer = self.call("rollback", self.node.rollback_txn(vchannel, term, txn)).await;
        answer.unwrap_or_else(|lost| Err(AppendError::Unknown(lost.to_string())))
    }

    async fn consume(
        &self,
        channel: &PChannel,
        term: Term,
        subscription: Subscription,
    ) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let opened = self.call("consume", self.node.consume(channel, term, subscription)).await;
        let deliveries = opened.unwrap_or_else(|lost| Err(ConsumeError::Unavailable(lost.to_string())))?;
        let (from, to) = (self.from.clone(), self.to.clone());
        let network = self.network.clone();
        Ok(Box::new(RemoteDeliveries { from, to, network, deliveries, sent: None }))
    }
}

#[async_trait]
impl NodeApi for RemoteNode {
    async fn open_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError> {
        self.terms.asked(channel, term, self.info.id).await;
        let log = channel.clone();
        let late = |node: Arc<dyn NodeApi>| async move { drop(node.open_channel(&log, term).await) };
        if let Some(lost) = self.late("open", late).await {
            return Err(NodeError::Unavailable(lost.to_string()));
        }
        let opened = self.call_again("open", || async { self.node.open_channel(channel, term).await });
        opened.await.unwrap_or_else(|lost| Err(NodeError::Unavailable(lost.to_string())))
    }

    async fn close_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError> {
        let log = channel.clone();
        let late = |node: Arc<dyn NodeApi>| async move { drop(node.close_channel(&log, term).await) };
        if let Some(lost) = self.late("close", late).await {
            return Err(NodeError::Unavailable(lost.to_string()));
        }
        let closed = self.call_again("close", || self.node.close_channel(channel, term)).await;
        closed.unwrap_or_else(|lost| Err(NodeError::Unavailable(lost.to_string())))
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
