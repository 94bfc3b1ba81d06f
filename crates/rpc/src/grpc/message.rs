//! Messages on the wire: payload and properties, and ids as Milvus writes Woodpecker's.

use cinclus_types::message::body::TimeTickBody;
use cinclus_types::message::codec::{message_id_from_text, message_id_text};
use cinclus_types::message::{CodecError, Draft, Encoded, LastConfirmed, Message, Placement};
use cinclus_types::proto::common::{ImmutableMessage, MessageId as WireId, WalName};
use cinclus_types::proto::messages::Message as WireMessage;
use cinclus_types::{Checkpoint, MessageId, Term, Tick};
use tonic::Status;

use super::proto;
use super::proto::ConsumeMessageReponse;

/// Property of messages that are not in the log as they are.
const NOT_PERSISTED: &str = "_np";

/// An id, without its generation.
pub(super) fn id_wire(id: MessageId) -> WireId {
    WireId { id: message_id_text(id), wal_name: WalName::WoodPecker.into() }
}

/// An id of the first generation.
pub(super) fn id_of(wire: &WireId, generation: u16) -> Result<MessageId, CodecError> {
    message_id_from_text(&wire.id, generation)
}

/// A message to be appended.
pub(super) fn draft_wire(draft: &Draft) -> WireMessage {
    let Encoded { payload, properties } = draft.encode();
    WireMessage { payload, properties: properties.into_iter().collect() }
}

/// A message to be appended.
pub(super) fn draft_of(wire: WireMessage) -> Result<Draft, CodecError> {
    Encoded::new(wire.payload, wire.properties).into_draft()
}

/// A message of the log.
pub(super) fn stored_wire(message: &Message) -> ConsumeMessageReponse {
    encoded_wire(message.id(), message.encode())
}

/// A TimeTick at the frontier: the log need not hold one there.
pub(super) fn time_tick_wire(term: Term, checkpoint: Checkpoint) -> ConsumeMessageReponse {
    let draft = Draft::time_tick(TimeTickBody::encode_at(checkpoint.tick));
    let stamped = draft.stamp(checkpoint.tick, term, LastConfirmed::Id(checkpoint.resume));
    let mut encoded = stamped.place(Placement::Nowhere).encode();
    encoded.properties.push((NOT_PERSISTED.to_owned(), String::new()));
    encoded_wire(checkpoint.resume, encoded)
}

fn encoded_wire(id: MessageId, encoded: Encoded) -> ConsumeMessageReponse {
    let message = ImmutableMessage {
        id: Some(id_wire(id)),
        payload: encoded.payload,
        properties: encoded.properties.into_iter().collect(),
    };
    ConsumeMessageReponse {
        consumer_id: CONSUMER_ID,
        message: Some(message),
        checkpoint: None,
        generation: id.generation().into(),
    }
}

/// There is one consumer in a stream.
pub(super) const CONSUMER_ID: i64 = 1;

/// A message of the log, and from where to go on after it, if it is the last one that is delivered together.
pub(super) fn stored_of(wire: ConsumeMessageReponse) -> Result<(Message, Option<Checkpoint>), Status> {
    let malformed = |text: String| Status::data_loss(format!("a delivered message cannot be read: {text}"));
    let Some(message) = wire.message else { return Err(malformed("there is none".to_owned())) };
    let generation = u16::try_from(wire.generation).map_err(|error| malformed(error.to_string()))?;
    let id = message.id.as_ref().ok_or_else(|| malformed("it has no id".to_owned()))?;
    let id = id_of(id, generation).map_err(|error| malformed(error.to_string()))?;
    let stored = Encoded::new(message.payload, message.properties).into_stored(id);
    let stored = stored.map_err(|error| malformed(error.to_string()))?;
    let checkpoint = wire.checkpoint.map(checkpoint_of).transpose().map_err(malformed)?;
    Ok((stored, checkpoint))
}

/// Where to go on.
pub(super) fn checkpoint_wire(checkpoint: Checkpoint) -> proto::Checkpoint {
    proto::Checkpoint { resume: checkpoint.resume.to_string(), tick: checkpoint.tick.0 }
}

/// Where to go on.
pub(super) fn checkpoint_of(wire: proto::Checkpoint) -> Result<Checkpoint, String> {
    let resume = wire.resume.parse().map_err(|error| format!("{error}"))?;
    Ok(Checkpoint { resume, tick: Tick(wire.tick) })
}
