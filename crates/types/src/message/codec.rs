//! Messages from and to the form in which they are stored and sent: payload and string properties.
//!
//! The property keys and encodings are Milvus' (`pkg/streaming/util/message`): numbers of kinds and
//! versions in decimal, ticks and terms in base 36, protobuf in base64 with padding, flags as empty
//! text. A last confirmed id is in Woodpecker's form, base64 of `LogMessageIdData`. The payload is
//! carried as it is (W9).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use prost::Message as _;

use super::broadcast::{BroadcastHeader, ResourceDomain, ResourceKey};
use super::header::Header;
use super::header_wire;
use super::kind::Kind;
use super::stage::{Draft, LastConfirmed, Placed, Stamped, Stored};
use super::txn::TxnContext;
use crate::proto::messages as wire;
use crate::{Advice, BroadcastId, MessageId, Properties, PropertiesBuilder, Term, Tick, TxnId, VChannel};

/// The property keys, Milvus' own.
pub mod keys {
    /// The version of the body, decimal.
    pub const VERSION: &str = "_v";
    /// The kind, decimal.
    pub const KIND: &str = "_t";
    /// The term that wrote the message, base 36.
    pub const TERM: &str = "_wt";
    /// The tick, base 36.
    pub const TICK: &str = "_tt";
    /// The last confirmed id.
    pub const LAST_CONFIRMED: &str = "_lc";
    /// Flag: the last confirmed id is the message's own.
    pub const LAST_CONFIRMED_OWN: &str = "_lcs";
    /// The VChannel.
    pub const VCHANNEL: &str = "_vc";
    /// The header of the kind, base64.
    pub const HEADER: &str = "_h";
    /// The broadcast, base64.
    pub const BROADCAST: &str = "_bh";
    /// The transaction, base64.
    pub const TXN: &str = "_tx";
    /// The trace.
    pub const TRACE: &str = "_tc";
    /// The producer's key.
    pub const IDEMPOTENCY: &str = "_ik";
    /// The body is encrypted. Never written, refused when read.
    pub const CIPHER: &str = "_ch";
    /// The body is one of several pieces. Never written, refused when read.
    pub const CHUNK_TOTAL: &str = "_ct";
}

/// A message as it is stored and sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The body.
    pub payload: Bytes,
    /// Everything else.
    pub properties: Properties,
}

/// Why an encoded message cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A property that every such message has is not there.
    #[error("the message has no property {property}")]
    Missing {
        /// The key.
        property: &'static str,
    },
    /// A property does not have the form it must have.
    #[error("the property {property} must be {expected}, not {found:?}")]
    Malformed {
        /// The key.
        property: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The kind is none that Cinclus writes.
    #[error("the property _t has {number}, which is no kind of message that is stored here")]
    UnknownKind {
        /// Milvus' number.
        number: i32,
    },
    /// The body is written in another way than this kind's bodies are.
    #[error("the property _v of a {kind} must be {expected}, not {found:?}")]
    Version {
        /// The kind.
        kind: Kind,
        /// What was expected.
        expected: i32,
        /// What is there.
        found: String,
    },
    /// The header is not one of its kind.
    #[error("the property _h is no header of a {kind}: {reason}")]
    Header {
        /// The kind.
        kind: Kind,
        /// What is wrong.
        reason: String,
    },
    /// The message is of a sort that Cinclus does not read.
    #[error("the property {property} is there: {what} are not read")]
    Unsupported {
        /// The key.
        property: &'static str,
        /// What such messages are.
        what: &'static str,
    },
}

impl CodecError {
    /// The bytes will not get better.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        Advice::Reject
    }
}

