//! Bodies of messages: what is in the payload.
//!
//! Bodies of version 1 are those of `msg.proto`, as Milvus had them before its streaming service; they
//! repeat what the header says, for foreign readers. Bodies of version 2 are in `messages.proto`. The
//! kinds that have no type here have an empty body.

pub mod collection;
pub mod database;
pub mod delete;
pub mod error;
pub mod index;
pub mod insert;
pub mod meta;
pub mod partition;
pub mod time_tick;

#[cfg(test)]
mod body_tests;

pub use collection::{AlterCollectionBody, CreateCollectionBody, DropCollectionBody};
pub use database::DatabaseBody;
pub use delete::DeleteBody;
pub use error::BodyError;
pub use index::IndexBody;
pub use insert::InsertBody;
pub use meta::BodyMeta;
pub use partition::PartitionBody;
pub use time_tick::TimeTickBody;
