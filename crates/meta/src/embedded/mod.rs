//! The store of a standalone server: one file, one writer thread.
//!
//! `file` is the redb file and its layout (`format`), on the disk of the environment (`backend`); callers read
//! it directly, also while the disk takes no writes (`overlay`). `writer` is the
//! one thread that writes: it takes every transaction that waits, judges them in order inside one redb
//! transaction, syncs once and then answers all of them. `store` is the [`MetaStore`](crate::MetaStore)
//! over the two.

mod backend;
#[cfg(test)]
mod crash_tests;
mod file;
mod format;
mod overlay;
mod store;
#[cfg(test)]
mod store_tests;
mod writer;

pub use store::EmbeddedMetaStore;