impl Encoded {
    /// The value of a property.
    #[must_use]
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties.get(key)
    }

    /// Payload and properties together, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.payload.len() + self.properties.text_len()
    }

    /// An encoded message of parts in any order.
    #[must_use]
    pub fn new(payload: Bytes, properties: impl IntoIterator<Item = (String, String)>) -> Encoded {
        Encoded { payload, properties: properties.into_iter().collect() }
    }

    /// The draft that a producer sent.
    ///
    /// # Errors
    /// The property that is missing or wrong.
    pub fn into_draft(self) -> Result<Draft, CodecError> {
        Known::of(&self.properties).draft(self.payload)
    }

    /// The message that the log holds under `id`. It keeps its properties, to be passed on.
    ///
    /// # Errors
    /// The property that is missing or wrong.
    pub fn into_stored(self, id: MessageId) -> Result<Stored, CodecError> {
        let known = Known::of(&self.properties);
        let tick = Tick(base36_of(keys::TICK, known.tick, "a tick in base 36", u64::from_str_radix)?);
        let term = Term(base36_of(keys::TERM, known.term, "a term in base 36", i64::from_str_radix)?);
        let last_confirmed = known.last_confirmed(id)?;
        let stamped: Stamped = known.draft(self.payload)?.stamp(tick, term, last_confirmed);
        Ok(Stored::from_log(id, stamped, self.properties))
    }
}

/// The properties that mean something here, found in one pass.
#[derive(Default)]
struct Known<'a> {
    version: Option<&'a str>,
    kind: Option<&'a str>,
    term: Option<&'a str>,
    tick: Option<&'a str>,
    last_confirmed: Option<&'a str>,
    last_confirmed_own: Option<&'a str>,
    vchannel: Option<&'a str>,
    header: Option<&'a str>,
    broadcast: Option<&'a str>,
    txn: Option<&'a str>,
    trace: Option<&'a str>,
    idempotency: Option<&'a str>,
    cipher: Option<&'a str>,
    chunk_total: Option<&'a str>,
}

fn require<'a>(property: &'static str, value: Option<&'a str>) -> Result<&'a str, CodecError> {
    value.ok_or(CodecError::Missing { property })
}

fn base36_of<T, E>(
    property: &'static str,
    value: Option<&str>,
    expected: &'static str,
    parse: impl Fn(&str, u32) -> Result<T, E>,
) -> Result<T, CodecError> {
    let text = require(property, value)?;
    parse(text, 36).map_err(|_| malformed(property, expected, text))
}

