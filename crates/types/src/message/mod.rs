//! Messages of the log: what they say, how they move, and how they are stored.
//!
//! A message changes type as it moves, so that a stage out of order does not compile:
//!
//! ```text
//! Draft  --stamp(tick, term, last confirmed)-->  Stamped  --place(segments)-->  Placed
//!                                                             Placed  --stored(id)-->  Stored
//! ```
//!
//! A [`Draft`] is what a producer hands in. The writer of the log stamps it, decides which segments it
//! touches, and appends the [`Encoded`] form. [`Stored`], also called [`Message`], is what every reader
//! sees; it is cheap to clone. [`kind`] and [`header`] say what a message is, without its payload;
//! [`body`] reads and writes payloads. The encoded form is Milvus': payload and string properties.

pub mod body;
pub mod broadcast;
pub mod codec;
pub mod header;
pub mod kind;
pub mod stage;
pub mod txn;

mod header_wire;

#[cfg(test)]
pub(crate) mod samples;

#[cfg(test)]
mod codec_tests;

pub use broadcast::{BroadcastHeader, ResourceDomain, ResourceKey};
pub use codec::{CodecError, Encoded};
pub use header::Header;
pub use kind::{Kind, Version};
pub use stage::{Draft, LastConfirmed, Message, Placed, Placement, Stamped, Stored};
pub use txn::TxnContext;
