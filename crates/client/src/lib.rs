//! The streaming client: finds the owner of a log in the assignment view, calls it, and waits while a
//! log moves instead of failing.
//!
//! A call that certainly had no effect is repeated until its deadline; a call whose effect is unknown
//! is handed back to the caller, who alone knows whether it may be repeated. A [`Consumer`] goes on from the
//! checkpoint of its last delivery, a [`Transaction`] goes on under the log's next owner.

pub mod client;
pub mod consumer;
pub mod log_client;
pub mod nodes;
mod route;
pub mod ticks;
pub mod transaction;

pub use client::{Client, ClientConfig};
pub use consumer::Consumer;
pub use log_client::LogClient;
pub use nodes::{LocalNode, Logs, Nodes};
pub use ticks::CoordTicks;
pub use transaction::Transaction;