impl<'a> Known<'a> {
    fn of(properties: &'a Properties) -> Known<'a> {
        let mut known = Known::default();
        for (key, value) in properties.iter() {
            let place = match key {
                keys::VERSION => &mut known.version,
                keys::KIND => &mut known.kind,
                keys::TERM => &mut known.term,
                keys::TICK => &mut known.tick,
                keys::LAST_CONFIRMED => &mut known.last_confirmed,
                keys::LAST_CONFIRMED_OWN => &mut known.last_confirmed_own,
                keys::VCHANNEL => &mut known.vchannel,
                keys::HEADER => &mut known.header,
                keys::BROADCAST => &mut known.broadcast,
                keys::TXN => &mut known.txn,
                keys::TRACE => &mut known.trace,
                keys::IDEMPOTENCY => &mut known.idempotency,
                keys::CIPHER => &mut known.cipher,
                keys::CHUNK_TOTAL => &mut known.chunk_total,
                _ => continue,
            };
            *place = Some(value);
        }
        known
    }

    fn draft(&self, payload: Bytes) -> Result<Draft, CodecError> {
        self.refuse_foreign()?;
        let kind = self.kind()?;
        let header = self.header(kind)?;
        let vchannel = self.vchannel.map(VChannel::new);
        if vchannel.is_none() && kind != Kind::TimeTick {
            return Err(CodecError::Missing { property: keys::VCHANNEL });
        }
        Ok(Draft {
            vchannel,
            header,
            txn: self.txn()?,
            broadcast: self.broadcast()?,
            idempotency_key: self.idempotency.map(str::to_owned),
            trace: self.trace.map(str::to_owned),
            payload,
        })
    }

    fn refuse_foreign(&self) -> Result<(), CodecError> {
        for (property, value, what) in [
            (keys::CIPHER, self.cipher, "encrypted messages"),
            (keys::CHUNK_TOTAL, self.chunk_total, "messages in several pieces"),
        ] {
            if value.is_some() {
                return Err(CodecError::Unsupported { property, what });
            }
        }
        Ok(())
    }

    fn kind(&self) -> Result<Kind, CodecError> {
        let text = require(keys::KIND, self.kind)?;
        let number = text.parse().map_err(|_| malformed(keys::KIND, "a number", text))?;
        let kind = Kind::from_number(number).ok_or(CodecError::UnknownKind { number })?;
        let version = require(keys::VERSION, self.version)?;
        let expected = kind.version().number();
        if version.parse() != Ok(expected) {
            return Err(CodecError::Version { kind, expected, found: version.to_owned() });
        }
        Ok(kind)
    }

    fn header(&self, kind: Kind) -> Result<Header, CodecError> {
        let text = require(keys::HEADER, self.header)?;
        with_base64(keys::HEADER, text, |bytes| match header_wire::decode(kind, bytes) {
            Ok(Some(header)) => Ok(header),
            Ok(None) => Err(CodecError::UnknownKind { number: kind.number() }),
            Err(error) => Err(CodecError::Header { kind, reason: error.to_string() }),
        })
    }

    fn last_confirmed(&self, own: MessageId) -> Result<LastConfirmed, CodecError> {
        if self.last_confirmed_own.is_some() {
            return Ok(LastConfirmed::Own);
        }
        let text = require(keys::LAST_CONFIRMED, self.last_confirmed)?;
        Ok(LastConfirmed::Id(read_message_id(keys::LAST_CONFIRMED, text, own.generation())?))
    }

    fn txn(&self) -> Result<Option<TxnContext>, CodecError> {
        let Some(text) = self.txn else { return Ok(None) };
        let txn: wire::TxnContext = message(keys::TXN, "a TxnContext in base64", text)?;
        let keepalive = u64::try_from(txn.keepalive_milliseconds);
        let keepalive = keepalive.map_or(Duration::MAX, Duration::from_millis);
        Ok(Some(TxnContext { txn: TxnId(txn.txn_id), keepalive }))
    }

    fn broadcast(&self) -> Result<Option<BroadcastHeader>, CodecError> {
        let Some(text) = self.broadcast else { return Ok(None) };
        let header: wire::BroadcastHeader = message(keys::BROADCAST, "a BroadcastHeader in base64", text)?;
        let resource_key = |key: wire::ResourceKey| {
            let domain = ResourceDomain::from_number(key.domain)
                .ok_or_else(|| malformed(keys::BROADCAST, "a broadcast with known resource domains", text))?;
            Ok(ResourceKey { domain, key: key.key, shared: key.shared })
        };
        Ok(Some(BroadcastHeader {
            id: BroadcastId(header.broadcast_id.cast_signed()),
            vchannels: header.vchannels.into_iter().map(VChannel::new).collect(),
            ack_sync_up: header.ack_sync_up,
            resource_keys: header.resource_keys.into_iter().map(resource_key).collect::<Result<_, _>>()?,
        }))
    }
}

impl Draft {
    /// The form in which a producer sends it.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        Encoded { payload: self.payload.clone(), properties: properties(self, None) }
    }
}

impl Placed {
    /// The form in which the log stores it.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let stamp = (self.tick(), self.term(), self.last_confirmed());
        Encoded { payload: self.draft().payload.clone(), properties: properties(self.draft(), Some(stamp)) }
    }
}

impl Stored {
    /// The form in which the log stores it.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        match self.read_properties() {
            Some(properties) => Encoded { payload: self.payload().clone(), properties: properties.clone() },
            None => self.placed().encode(),
        }
    }
}

/// Bytes of the properties of most messages.
const PROPERTIES_BYTES: usize = 192;

/// All properties, by ascending name.
fn properties(draft: &Draft, stamp: Option<(Tick, Term, LastConfirmed)>) -> Properties {
    let kind = draft.kind();
    let mut list = PropertiesBuilder::with_capacity(PROPERTIES_BYTES);
    if let Some(broadcast) = &draft.broadcast {
        list.put(keys::BROADCAST, &BASE64.encode(broadcast_wire(broadcast).encode_to_vec()));
    }
    list.put(keys::HEADER, &BASE64.encode(header_wire::encode(&draft.header)));
    if let Some(key) = &draft.idempotency_key {
        list.put(keys::IDEMPOTENCY, key);
    }
    match stamp {
        Some((_, _, LastConfirmed::Id(id))) => list.put(keys::LAST_CONFIRMED, &message_id_text(id)),
        Some((_, _, LastConfirmed::Own)) => list.put(keys::LAST_CONFIRMED_OWN, ""),
        None => {}
    }
    list.put(keys::KIND, &kind.number().to_string());
    if let Some(trace) = &draft.trace {
        list.put(keys::TRACE, trace);
    }
    if let Some((tick, _, _)) = stamp {
        list.put(keys::TICK, &base36(tick.0));
    }
    if let Some(txn) = &draft.txn {
        list.put(keys::TXN, &BASE64.encode(txn_wire(txn).encode_to_vec()));
    }
    list.put(keys::VERSION, &kind.version().number().to_string());
    if let Some(vchannel) = &draft.vchannel {
        list.put(keys::VCHANNEL, vchannel.name());
    }
    if let Some((_, term, _)) = stamp {
        let sign = if term.0 < 0 { "-" } else { "" };
        list.put(keys::TERM, &format!("{sign}{}", base36(term.0.unsigned_abs())));
    }
    list.build()
}

