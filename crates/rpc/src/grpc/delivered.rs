//! `ConsumeMessageReponse`, written and read by hand: the payload is copied once on the way out and not on the way
//! in, and properties go in and out in one piece, as the log has them.

use bytes::{Buf, BufMut, Bytes};
use cinclus_types::message::codec::{message_id_from_text, message_id_text};
use cinclus_types::message::{CodecError, Encoded};
use cinclus_types::proto::common::WalName;
use cinclus_types::{MessageId, PropertyFields};
use prost::DecodeError;
use prost::encoding::{self, DecodeContext, WireType, encode_varint, encoded_len_varint};

use super::proto::Checkpoint;

/// The fields of `ConsumeMessageReponse`; those from 1000 on are our own.
mod response {
    pub(super) const CONSUMER_ID: u32 = 1;
    pub(super) const MESSAGE: u32 = 2;
    pub(super) const CHECKPOINT: u32 = 1000;
    pub(super) const GENERATION: u32 = 1001;
    pub(super) const GOES_ON_BEHIND: u32 = 1002;
}

/// The fields of `ImmutableMessage` and of its id.
mod immutable {
    pub(super) const ID: u8 = 1;
    pub(super) const PAYLOAD: u8 = 2;
    pub(super) const PROPERTIES: u8 = 3;
    pub(super) const ID_TEXT: u8 = 1;
    pub(super) const ID_WAL_NAME: u8 = 2;
}

/// A message that is delivered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// To which consumer of the stream.
    pub consumer_id: i64,
    /// The message.
    pub message: Carried,
    /// From where to go on. On the last message of what is delivered together.
    pub checkpoint: Option<Checkpoint>,
    /// The generation of the storage that the id belongs to.
    pub generation: u32,
    /// Instead of a checkpoint: one goes on behind this message, having all up to its tick.
    pub goes_on_behind: bool,
}

/// An `ImmutableMessage`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Carried {
    /// None.
    #[default]
    Nothing,
    /// One to be sent.
    Outgoing {
        /// Its id in words.
        id: String,
        /// Everything else.
        encoded: Encoded,
    },
    /// One that came, as it came.
    Received(Bytes),
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("there is none")]
    Nothing,
    #[error("it has no id")]
    NoId,
    #[error("it is cut off")]
    Cut,
    #[error(transparent)]
    Wire(#[from] DecodeError),
    #[error(transparent)]
    Properties(#[from] cinclus_types::PropertiesError),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Carried {
    /// One to be sent.
    pub(super) fn outgoing(id: MessageId, encoded: Encoded) -> Carried {
        Carried::Outgoing { id: message_id_text(id), encoded }
    }

    /// What came: id and content, slices of it.
    pub(super) fn read(self, generation: u16) -> Result<(MessageId, Encoded), Unreadable> {
        let bytes = match self {
            Carried::Received(bytes) => bytes,
            Carried::Outgoing { id, encoded } => {
                return Ok((message_id_from_text(&id, generation)?, encoded));
            }
            Carried::Nothing => return Err(Unreadable::Nothing),
        };
        let (mut id, mut payload) = (None, Bytes::new());
        let mut properties = PropertyFields::numbered(immutable::PROPERTIES);
        let mut at: &[u8] = &bytes;
        while !at.is_empty() {
            let begin = bytes.len() - at.len();
            let Some((number, content)) = next_field(&mut at)? else { continue };
            match u8::try_from(number) {
                Ok(immutable::ID) => id = Some(id_text(content)?),
                Ok(immutable::PAYLOAD) => payload = bytes.slice_ref(content),
                Ok(immutable::PROPERTIES) => properties.add(&bytes, begin..bytes.len() - at.len(), content),
                Ok(_) | Err(_) => {}
            }
        }
        let id = message_id_from_text(id.ok_or(Unreadable::NoId)?, generation)?;
        Ok((id, Encoded { payload, properties: properties.of(&bytes)? }))
    }

    fn encoded_len(&self) -> usize {
        match self {
            Carried::Nothing => 0,
            Carried::Received(message) => message.len(),
            Carried::Outgoing { id, encoded } => {
                let Encoded { payload, properties } = encoded;
                let payload = if payload.is_empty() { 0 } else { prefixed(payload.len()) };
                prefixed(id_len(id)) + payload + properties.fields_len()
            }
        }
    }

    fn put(&self, out: &mut impl BufMut) {
        match self {
            Carried::Nothing => {}
            Carried::Received(message) => out.put_slice(message),
            Carried::Outgoing { id, encoded } => {
                put_head(immutable::ID, id_len(id), out);
                put_head(immutable::ID_TEXT, id.len(), out);
                out.put_slice(id.as_bytes());
                out.put_u8(immutable::ID_WAL_NAME << 3);
                out.put_u8(WalName::WoodPecker as u8);
                if !encoded.payload.is_empty() {
                    put_head(immutable::PAYLOAD, encoded.payload.len(), out);
                    out.put_slice(&encoded.payload);
                }
                encoded.properties.put_fields(immutable::PROPERTIES, out);
            }
        }
    }
}

/// Bytes of a `MessageID`: the text, and the name of the WAL as a number below 128.
fn id_len(text: &str) -> usize {
    prefixed(text.len()) + 2
}

/// Bytes of a field with a tag of one byte and a length.
fn prefixed(content: usize) -> usize {
    1 + encoded_len_varint(content as u64) + content
}

fn put_head(number: u8, content: usize, out: &mut impl BufMut) {
    out.put_u8(number << 3 | 2);
    encode_varint(content as u64, out);
}

/// Takes the next field off `at`; `None` for one without length, which none is that is read here.
fn next_field<'a>(at: &mut &'a [u8]) -> Result<Option<(u32, &'a [u8])>, Unreadable> {
    let (number, wire) = encoding::decode_key(at)?;
    if wire != WireType::LengthDelimited {
        encoding::skip_field(wire, number, at, DecodeContext::default())?;
        return Ok(None);
    }
    let count = encoding::decode_varint(at)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let (content, rest) = at.split_at_checked(count).ok_or(Unreadable::Cut)?;
    *at = rest;
    Ok(Some((number, content)))
}

