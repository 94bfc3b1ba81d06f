//! `cinclus drill`: a fault drill for users.
//!
//! A server of our own in a process of its own, clients that write and read through the public service, and faults:
//! kill -9, SIGSTOP, SIGTERM, a full disk. Clients note what they sent and what they were told; after each fault every
//! row is compared with that. See `docs/drill.md`.
//!
//! | file | what |
//! | --- | --- |
//! | [`args`], [`run`] | the command line, and round after round |
//! | [`plan`] | which fault comes when |
//! | [`instance`], [`server_config`], [`ballast`] | the server, its configuration, and what is done to it |
//! | [`scene`], [`writer`], [`reader`], [`calls`] | the clients and what they share |
//! | [`request`], [`history`], [`violation`] | what was told, and whether what is there agrees: no I/O |
//! | [`compare`] | all rows against the history |
//! | [`interruption`], [`report`] | for how long nothing was answered; what is shown |
#![expect(
    clippy::disallowed_methods,
    reason = "it breaks a server from outside: its own clock, files and processes; nothing here runs in a server"
)]

pub(crate) mod args;
mod ballast;
mod calls;
mod compare;
mod history;
#[cfg(test)]
mod history_tests;
mod instance;
mod interruption;
mod plan;
mod reader;
mod report;
mod request;
pub(crate) mod run;
mod scene;
mod server_config;
mod violation;
mod writer;
