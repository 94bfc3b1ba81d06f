//! What a reader of a log gets.

use cinclus_types::message::Message;
use cinclus_types::{Checkpoint, Tick};

/// What a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// One message.
    Message,
    /// The rows and deletes of a committed transaction.
    Txn,
    /// No message: everything with an effective tick up to the delivery's has been delivered (W4).
    TimeTick,
}

/// The messages around the bodies of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnEnds {
    /// Begins it.
    pub begin: Message,
    /// Made it visible.
    pub commit: Message,
}

/// The next thing that happened in a PChannel. Effective ticks strictly increase from one delivery to
/// the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The effective tick: the message's own, or the transaction's commit tick.
    pub tick: Tick,
    /// One message, or the bodies of a committed transaction; none for a TimeTick.
    pub messages: Vec<Message>,
    /// What it is.
    pub kind: DeliveryKind,
    /// Begin and commit of a transaction; `None` if it is none.
    pub txn: Option<TxnEnds>,
    /// From where to resume after this delivery (W10).
    pub checkpoint: Checkpoint,
    /// Bytes of log that were read since the delivery before.
    pub log_bytes: u64,
}
