//! The coordinator: the TSO, which node serves which log, and every change of what exists.
//!
//! A change (DDL) is judged by a pure function against the catalog, becomes a persisted [`broadcast`]
//! task, is appended exactly once to each log it concerns, and only then becomes visible in the catalog.
//! A crash at any point resumes the task forward.

pub mod broadcast;
pub mod channels;
pub mod config;
pub mod coordinator;
pub mod ddl;
pub mod error;
pub mod keys;
pub mod locks;
pub mod tso;

pub use config::CoordConfig;
pub use coordinator::{Coordinator, CoordinatorParts};
pub use error::StartError;
