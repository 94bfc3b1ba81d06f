//! A whole node on storages that outlive it, in paused time: the same seed gives the same run. A crash is the
//! end of the runtime that a life runs in.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod backlog;
mod consume;
mod crash;
mod drops;
mod effects;
mod failover;
mod memory;
mod model;
mod opening;
mod ownership;
mod poison;
mod random;
mod sealed;
mod shard;
mod stores;
mod world;

// The worker's own source: roles do not depend on each other (A3), and a worker of the tests' own would not
// be the one that hand-overs have to work with.
#[allow(dead_code, unreachable_pub, reason = "not all of it is used here, and nothing is exported")]
#[path = "../../../worker/src/worker.rs"]
mod worker;
