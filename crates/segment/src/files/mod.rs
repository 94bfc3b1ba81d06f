//! Chunks, tail files and delete files in object storage.
//!
//! [`format`](mod@format) shows the whole layout. Objects are written once, under names that the caller
//! gives, and never over an existing one; when a writer returns, the store has the object. What refers to
//! it, and when, is the caller's. The store is whatever speaks `object_store`; [`LocalObjects`] is a folder.

mod chunk_reader;
mod chunk_writer;
mod columns;
mod decode;
mod delete_files;
mod encode;
mod error;
pub mod format;
mod local_objects;
mod object;
mod sealed_loader;

pub use chunk_reader::{ChunkRows, read_chunk};
pub use chunk_writer::ChunkWriter;
pub use delete_files::{Deletes, read_deletes};
pub use error::FileError;
pub use local_objects::LocalObjects;
pub use sealed_loader::SealedLoader;
