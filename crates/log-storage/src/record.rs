//! What a log holds.

use bytes::Bytes;
use cinclus_types::MessageId;

/// One record: bytes and string properties. This is the form that Woodpecker's entries, Kafka's headers
/// and Pulsar's properties can all carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The bytes.
    pub payload: Bytes,
    /// Names and values, sorted by name, each name once.
    pub properties: Vec<(String, String)>,
}

impl Record {
    /// A record; the properties are put in order.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>, mut properties: Vec<(String, String)>) -> Record {
        properties.sort();
        Record { payload: payload.into(), properties }
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        let at = self.properties.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        Some(&self.properties[at].1)
    }

    /// Bytes of payload and properties, as limits and metrics count them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let properties: usize = self.properties.iter().map(|(name, value)| name.len() + value.len()).sum();
        (self.payload.len() + properties) as u64
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
