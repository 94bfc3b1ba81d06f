//! Changes of what exists, each judged by a pure function: the catalog and a request in, a [`Plan`] out.

pub mod aliases;
pub mod collections;
pub mod databases;
pub mod edit;
pub mod indexes;
pub mod load;
pub mod partitions;
pub mod planner;
pub mod wants;

pub use edit::CatalogEdit;
pub use planner::{Plan, PlannedMessage, Planner};
pub use wants::wants;
