//! The whole layout of the catalog in the metadata store.
//!
//! | key | value |
//! | --- | --- |
//! | `catalog/database/<id>` | [`DatabaseEntry`](crate::DatabaseEntry) |
//! | `catalog/collection/<id>` | [`CollectionEntry`](crate::CollectionEntry) |
//! | `catalog/alias/<database id>/<name>` | [`AliasEntry`](crate::AliasEntry) |
//! | `segments/segment/<vchannel>/<id>` | [`SegmentEntry`](cinclus_types::SegmentEntry) |
//! | `segments/vchannel/<vchannel>` | [`VChannelEntry`](cinclus_types::VChannelEntry) |
//! | `wal/<pchannel>/term` | the term of the owner (decimal text) |
//! | `wal/<pchannel>/checkpoint` | a line of JSON, then the log's recovery state ([`ChannelCheckpoint`](crate::ChannelCheckpoint)) |
//!
//! Entries are JSON: `{"v": <format>, "entry": …}`. An entry of a newer format is refused by name.

use bytes::Bytes;
use cinclus_types::{CollectionId, DatabaseId, PChannel, SegmentId, VChannel};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::CatalogError;

/// The format of entries that this release writes.
pub const FORMAT: u32 = 1;

/// The prefix of databases, collections and aliases.
pub const COLLECTIONS: &str = "catalog/";
/// The prefix of segments and VChannels.
pub const SEGMENTS: &str = "segments/";

const DATABASE: &str = "catalog/database/";
const COLLECTION: &str = "catalog/collection/";
const ALIAS: &str = "catalog/alias/";
const SEGMENT: &str = "segments/segment/";
const VCHANNEL: &str = "segments/vchannel/";

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    entry: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// What a key under [`COLLECTIONS`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectionsKey {
    /// A database.
    Database(DatabaseId),
    /// A collection.
    Collection(CollectionId),
    /// An alias.
    Alias(DatabaseId, String),
}

impl CollectionsKey {
    /// Reads a key.
    #[must_use]
    pub fn parse(key: &str) -> Option<CollectionsKey> {
        if let Some(id) = key.strip_prefix(DATABASE) {
            return id.parse().ok().map(|id| CollectionsKey::Database(DatabaseId(id)));
        }
        if let Some(id) = key.strip_prefix(COLLECTION) {
            return id.parse().ok().map(|id| CollectionsKey::Collection(CollectionId(id)));
        }
        let (database, name) = key.strip_prefix(ALIAS)?.split_once('/')?;
        Some(CollectionsKey::Alias(DatabaseId(database.parse().ok()?), name.to_owned()))
    }
}

/// What a key under [`SEGMENTS`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentsKey {
    /// A segment.
    Segment(VChannel, SegmentId),
    /// A VChannel.
    VChannel(VChannel),
}

impl SegmentsKey {
    /// Reads a key.
    #[must_use]
    pub fn parse(key: &str) -> Option<SegmentsKey> {
        if let Some(name) = key.strip_prefix(VCHANNEL) {
            return Some(SegmentsKey::VChannel(VChannel::new(name)));
        }
        let (vchannel, id) = key.strip_prefix(SEGMENT)?.split_once('/')?;
        Some(SegmentsKey::Segment(VChannel::new(vchannel), SegmentId(id.parse().ok()?)))
    }
}

/// The key of a database.
#[must_use]
pub fn database(id: DatabaseId) -> String {
    format!("{DATABASE}{id}")
}

/// The key of a collection.
#[must_use]
pub fn collection(id: CollectionId) -> String {
    format!("{COLLECTION}{id}")
}

/// The key of an alias.
#[must_use]
pub fn alias(database: DatabaseId, name: &str) -> String {
    format!("{ALIAS}{database}/{name}")
}

/// The key of a segment.
#[must_use]
pub fn segment(vchannel: &VChannel, id: SegmentId) -> String {
    format!("{SEGMENT}{vchannel}/{id}")
}

/// The prefix of the segments of a VChannel.
#[must_use]
pub fn segments_of(vchannel: &VChannel) -> String {
    format!("{SEGMENT}{vchannel}/")
}

/// The key of a VChannel.
#[must_use]
pub fn vchannel(vchannel: &VChannel) -> String {
    format!("{VCHANNEL}{vchannel}")
}

/// The key of the term of a log's owner.
#[must_use]
pub fn term(channel: &PChannel) -> String {
    format!("wal/{channel}/term")
}

/// The key of a log's checkpoint.
#[must_use]
pub fn checkpoint(channel: &PChannel) -> String {
    format!("wal/{channel}/checkpoint")
}

/// An entry as it is stored.
///
/// # Panics
/// Never: entries are plain data.
#[must_use]
pub fn encode<T: Serialize>(entry: &T) -> Bytes {
    serde_json::to_vec(&Versioned { v: FORMAT, entry })
        .expect("an entry of plain data has a JSON form")
        .into()
}

/// An entry as it was stored.
///
/// # Errors
/// If it is of a newer release, or not an entry.
pub fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, CatalogError> {
    let corrupt =
        |error: serde_json::Error| CatalogError::Corrupt { key: key.to_owned(), reason: error.to_string() };
    let version: VersionOnly = serde_json::from_slice(value).map_err(corrupt)?;
    if version.v > FORMAT {
        return Err(CatalogError::Newer { key: key.to_owned(), found: version.v, known: FORMAT });
    }
    serde_json::from_slice::<Versioned<T>>(value).map(|versioned| versioned.entry).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back() {
        let log = PChannel::numbered("by-dev-rootcoord-dml", 3);
        let shard = log.shard(CollectionId(7), 1);
        let read = SegmentsKey::parse(&segment(&shard, SegmentId(9)));
        assert_eq!(read, Some(SegmentsKey::Segment(shard.clone(), SegmentId(9))));
        assert_eq!(SegmentsKey::parse(&vchannel(&shard)), Some(SegmentsKey::VChannel(shard)));
        let read = CollectionsKey::parse(&alias(DatabaseId(1), "a/b"));
        assert_eq!(read, Some(CollectionsKey::Alias(DatabaseId(1), "a/b".to_owned())));
        assert_eq!(CollectionsKey::parse("catalog/else"), None);
    }

    #[test]
    fn an_entry_of_a_newer_release_is_refused_by_name() {
        let newer = CatalogError::Newer { key: "k".to_owned(), found: 2, known: 1 };
        assert_eq!(decode::<u32>("k", br#"{"v":2,"entry":{"odd":1}}"#), Err(newer));
        assert_eq!(decode::<u32>("k", &encode(&5_u32)), Ok(5));
        assert!(matches!(decode::<u32>("k", b"{"), Err(CatalogError::Corrupt { .. })));
    }
}
