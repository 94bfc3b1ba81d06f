//! The words of Cinclus: channels, ticks, ids, messages and their codec, schema, rows, assignments.
//!
//! Everything else is said in these words. The crate does no I/O, never waits and knows no clock.
//! Protobuf appears in two modules only: [`proto`] (generated) and [`message`]'s codec.

pub mod advice;
pub mod assignment;
pub mod channel;
pub mod checkpoint;
pub mod consistency;
pub mod convert;
pub mod files;
pub mod ids;
pub mod key;
pub mod message;
pub mod message_id;
pub mod metric;
pub mod properties;
pub mod proto;
pub mod rows;
pub mod schema;
pub mod strings;
pub mod tick;
pub mod value;

pub use advice::Advice;
pub use assignment::{Assignment, AssignmentView, NodeInfo, ViewVersion};
pub use channel::{PChannel, VChannel};
pub use checkpoint::Checkpoint;
pub use consistency::ConsistencyLevel;
pub use files::{ChunkRef, DeleteFileRef, SegmentEntry, SegmentState, VChannelEntry};
pub use ids::{
    BroadcastId, CollectionId, DatabaseId, FieldId, IndexId, NodeId, PartitionId, SegmentId, Term, TxnId,
};
pub use key::{Key, Keys};
pub use message_id::MessageId;
pub use metric::Metric;
pub use properties::{Properties, PropertiesBuilder, PropertiesError, PropertyFields};
pub use rows::{Column, ColumnData, Rows};
pub use schema::{CollectionSchema, DataType, FieldSchema};
pub use strings::Strings;
pub use tick::{Tick, TickRange};
pub use value::Value;
