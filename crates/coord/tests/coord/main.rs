//! The coordinator on metadata and logs that outlive it.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the model names the messages that it expects")]

mod desk;
mod fake_node;
mod faults;
mod samples;
mod world;

mod channels;
mod going_away;
mod model;
mod outrun;
mod planning;
mod planning_collections;
mod planning_load;
mod requests;
mod roll_forward;
mod stuck;
mod tso;
