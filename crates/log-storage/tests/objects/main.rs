//! Woodpecker's layout on an object storage: faults, races, foreign segments, damage.

#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "a test")]

mod afterwards;
mod copies;
mod damage;
mod faults;
mod foreign;
mod holes;
mod layout;
mod pace;
mod race;
#[path = "../support/store.rs"]
mod store;
mod world;
