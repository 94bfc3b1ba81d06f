//! Between Milvus' wire words and ours, where `cinclus_types::convert` does not already do it.

pub mod columns;
pub mod keys;
pub mod members;
pub mod output;
pub mod templates;
