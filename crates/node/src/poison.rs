//! A message in the log that cannot be applied.

use cinclus_query::ApplyError;
use cinclus_types::message::{Kind, Message};
use cinclus_types::{MessageId, Tick, VChannel};

/// Why a message was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Somebody did not answer: the message is applied again.
    #[error(transparent)]
    NotNow(#[from] ApplyError),
    /// It will never be applied.
    #[error(transparent)]
    Never(#[from] Poison),
}

/// A message that was acknowledged and whose body cannot be understood. To go on without it would lose what
/// it says without a word: its log is corrupt from here on, and stays closed.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} at {id} with tick {tick} of {vchannel} cannot be applied: {reason}")]
pub(crate) struct Poison {
    kind: Kind,
    id: MessageId,
    tick: Tick,
    vchannel: VChannel,
    reason: String,
}

impl Poison {
    /// What is wrong with a message of a shard.
    pub(crate) fn of(message: &Message, vchannel: &VChannel, reason: impl ToString) -> Poison {
        Poison {
            kind: message.kind(),
            id: message.id(),
            tick: message.tick(),
            vchannel: vchannel.clone(),
            reason: reason.to_string(),
        }
    }
}
