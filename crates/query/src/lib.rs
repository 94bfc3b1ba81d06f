//! The delegator of one VChannel: it picks the tick of a read, takes the set of segments at that tick,
//! runs growing segments here and sealed ones on the workers that hold them, and merges.
//!
//! The pump is the only writer of a [`Delegator`]: it applies what the log delivers, in order, and only
//! then lets the [`Tsafe`] of the log follow. Reads run beside it on immutable [`ShardView`]s.

pub mod delegator;
pub mod deletes;
pub mod error;
pub mod log_position;
pub mod read;
pub mod tsafe;
pub mod view;
pub mod workers;

pub use delegator::{Delegator, DelegatorParts, Dropped};
pub use deletes::{Delete, DeleteBuffer};
pub use error::ApplyError;
pub use log_position::LogPosition;
pub use tsafe::Tsafe;
pub use view::{GrowingSegment, ShardView};
pub use workers::{OneWorker, Workers};
