//! What callers ask of the writer.

use std::time::Duration;

use cinclus_rpc::{AppendError, Appended};
use cinclus_types::message::{Draft, TxnContext};
use cinclus_types::{MessageId, Tick, VChannel};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Room in flight is counted in units of so many bytes.
pub(crate) const ROOM_UNIT: u64 = 1024;

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, AppendError>>;

/// What is to be done.
pub(crate) enum Work {
    /// Append drafts of one VChannel, several as one transaction.
    Batch { drafts: Vec<Draft>, reply: Reply<Appended> },
    /// Begin a transaction.
    Begin { vchannel: VChannel, keepalive: Duration, reply: Reply<TxnContext> },
    /// Append bodies of an open transaction.
    Bodies { txn: TxnContext, drafts: Vec<Draft>, reply: Reply<Appended> },
    /// End a transaction, well or not.
    End { vchannel: VChannel, txn: TxnContext, commit: bool, reply: Reply<Appended> },
    /// Roll back the open transactions that begin below an id.
    RollBackBelow { below: MessageId, reply: Reply<Tick> },
    /// Move the frontier to a tick.
    TickAtLeast { at: Tick, reply: Reply<Tick> },
    /// Store a TimeTick.
    TimeTick { reply: Reply<Tick> },
}

/// A request in the queue.
pub(crate) struct Request {
    pub work: Work,
    /// Its room among the bytes in flight; given back with its answer.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Request {
    /// About how many bytes it appends.
    pub(crate) fn bytes(&self) -> u64 {
        self.room.as_ref().map_or(0, |room| room.num_permits() as u64 * ROOM_UNIT)
    }
}

impl Work {
    /// Whether it is done without the storage, or once for all who ask.
    pub(crate) fn is_about_ticks(&self) -> bool {
        match self {
            Work::TickAtLeast { .. } | Work::TimeTick { .. } => true,
            Work::Batch { .. }
            | Work::Begin { .. }
            | Work::Bodies { .. }
            | Work::End { .. }
            | Work::RollBackBelow { .. } => false,
        }
    }

    /// The most ticks that it can need: each draft may bring a CreateSegment, all together a begin and a
    /// commit.
    pub(crate) fn ticks_max(&self) -> u64 {
        match self {
            Work::Batch { drafts, .. } | Work::Bodies { drafts, .. } => drafts.len() as u64 * 2 + 2,
            // For each open transaction there is a tick in any case.
            Work::Begin { .. } | Work::End { .. } | Work::RollBackBelow { .. } => 1,
            Work::TickAtLeast { .. } | Work::TimeTick { .. } => 0,
        }
    }

    /// Answers it with an error.
    pub(crate) fn refuse(self, error: AppendError) {
        // A caller that went away does not need its answer.
        match self {
            Work::Batch { reply, .. } | Work::Bodies { reply, .. } | Work::End { reply, .. } => {
                let _ = reply.send(Err(error));
            }
            Work::Begin { reply, .. } => {
                let _ = reply.send(Err(error));
            }
            Work::TickAtLeast { reply, .. }
            | Work::RollBackBelow { reply, .. }
            | Work::TimeTick { reply } => {
                let _ = reply.send(Err(error));
            }
        }
    }
}
