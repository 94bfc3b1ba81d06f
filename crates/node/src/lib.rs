//! The streaming node: hosts the Wals of its terms; a pump for each feeds delegators; persists; serves
//! appends and reads.

pub mod backlog;
pub mod channel;
pub mod config;
pub mod control;
mod ending;
pub mod failure;
pub mod host;
pub mod loader;
mod metrics;
mod opening;
pub mod persist;
mod poison;
pub mod position;
pub mod pump;
pub mod restore;
mod retention;
mod round;
mod serve;
mod sweep;

pub use backlog::Backlog;
pub use config::NodeConfig;
pub use host::{Node, NodeParts};
