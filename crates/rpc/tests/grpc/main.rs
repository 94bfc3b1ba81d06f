//! The streaming service over loopback: its bytes, and a log that is used through it as if it were here.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod bytes_on_the_wire;
mod memory_log;
mod raw;
mod remote;
mod world;