/// The text of a `MessageID`.
fn id_text(mut at: &[u8]) -> Result<&str, Unreadable> {
    let mut text: &[u8] = b"";
    while !at.is_empty() {
        if let Some((number, content)) = next_field(&mut at)?
            && number == u32::from(immutable::ID_TEXT)
        {
            text = content;
        }
    }
    Ok(std::str::from_utf8(text).map_err(|_| cinclus_types::PropertiesError::NotText)?)
}

impl prost::Message for Delivered {
    fn encode_raw(&self, out: &mut impl BufMut) {
        if self.consumer_id != 0 {
            encoding::int64::encode(response::CONSUMER_ID, &self.consumer_id, out);
        }
        if self.message != Carried::Nothing {
            put_head(response::MESSAGE as u8, self.message.encoded_len(), out);
            self.message.put(out);
        }
        if let Some(checkpoint) = &self.checkpoint {
            encoding::message::encode(response::CHECKPOINT, checkpoint, out);
        }
        if self.generation != 0 {
            encoding::uint32::encode(response::GENERATION, &self.generation, out);
        }
        if self.goes_on_behind {
            encoding::bool::encode(response::GOES_ON_BEHIND, &self.goes_on_behind, out);
        }
    }

    fn merge_field(
        &mut self,
        number: u32,
        wire: WireType,
        bytes: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match number {
            response::CONSUMER_ID => encoding::int64::merge(wire, &mut self.consumer_id, bytes, context),
            response::MESSAGE => {
                let mut message = Bytes::new();
                encoding::bytes::merge(wire, &mut message, bytes, context)?;
                self.message = Carried::Received(message);
                Ok(())
            }
            response::CHECKPOINT => {
                encoding::message::merge(wire, self.checkpoint.get_or_insert_default(), bytes, context)
            }
            response::GENERATION => encoding::uint32::merge(wire, &mut self.generation, bytes, context),
            response::GOES_ON_BEHIND => encoding::bool::merge(wire, &mut self.goes_on_behind, bytes, context),
            _ => encoding::skip_field(wire, number, bytes, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let mut len = 0;
        if self.consumer_id != 0 {
            len += encoding::int64::encoded_len(response::CONSUMER_ID, &self.consumer_id);
        }
        if self.message != Carried::Nothing {
            len += prefixed(self.message.encoded_len());
        }
        if let Some(checkpoint) = &self.checkpoint {
            len += encoding::message::encoded_len(response::CHECKPOINT, checkpoint);
        }
        if self.generation != 0 {
            len += encoding::uint32::encoded_len(response::GENERATION, &self.generation);
        }
        if self.goes_on_behind {
            len += encoding::bool::encoded_len(response::GOES_ON_BEHIND, &self.goes_on_behind);
        }
        len
    }

    fn clear(&mut self) {
        *self = Delivered::default();
    }
}
