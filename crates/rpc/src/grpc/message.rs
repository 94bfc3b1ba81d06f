//! Messages on the wire: payload and properties, and ids as Milvus writes Woodpecker's.

use cinclus_types::message::body::TimeTickBody;
use cinclus_types::message::codec::{message_id_from_text, message_id_text};
use cinclus_types::message::{CodecError, Draft, Encoded, LastConfirmed, Message, Placement};
use cinclus_types::proto::common::{MessageId as WireId, WalName};
use cinclus_types::proto::messages::Message as WireMessage;
use cinclus_types::{Checkpoint, MessageId, Term, Tick};
use tonic::Status;

use super::delivered::{Carried, Delivered};
use super::proto;

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
    let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    WireMessage { payload, properties: properties.iter().map(text).collect() }
}

/// A message to be appended.
pub(super) fn draft_of(wire: WireMessage) -> Result<Draft, CodecError> {
    Encoded::new(wire.payload, wire.properties).into_draft()
}

/// A message of the log, for a consumer.
pub(super) fn stored_wire(consumer_id: i64, message: &Message) -> Delivered {
    encoded_wire(consumer_id, message.id(), message.encode())
}

/// A TimeTick at the frontier: the log need not hold one there.
pub(super) fn time_tick_wire(consumer_id: i64, term: Term, checkpoint: Checkpoint) -> Delivered {
    let draft = Draft::time_tick(TimeTickBody::encode_at(checkpoint.tick));
    let stamped = draft.stamp(checkpoint.tick, term, LastConfirmed::Id(checkpoint.resume));
    let mut encoded = stamped.place(Placement::Nowhere).encode();
    encoded.properties = encoded.properties.with(NOT_PERSISTED, "");
    encoded_wire(consumer_id, checkpoint.resume, encoded)
}

fn encoded_wire(consumer_id: i64, id: MessageId, encoded: Encoded) -> Delivered {
    Delivered {
        consumer_id,
        message: Carried::outgoing(id, encoded),
        generation: id.generation().into(),
        ..Delivered::default()
    }
}

/// A message of the log, and from where to go on after it, if it is the last one that is delivered together.
pub(super) fn stored_of(wire: Delivered) -> Result<(Message, Option<Checkpoint>), Status> {
    let malformed = |text: String| Status::data_loss(format!("a delivered message cannot be read: {text}"));
    let generation = u16::try_from(wire.generation).map_err(|error| malformed(error.to_string()))?;
    let (id, encoded) = wire.message.read(generation).map_err(|error| malformed(error.to_string()))?;
    let stored = encoded.into_stored(id).map_err(|error| malformed(error.to_string()))?;
    let behind = wire.goes_on_behind.then(|| Checkpoint { resume: id.next(), tick: stored.tick() });
    let checkpoint = wire.checkpoint.map(checkpoint_of).transpose().map_err(malformed)?;
    Ok((stored, checkpoint.or(behind)))
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
