//! The streaming node: hosts the Wals of its terms; a pump for each feeds delegators; persists; serves
//! appends and reads.

pub mod channel;
pub mod config;
pub mod control;
pub mod host;
pub mod loader;
pub mod persist;
pub mod position;
pub mod pump;
pub mod restore;
mod round;

pub use config::NodeConfig;
pub use host::{Node, NodeParts};
