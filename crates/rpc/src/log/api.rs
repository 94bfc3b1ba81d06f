//! What the owner of a log does for the log's clients.

use std::time::Duration;

use async_trait::async_trait;
use cinclus_types::message::{Draft, TxnContext};
use cinclus_types::{PChannel, Term, VChannel};

use super::{ConsumeError, Delivery, Subscription};
use crate::{AppendError, Appended};

/// A subscription: pulled by its reader, so that a slow one holds up nobody but itself.
#[async_trait]
pub trait Deliveries: Send + 'static {
    /// The next delivery; waits for one. Nothing is lost when the future is dropped half way.
    ///
    /// # Errors
    /// Why there are no more. What was acknowledged before the log was closed is delivered before the error.
    async fn next(&mut self) -> Result<Delivery, ConsumeError>;

    /// The next delivery, and those behind it that are at hand, until they have so many bytes. Whoever drops the
    /// future half way loses what it took.
    ///
    /// # Errors
    /// As of [`Deliveries::next`]; what was at hand before the error is given before it.
    async fn next_together(&mut self, _bytes: usize) -> Result<Vec<Delivery>, ConsumeError> {
        self.next().await.map(|delivery| vec![delivery])
    }
}

/// A node as the owner of logs.
///
/// Every call names the term under which the caller believes the node to own the log; a node that owns it
/// under another one, or does not, answers `NotOwner`.
#[async_trait]
pub trait LogApi: Send + Sync + 'static {
    /// Whether the log is served here under that term.
    ///
    /// # Errors
    /// As of an append.
    async fn check_owner(&self, channel: &PChannel, term: Term) -> Result<(), AppendError>;

    /// Appends messages to one VChannel (all of one, or one for the whole log): one message as it is, more
    /// as one transaction. Returns when they are durable.
    async fn append(
        &self,
        channel: &PChannel,
        term: Term,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError>;

    /// Begins a transaction that later calls add to. It is over when it gets no message for `keepalive`,
    /// counted in ticks; `None` is the log's default.
    async fn begin_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        keepalive: Option<Duration>,
    ) -> Result<TxnContext, AppendError>;

    /// Appends rows and deletes of an open transaction, which renews its life. They become visible with its
    /// commit. An open transaction goes on under the log's next owner.
    async fn append_in_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError>;

    /// Commits a transaction: its messages become visible together at the tick of the answer. Asked again
    /// after an unknown result, it says what became of it.
    async fn commit_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
    ) -> Result<Appended, AppendError>;

    /// Ends a transaction whose messages never become visible.
    async fn rollback_txn(&self, vchannel: &VChannel, term: Term, txn: TxnContext)
    -> Result<(), AppendError>;

    /// Reads the log from some point on and follows it.
    async fn consume(
        &self,
        channel: &PChannel,
        term: Term,
        subscription: Subscription,
    ) -> Result<Box<dyn Deliveries>, ConsumeError>;
}
