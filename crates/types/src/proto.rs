//! Milvus' wire words, generated from `crates/types/proto/` when the crate is built.
//!
//! Only the message codec, [`crate::convert`], and the crates at the edges (`rpc`, `proxy`) use these (A2).

mod float_array;

/// Status, request heads, enumerations.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated code")]
pub mod common {
    include!(concat!(env!("OUT_DIR"), "/milvus.proto.common.rs"));
}

/// Schemas, columns of rows, search results.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated code")]
pub mod schema {
    pub use super::float_array::FloatArray;

    include!(concat!(env!("OUT_DIR"), "/milvus.proto.schema.rs"));
}

/// Bodies of version 1 messages.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated code")]
pub mod msg {
    include!(concat!(env!("OUT_DIR"), "/milvus.proto.msg.rs"));
}

/// Message types, headers, and bodies of version 2 messages.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated code")]
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/milvus.proto.messages.rs"));
}
