//! Appends, transactions and subscriptions.

use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{MemoryFull, mutated};
use cinclus_rpc::{AppendError, Appended, ConsumeError, Deliveries, LogApi, Subscription};
use cinclus_types::message::{Draft, Kind, TxnContext};
use cinclus_types::{PChannel, Term, VChannel};

use crate::channel::Channel;
use crate::ending::corrupt_append;
use crate::host::Node;

/// Bytes of a record beside its payload, as a rule.
const PROPERTIES_BYTES: u64 = 512;

impl Node {
    /// The log, if it is served here under that term.
    fn owned(&self, channel: &PChannel, term: Term) -> Result<Channel, AppendError> {
        let Some(hosted) = self.channel(channel) else {
            return Err(self.not_hosting(channel, term));
        };
        if hosted.term != term {
            return Err(AppendError::NotOwner);
        }
        match hosted.ending.corruption() {
            Some(reason) => Err(corrupt_append(channel, &reason)),
            None => Ok(hosted),
        }
    }

    /// Appends what there is room for.
    async fn admitted<F>(
        &self,
        batch: Vec<Draft>,
        append: impl FnOnce(Vec<Draft>) -> F,
    ) -> Result<Appended, AppendError>
    where
        F: Future<Output = Result<Appended, AppendError>>,
    {
        let (rows, deletes) = bytes_of(&batch);
        if rows + deletes == 0 {
            return append(batch).await;
        }
        // Refused before anything reaches the log; the pump counts the rows when they are applied.
        let room = self.growing.reserve(rows).map_err(full);
        let _room = if mutated("AdmitsAnyMemory") { None } else { Some(room?) };
        let _admitted = self.backlog.admit(rows + deletes, &*self.parts.env.clock).await?;
        append(batch).await
    }
}

/// Bytes of the rows and of the deletes in a batch.
fn bytes_of(batch: &[Draft]) -> (u64, u64) {
    let bytes = |draft: &Draft| draft.payload.len() as u64 + PROPERTIES_BYTES;
    let of = |kind| batch.iter().filter(|draft| draft.kind() == kind).map(bytes).sum();
    (of(Kind::Insert), of(Kind::Delete))
}

fn full(full: MemoryFull) -> AppendError {
    AppendError::OutOfMemory { need: full.need, used: full.used, limit: full.limit }
}

/// If a log turns out to be corrupt, the error names it.
fn named<T>(channel: &PChannel, answer: Result<T, AppendError>) -> Result<T, AppendError> {
    answer.map_err(|error| {
        if let AppendError::Corrupt(reason) = &error { corrupt_append(channel, reason) } else { error }
    })
}

#[async_trait]
impl LogApi for Node {
    async fn check_owner(&self, channel: &PChannel, term: Term) -> Result<(), AppendError> {
        self.owned(channel, term).map(|_| ())
    }

    async fn append(
        &self,
        channel: &PChannel,
        term: Term,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        let wal = self.owned(channel, term)?.wal;
        named(channel, self.admitted(batch, |batch| async move { wal.append(batch).await }).await)
    }

    async fn begin_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        keepalive: Option<Duration>,
    ) -> Result<TxnContext, AppendError> {
        let channel = vchannel.pchannel();
        let wal = self.owned(&channel, term)?.wal;
        named(&channel, wal.begin_txn(vchannel, keepalive).await)
    }

    async fn append_in_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        let channel = vchannel.pchannel();
        let wal = self.owned(&channel, term)?.wal;
        if let Some(other) = batch.iter().find(|draft| draft.vchannel.as_ref() != Some(vchannel)) {
            let named = other.vchannel.as_ref().map_or("no VChannel", |vchannel| vchannel.name());
            let text = format!("a message for {named} in a transaction of {vchannel}");
            return Err(AppendError::Invalid(text));
        }
        let append = |batch| async move { wal.append_in_txn(txn, batch).await };
        named(&channel, self.admitted(batch, append).await)
    }

    async fn commit_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
    ) -> Result<Appended, AppendError> {
        let channel = vchannel.pchannel();
        let wal = self.owned(&channel, term)?.wal;
        named(&channel, wal.commit_txn(vchannel, txn).await)
    }

    async fn rollback_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
    ) -> Result<(), AppendError> {
        let channel = vchannel.pchannel();
        let wal = self.owned(&channel, term)?.wal;
        named(&channel, wal.rollback_txn(vchannel, txn).await)
    }

    async fn consume(
        &self,
        channel: &PChannel,
        term: Term,
        subscription: Subscription,
    ) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let hosted = self.owned(channel, term).map_err(|error| {
            if let AppendError::Corrupt(reason) = error {
                ConsumeError::Corrupt(reason)
            } else {
                ConsumeError::NotOwner
            }
        })?;
        let Subscription { from, filter } = subscription;
        if let Some(vchannel) = filter.vchannel.as_ref().filter(|vchannel| vchannel.pchannel() != *channel) {
            return Err(ConsumeError::Invalid(format!("{vchannel} is not a VChannel of {channel}")));
        }
        self.subscriptions.open(hosted.wal.scan(from, filter), hosted.ending)
    }
}
