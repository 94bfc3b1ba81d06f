//! The trait that every log storage implements.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_types::{MessageId, PChannel, Term};

use crate::ack::AppendAck;
use crate::error::LogError;
use crate::record::{Record, StoredRecord};

/// A storage as it is handed around.
pub type DynLogStorage = Arc<dyn LogStorage>;

/// What the opener of a writer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// The opener's term. Every open fences all earlier ones, also those of the same term.
    pub term: Term,
    /// Every record *below* this id is known to have been durable, for example the `resume` of the
    /// checkpoint; [`MessageId::EARLIEST`] if nothing is known. Damage below it is never taken for a torn
    /// tail.
    pub acknowledged: MessageId,
}

/// Durable, ordered records of PChannels.
///
/// Every backend keeps these rules; [`conformance`](crate::conformance) has a function for each.
///
/// 1. **L1** An id returned by append is durable (local: fdatasync, and the directory of a new file).
/// 2. **L2** Acks come in call order; ids strictly increase.
/// 3. **L3** After [`open_writer`](LogStorage::open_writer) returns, no writer opened before gets an ack,
///    and nothing it sent appears later. The storage keeps this rule, not leases.
/// 4. **L4** An unacked append is absent or present; if present, so is everything called before it.
/// 5. **L5** A reader sees every record once, in id order, and only records that can no longer disappear
///    (local: synced). Opening syncs the tail that it accepts before it serves it. Readers end at the
///    durable end; waiting for more is the business of `wal`.
/// 6. **L6** [`truncate`](LogStorage::truncate) is idempotent and only moves forward; below the point reads
///    say [`LogError::Truncated`] with the earliest readable id. It is called only with a point that is
///    already committed in the metadata under the caller's term, so that a stale owner can do no harm.
/// 7. **L7** After [`LogError::Fenced`] or [`LogError::Unavailable`] a writer is dead; only a new open goes
///    on.
#[async_trait]
pub trait LogStorage: Send + Sync + 'static {
    /// Opens a log for writing, creating it if needed, and fences every writer opened before (L3).
    /// Recovers what a crash left: a torn tail is cut, other damage is [`LogError::Corrupt`].
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError>;

    /// Reads a log from a record on, that one included; [`MessageId::EARLIEST`] on a truncated log is
    /// [`LogError::Truncated`] like every other id below the point, and says where to start.
    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError>;

    /// Lets go of every record below `upto`. A point behind the durable end means the durable end.
    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError>;

    /// Where reading can start: the truncation point, or [`MessageId::EARLIEST`] if nothing was truncated.
    async fn earliest(&self, channel: &PChannel) -> Result<MessageId, LogError>;

    /// The logs there are, sorted by name.
    async fn channels(&self) -> Result<Vec<PChannel>, LogError>;

    /// Bytes that can still be written, if the storage can be full.
    async fn available_bytes(&self) -> Result<Option<u64>, LogError>;
}

/// The one open writer of a log. Dropping it ends it: what is under way to the storage may still arrive,
/// without an ack.
#[async_trait]
pub trait LogWriter: Send {
    /// Queues a batch at once, without waiting for anything. Acks resolve in call order (L2), each with one
    /// id a record. A batch without records gets no ids, after everything before it is durable.
    fn append(&mut self, batch: Vec<Record>) -> AppendAck;

    /// Bytes of records that were given to [`LogWriter::append`] and have no answer yet.
    fn in_flight_bytes(&self) -> u64;

    /// Waits for what is in flight and ends the writer in good order. Files say durably where they end then.
    async fn close(self: Box<Self>) -> Result<(), LogError>;
}

/// Reads one log in order.
#[async_trait]
pub trait LogReader: Send {
    /// The next record; `None` at the durable end of this moment. It may be called again then.
    async fn next(&mut self) -> Result<Option<StoredRecord>, LogError>;

    /// The next records that are at hand together (as a rule one block of the storage), at least one;
    /// empty at the durable end of this moment. The fast way to read much. Payloads may be slices of one
    /// larger buffer: who keeps a few of many copies them.
    async fn next_batch(&mut self) -> Result<Vec<StoredRecord>, LogError>;
}
