//! Which log a stream is about: a message in base64 in the metadata.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cinclus_types::{PChannel, Term};
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::error;
use super::proto::{
    CreateConsumerRequest, CreateProducerRequest, PChannelAccessMode, PChannelInfo, StreamingError,
};

/// The key of a [`CreateProducerRequest`].
const PRODUCER: &str = "create-producer";
/// The key of a [`CreateConsumerRequest`].
const CONSUMER: &str = "create-consumer";

/// A log under a term.
pub(super) fn channel_wire(channel: &PChannel, term: Term) -> PChannelInfo {
    let access_mode = PChannelAccessMode::PchannelAccessReadwrite.into();
    PChannelInfo { name: channel.name().to_owned(), term: term.0, access_mode }
}

/// The log that a producer is for.
pub(super) fn producer(metadata: &MetadataMap) -> Result<(PChannel, Term), StreamingError> {
    let request: CreateProducerRequest = read(metadata, PRODUCER)?;
    channel_of(request.pchannel, PRODUCER)
}

/// The log that a consumer is for.
pub(super) fn consumer(metadata: &MetadataMap) -> Result<(PChannel, Term), StreamingError> {
    let request: CreateConsumerRequest = read(metadata, CONSUMER)?;
    channel_of(request.pchannel, CONSUMER)
}

/// Names the log of a producer.
pub(super) fn name_producer(metadata: &mut MetadataMap, pchannel: PChannelInfo) {
    write(metadata, PRODUCER, &CreateProducerRequest { pchannel: Some(pchannel) });
}

/// Names the log of a consumer.
pub(super) fn name_consumer(metadata: &mut MetadataMap, pchannel: PChannelInfo) {
    write(metadata, CONSUMER, &CreateConsumerRequest { pchannel: Some(pchannel) });
}

fn channel_of(info: Option<PChannelInfo>, key: &str) -> Result<(PChannel, Term), StreamingError> {
    let info = info.filter(|info| !info.name.is_empty());
    let info = info.ok_or_else(|| error::invalid(&format!("the metadata {key} names no pchannel")))?;
    Ok((PChannel::new(info.name), Term(info.term)))
}

fn read<M: Message + Default>(metadata: &MetadataMap, key: &str) -> Result<M, StreamingError> {
    let value = metadata.get(key);
    let value = value.ok_or_else(|| error::invalid(&format!("the metadata {key} is missing")))?;
    let bytes = BASE64.decode(value.as_bytes()).ok();
    let message = bytes.and_then(|bytes| M::decode(bytes.as_slice()).ok());
    message.ok_or_else(|| error::invalid(&format!("the metadata {key} is no message in base64")))
}

fn write(metadata: &mut MetadataMap, key: &'static str, message: &impl Message) {
    let text = BASE64.encode(message.encode_to_vec());
    let value = MetadataValue::try_from(text).expect("base64 is ASCII");
    metadata.insert(key, value);
}