/// An id as Milvus writes Woodpecker's: base64 of `LogMessageIdData`. The generation is not part of it.
#[must_use]
pub fn message_id_text(id: MessageId) -> String {
    let seg_id = id.segment().cast_signed();
    let data = wire::LogMessageIdData { seg_id, entry_id: id.entry().cast_signed() };
    BASE64.encode(data.encode_to_vec())
}

/// The id of such a text, in a generation.
///
/// # Errors
/// The text is no such id.
pub fn message_id_from_text(text: &str, generation: u16) -> Result<MessageId, CodecError> {
    read_message_id("id", text, generation)
}

fn read_message_id(property: &'static str, text: &str, generation: u16) -> Result<MessageId, CodecError> {
    let expected = "a LogMessageIdData in base64";
    let data: wire::LogMessageIdData = message(property, expected, text)?;
    let half = |number: i64| u64::try_from(number).ok().filter(|number| *number < 1 << 56);
    match (half(data.seg_id), half(data.entry_id)) {
        (Some(segment), Some(entry)) => Ok(MessageId::from_parts(generation, segment, entry)),
        _ => Err(malformed(property, expected, text)),
    }
}

fn malformed(property: &'static str, expected: &'static str, found: &str) -> CodecError {
    CodecError::Malformed { property, expected, found: found.to_owned() }
}

/// Bytes of base64 that are decoded without an allocation: all but the largest headers.
const SHORT_BYTES: usize = 256;

/// What `read` makes of the bytes of a text.
fn with_base64<T>(
    property: &'static str,
    text: &str,
    read: impl FnOnce(&[u8]) -> Result<T, CodecError>,
) -> Result<T, CodecError> {
    let wrong = || malformed(property, "base64 with padding", text);
    if text.len() <= SHORT_BYTES {
        let mut bytes = [0; SHORT_BYTES];
        let count = BASE64.decode_slice(text, &mut bytes).map_err(|_| wrong())?;
        return read(&bytes[..count]);
    }
    read(&BASE64.decode(text).map_err(|_| wrong())?)
}

fn message<M: prost::Message + Default>(
    property: &'static str,
    expected: &'static str,
    text: &str,
) -> Result<M, CodecError> {
    with_base64(property, text, |bytes| M::decode(bytes).map_err(|_| malformed(property, expected, text)))
}

fn txn_wire(txn: &TxnContext) -> wire::TxnContext {
    let unlimited = txn.keepalive == Duration::MAX;
    let millis = i64::try_from(txn.keepalive.as_millis()).ok().filter(|_| !unlimited);
    wire::TxnContext { txn_id: txn.txn.0, keepalive_milliseconds: millis.unwrap_or(-1) }
}

fn broadcast_wire(broadcast: &BroadcastHeader) -> wire::BroadcastHeader {
    let resource_key = |key: &ResourceKey| wire::ResourceKey {
        domain: key.domain.number(),
        key: key.key.clone(),
        shared: key.shared,
    };
    wire::BroadcastHeader {
        broadcast_id: broadcast.id.0.cast_unsigned(),
        vchannels: broadcast.vchannels.iter().map(|vchannel| vchannel.name().to_owned()).collect(),
        resource_keys: broadcast.resource_keys.iter().map(resource_key).collect(),
        ack_sync_up: broadcast.ack_sync_up,
    }
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    // 36^13 > 2^64.
    let mut text = [0_u8; 13];
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = DIGITS[(number % 36) as usize];
        number /= 36;
        if number == 0 {
            return text[start..].iter().map(|&digit| char::from(digit)).collect();
        }
    }
}
