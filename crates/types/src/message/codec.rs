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
use crate::{Advice, BroadcastId, MessageId, Term, Tick, TxnId, VChannel};

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
    /// Everything else, by ascending key; each key once.
    pub properties: Vec<(String, String)>,
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
        let at = self.properties.binary_search_by(|(name, _)| name.as_str().cmp(key)).ok()?;
        Some(&self.properties[at].1)
    }

    /// Payload and properties together, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.payload.len() + self.properties.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    }

    /// An encoded message of parts in any order.
    #[must_use]
    pub fn new(payload: Bytes, properties: impl IntoIterator<Item = (String, String)>) -> Encoded {
        let mut properties: Vec<_> = properties.into_iter().collect();
        properties.sort_unstable();
        Encoded { payload, properties }
    }

    /// The draft that a producer sent.
    ///
    /// # Errors
    /// The property that is missing or wrong.
    pub fn into_draft(self) -> Result<Draft, CodecError> {
        self.refuse_foreign()?;
        let kind = self.kind()?;
        let header = self.header(kind)?;
        let vchannel = self.property(keys::VCHANNEL).map(VChannel::new);
        if vchannel.is_none() && kind != Kind::TimeTick {
            return Err(CodecError::Missing { property: keys::VCHANNEL });
        }
        Ok(Draft {
            vchannel,
            header,
            txn: self.txn()?,
            broadcast: self.broadcast()?,
            idempotency_key: self.property(keys::IDEMPOTENCY).map(str::to_owned),
            trace: self.property(keys::TRACE).map(str::to_owned),
            payload: self.payload,
        })
    }

    /// The message that the log holds under `id`.
    ///
    /// # Errors
    /// The property that is missing or wrong.
    pub fn into_stored(self, id: MessageId) -> Result<Stored, CodecError> {
        let tick = Tick(self.base36(keys::TICK, "a tick in base 36", u64::from_str_radix)?);
        let term = Term(self.base36(keys::TERM, "a term in base 36", i64::from_str_radix)?);
        let last_confirmed = self.last_confirmed(id)?;
        let stamped: Stamped = self.into_draft()?.stamp(tick, term, last_confirmed);
        Ok(Stored::from_log(id, stamped))
    }

    fn require(&self, property: &'static str) -> Result<&str, CodecError> {
        self.property(property).ok_or(CodecError::Missing { property })
    }

    fn refuse_foreign(&self) -> Result<(), CodecError> {
        for (property, what) in
            [(keys::CIPHER, "encrypted messages"), (keys::CHUNK_TOTAL, "messages in several pieces")]
        {
            if self.property(property).is_some() {
                return Err(CodecError::Unsupported { property, what });
            }
        }
        Ok(())
    }

    fn kind(&self) -> Result<Kind, CodecError> {
        let text = self.require(keys::KIND)?;
        let number = text.parse().map_err(|_| malformed(keys::KIND, "a number", text))?;
        let kind = Kind::from_number(number).ok_or(CodecError::UnknownKind { number })?;
        let version = self.require(keys::VERSION)?;
        let expected = kind.version().number();
        if version.parse() != Ok(expected) {
            return Err(CodecError::Version { kind, expected, found: version.to_owned() });
        }
        Ok(kind)
    }

    fn header(&self, kind: Kind) -> Result<Header, CodecError> {
        let bytes = from_base64(keys::HEADER, self.require(keys::HEADER)?)?;
        match header_wire::decode(kind, &bytes) {
            Ok(Some(header)) => Ok(header),
            Ok(None) => Err(CodecError::UnknownKind { number: kind.number() }),
            Err(error) => Err(CodecError::Header { kind, reason: error.to_string() }),
        }
    }

    fn base36<T, E>(
        &self,
        property: &'static str,
        expected: &'static str,
        parse: impl Fn(&str, u32) -> Result<T, E>,
    ) -> Result<T, CodecError> {
        let text = self.require(property)?;
        parse(text, 36).map_err(|_| malformed(property, expected, text))
    }

    fn last_confirmed(&self, own: MessageId) -> Result<LastConfirmed, CodecError> {
        if self.property(keys::LAST_CONFIRMED_OWN).is_some() {
            return Ok(LastConfirmed::Own);
        }
        let text = self.require(keys::LAST_CONFIRMED)?;
        Ok(LastConfirmed::Id(read_message_id(keys::LAST_CONFIRMED, text, own.generation())?))
    }

    fn txn(&self) -> Result<Option<TxnContext>, CodecError> {
        let Some(text) = self.property(keys::TXN) else { return Ok(None) };
        let txn: wire::TxnContext = message(keys::TXN, "a TxnContext in base64", text)?;
        let keepalive = u64::try_from(txn.keepalive_milliseconds);
        let keepalive = keepalive.map_or(Duration::MAX, Duration::from_millis);
        Ok(Some(TxnContext { txn: TxnId(txn.txn_id), keepalive }))
    }

    fn broadcast(&self) -> Result<Option<BroadcastHeader>, CodecError> {
        let Some(text) = self.property(keys::BROADCAST) else { return Ok(None) };
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
        Encoded::new(self.payload.clone(), self.properties())
    }

    fn properties(&self) -> Vec<(String, String)> {
        let kind = self.kind();
        let mut list = Vec::with_capacity(8);
        let mut put = |key: &str, value: String| list.push((key.to_owned(), value));
        put(keys::KIND, kind.number().to_string());
        put(keys::VERSION, kind.version().number().to_string());
        put(keys::HEADER, BASE64.encode(header_wire::encode(&self.header)));
        if let Some(vchannel) = &self.vchannel {
            put(keys::VCHANNEL, vchannel.name().to_owned());
        }
        if let Some(txn) = &self.txn {
            put(keys::TXN, BASE64.encode(txn_wire(txn).encode_to_vec()));
        }
        if let Some(broadcast) = &self.broadcast {
            put(keys::BROADCAST, BASE64.encode(broadcast_wire(broadcast).encode_to_vec()));
        }
        if let Some(key) = &self.idempotency_key {
            put(keys::IDEMPOTENCY, key.clone());
        }
        if let Some(trace) = &self.trace {
            put(keys::TRACE, trace.clone());
        }
        list
    }
}

impl Placed {
    /// The form in which the log stores it.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let mut properties = self.draft().properties();
        properties.push((keys::TICK.to_owned(), base36(self.tick().0)));
        let term = self.term().0;
        let sign = if term < 0 { "-" } else { "" };
        properties.push((keys::TERM.to_owned(), format!("{sign}{}", base36(term.unsigned_abs()))));
        properties.push(match self.last_confirmed() {
            LastConfirmed::Id(id) => (keys::LAST_CONFIRMED.to_owned(), message_id_text(id)),
            LastConfirmed::Own => (keys::LAST_CONFIRMED_OWN.to_owned(), String::new()),
        });
        Encoded::new(self.draft().payload.clone(), properties)
    }
}

impl Stored {
    /// The form in which the log stores it.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        self.placed().encode()
    }
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

fn from_base64(property: &'static str, text: &str) -> Result<Vec<u8>, CodecError> {
    BASE64.decode(text).map_err(|_| malformed(property, "base64 with padding", text))
}

fn message<M: prost::Message + Default>(
    property: &'static str,
    expected: &'static str,
    text: &str,
) -> Result<M, CodecError> {
    M::decode(from_base64(property, text)?.as_slice()).map_err(|_| malformed(property, expected, text))
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
