//! One segment: rows in memory, chunk files, vector search, filters.
//!
//! | folder | what |
//! | --- | --- |
//! | [`growing`] | [`Segment`]: rows in blocks, their ticks and deletes, the index of primary keys |
//! | [`search`](mod@search) | search and query over a set of segments at a tick |
//! | [`filter`] | which rows of a block match a filter |
//! | [`files`] | chunks, tail files and delete files in object storage |
//!
//! The crate knows no logs (A4): whoever feeds it says which rows have which effective tick.

mod error;
pub mod files;
pub mod filter;
pub mod growing;
pub mod search;

pub use error::SegmentError;
pub use files::{ChunkWriter, FileError, LocalObjects, SealedLoader};
pub use growing::{RowRun, RowTicks, Segment};
pub use search::{newest, query, query_on, search, search_on};
