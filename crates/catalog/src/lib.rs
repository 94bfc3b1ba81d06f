//! What is known of databases, collections and segments, as typed entries on a `MetaStore`.
//!
//! The coordinator changes [`Collections`] as control-channel messages take effect; the owner of a
//! PChannel changes [`Segments`] together with its checkpoint. Everybody else reads: from snapshots
//! that a watch keeps fresh, never from the store on a request's path.

pub mod collections;
pub mod entries;
pub mod error;
pub mod keys;
mod mirror;
pub mod segments;

pub use collections::{CatalogChange, Collections, CollectionsView};
pub use entries::{
    AliasEntry, CollectionEntry, DatabaseEntry, IndexEntry, LoadState, PartitionEntry, SchemaVersion,
};
pub use error::CatalogError;
pub use segments::{ChannelCheckpoint, Claim, SegmentChange, Segments, VChannelView};
