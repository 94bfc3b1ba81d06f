//! The Woodpecker log: its record format, its metadata and its local layout.
//!
//! A log is a list of segments, a segment a list of entries; a record's id is `(segment, entry)`. The bytes
//! are those of format version 6 (version 5 is read), so that Woodpecker's own programs and ours read each
//! other's files:
//!
//! - [`codec`]: the envelope and the five kinds of records in a file;
//! - [`entry`]: what a data record holds, `LogMessageLayout`;
//! - [`metadata`]: keys and values in the metadata store;
//! - [`local`]: one file per segment, `R/<log>/<segment>/data.log`;
//! - [`object`]: one object per block, `<root>/<log>/<segment>/<n>.blk`;
//! - [`roll`]: when a segment ends; [`truncate`]: which segments may go.

mod batch;
mod checksum;
pub mod codec;
pub mod entry;
pub mod local;
pub mod metadata;
pub mod metadata_values;
mod metrics;
pub mod object;
pub mod roll;
mod state;
pub mod truncate;

pub use local::{LocalConfig, WoodpeckerLocal};
pub use object::{ObjectsConfig, WoodpeckerObjects};
