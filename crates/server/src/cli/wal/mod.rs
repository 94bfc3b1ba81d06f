//! `cinclus wal`: looks into the logs of a data directory, checks them, and gives up what is damaged; follows the
//! logs of a running server.
//!
//! [`inspect`] and [`verify`] change and lock nothing: they may run beside a server. What they read of the
//! metadata is nothing: the names of logs stand in files beside them. [`repair`] wants the server stopped.
//! [`tail`] asks a server over gRPC, as any client may. [`args`] is the command line; [`place`] finds the logs;
//! [`show`] words what was found.

pub(super) mod args;
mod inspect;
mod place;
mod repair;
mod show;
mod tail;
mod tail_from;
mod tail_line;
mod tail_vchannel;
mod verify;

pub(super) use args::{WalArgs, run};

#[cfg(test)]
mod wal_tests;
