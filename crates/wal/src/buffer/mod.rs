//! The newest messages in memory, so that readers near the end need no storage read.

pub mod budget;
pub mod write_ahead;

pub use budget::BufferBudget;
pub use write_ahead::{BufferRead, WriteAheadBuffer};
