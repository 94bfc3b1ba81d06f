//! The store in an object storage, for one process at a time and without any disk.
//!
//! It is a log of numbered commit objects, each created under a name that must be new (`If-None-Match: *`),
//! and now and then a snapshot. The layout is on the page of `format`.
//!
//! **One owner.** Whoever opens the store takes the next epoch, reads all commits and creates one of its own,
//! the *barrier*. An owner before it must create its next commit under just that number, finds the barrier
//! there, and stops before it answers anybody again. So that this holds however long it slept, barriers are
//! never removed; they hold next to nothing. And whoever opens looks once more behind its barrier whether the
//! owner before had come further meanwhile, and had removed the commit in whose place the barrier is; then it
//! begins anew.
//!
//! **A lost answer** is asked for again: creating the same object twice gives the same object. Only if the
//! storage stays away, callers hear `Unknown`, and nothing else is written before that commit is settled.

mod format;
mod objects;
mod open;
mod snapshots;
mod staged;
mod store;
#[cfg(test)]
mod store_tests;
mod writer;

pub use store::{ObjectConfig, ObjectMetaStore};
