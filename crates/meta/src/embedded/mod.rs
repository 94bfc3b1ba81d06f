//! The store of a standalone server: one file, one writer thread.
//!
//! `file` is the redb file and its layout (`format`); it is read directly by callers. `writer` is the
//! one thread that writes: it takes every transaction that waits, judges them in order inside one redb
//! transaction, syncs once and then answers all of them. `store` is the [`MetaStore`](crate::MetaStore)
//! over the two.

mod file;
mod format;
mod store;
#[cfg(test)]
mod store_tests;
mod writer;

pub use store::EmbeddedMetaStore;
