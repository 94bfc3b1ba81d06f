//! The streaming client: finds the owner of a log in the assignment view, calls it, and waits while a
//! log moves instead of failing.
//!
//! A call that certainly had no effect is repeated until its deadline; a call whose effect is unknown
//! is handed back to the caller, who alone knows whether it may be repeated.

pub mod client;
pub mod nodes;
pub mod ticks;

pub use client::{Client, ClientConfig};
pub use nodes::{LocalNode, Nodes};
pub use ticks::CoordTicks;
