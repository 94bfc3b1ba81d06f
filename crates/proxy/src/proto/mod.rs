//! The public protocol, generated from `crates/proxy/proto/` when the crate is built: messages, the
//! service that we answer and a client for tests and tools. Shared words are in [`cinclus_types::proto`].

/// Resource groups.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated code")]
pub mod rg {
    include!(concat!(env!("OUT_DIR"), "/milvus.proto.rg.rs"));
}

/// `MilvusService` and its requests and answers.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated code")]
pub mod milvus {
    include!(concat!(env!("OUT_DIR"), "/milvus.proto.milvus.rs"));
}
