//! What goes to the storage in one call.

use std::time::Duration;

use cinclus_log_storage::{AppendAck, Record};
use cinclus_rpc::{AppendError, Appended};
use cinclus_types::message::{Placed, TxnContext};
use cinclus_types::{SegmentId, Tick, TxnId};
use tokio::sync::OwnedSemaphorePermit;

use super::request::Reply;
use crate::shard::DedupKey;

/// Placed messages in the order of their ticks, and who waits for them.
#[derive(Default)]
pub(crate) struct Batch {
    pub placed: Vec<(Placed, u64)>,
    pub records: Vec<Record>,
    pub bytes: u64,
    pub answers: Vec<PendingAnswer>,
}

/// An answer that waits for the ack.
pub(crate) enum PendingAnswer {
    /// To a batch, to bodies, or to the end of a transaction.
    Appended(PendingAppend),
    /// To the begin of a transaction, the `at`th message.
    Begun { reply: Reply<TxnContext>, context: TxnContext, at: usize },
    /// To a request about a transaction that is over, once that is certain.
    Refused { reply: Reply<Appended>, error: AppendError },
    /// To those who wait for a tick.
    Ticked { replies: Vec<Reply<Tick>>, tick: Tick },
}

/// The answer to an append.
pub(crate) struct PendingAppend {
    pub reply: Reply<Appended>,
    /// The effective tick.
    pub tick: Tick,
    /// Which messages of the batch are the request's own.
    pub bodies: Vec<usize>,
    pub sealed: Vec<SegmentId>,
    pub key: Option<DedupKey>,
    /// Holds its place among the bytes in flight until it is dropped.
    pub _room: Option<OwnedSemaphorePermit>,
}

/// A batch at the storage, or a tick that is published after the batches before it.
pub(crate) struct InFlight {
    /// `None` for a tick that needs no record of its own.
    pub ack: Option<AppendAck>,
    pub placed: Vec<(Placed, u64)>,
    /// What the frontier becomes.
    pub frontier: Tick,
    pub answers: Vec<PendingAnswer>,
    /// When it was sent, on the monotonic clock.
    pub sent_at: Duration,
}

impl Batch {
    /// Adds a message; where it stands in the batch.
    pub(crate) fn push(&mut self, placed: Placed) -> usize {
        let encoded = placed.encode();
        let record = Record { payload: encoded.payload, properties: encoded.properties };
        let bytes = record.bytes();
        self.bytes += bytes;
        self.records.push(record);
        self.placed.push((placed, bytes));
        self.placed.len() - 1
    }
}

/// The name under which the commit of a transaction is remembered, so that it can be asked for again.
pub(crate) fn commit_key(txn: TxnId) -> String {
    format!("txn/{txn}")
}
