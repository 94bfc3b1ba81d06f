//! The coordinator: the TSO, which node serves which log, and every change of what exists.
//!
//! A change (DDL) is judged by a pure function against the catalog, becomes a persisted [`broadcast`]
//! task, is appended exactly once to each log it concerns, and only then becomes visible in the catalog.
//! A crash at any point resumes the task forward.
//!
//! Who waits on whom: changes of one name come one after the other ([`locks`]); a caller waits for its
//! change at most `ddl_patience`, and its going away ends nothing that has begun. A log that does not open
//! holds up only what concerns it. Ticks wait for the metadata store only when the TSO's window is used up.

pub mod backoff;
pub mod believed_clock;
pub mod broadcast;
pub mod channels;
pub mod config;
pub mod coordinator;
pub mod ddl;
pub mod error;
pub mod keys;
pub mod locks;
pub mod placing;
pub mod requests;
pub mod stored_bound;
pub mod tso;

pub use config::CoordConfig;
pub use coordinator::{Coordinator, CoordinatorParts};
pub use error::StartError;
