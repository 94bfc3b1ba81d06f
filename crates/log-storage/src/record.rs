//! What a log holds.

use bytes::Bytes;
use cinclus_types::{MessageId, Properties};

/// One record: bytes and string properties. This is the form that Woodpecker's entries, Kafka's headers
/// and Pulsar's properties can all carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The bytes.
    pub payload: Bytes,
    /// Names and values.
    pub properties: Properties,
}

impl Record {
    /// A record.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>, properties: Vec<(String, String)>) -> Record {
        Record { payload: payload.into(), properties: properties.into() }
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name)
    }

    /// Bytes of payload and properties, as limits and metrics count them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.payload.len() + self.properties.text_len()) as u64
    }
}

/// A record with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Where it stands.
    pub id: MessageId,
    /// The record.
    pub record: Record,
}
