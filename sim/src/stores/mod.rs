//! The stores that a member sees: the real ones, behind seams that can fail, dawdle, and be cut.

pub mod checkpoints;
pub mod late;
pub mod log;
pub mod meta;
pub mod objects;
pub mod observed;
