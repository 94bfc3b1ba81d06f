//! What the node does for the clients of its logs.
//!
//! [`log`] answers appends, transactions and subscriptions: it admits, and hands over to the log's Wal.
//! [`subscription`] is one reader of a log.

mod log;
mod subscription;

pub(crate) use subscription::Subscriptions;
