//! A whole Wal on storages that fail as told, in paused time: the same seed gives the same run.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests")]

mod append;
mod common;
mod crash;
mod damage;
mod faults;
mod foreign;
mod owners;
mod readers;
mod schemas;
mod segments;
mod space;
mod txns;
