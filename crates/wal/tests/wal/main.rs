//! A whole Wal on storages that fail as told, in paused time: the same seed gives the same run.

mod append;
mod common;
mod crash;
mod faults;
mod foreign;
mod readers;
mod segments;
mod space;
mod txns;
