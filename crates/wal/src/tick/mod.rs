//! Ticks for the writer: ranges granted ahead of need, and when a TimeTick is due.

pub mod heartbeat;
pub mod range;

pub use heartbeat::Heartbeat;
pub use range::Ticks;
