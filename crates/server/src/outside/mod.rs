//! Outside of a server: what [`crate::bench`] and [`crate::drill`] share.
//!
//! | file | what |
//! | --- | --- |
//! | [`client`], [`wire`] | a client of the public service; calls that go out in one packet |
//! | [`rows`], [`pieces`] | requests whose bytes are made before they are sent |
//! | [`spawned`] | a server of our own, in a process of its own |
//! | [`progress`] | bars on standard error |
#![expect(
    clippy::disallowed_methods,
    reason = "it starts processes, keeps their logs and waits for them; nothing here runs in a server"
)]

pub(crate) mod client;
pub(crate) mod pieces;
pub(crate) mod progress;
pub(crate) mod rows;
pub(crate) mod spawned;
mod wire;
