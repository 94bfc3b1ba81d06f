//! The words of the streaming service on the wire, generated from `crates/rpc/proto/` when the crate is built.

#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::wildcard_enum_match_arm,
    reason = "generated code"
)]
#![allow(clippy::too_many_lines, clippy::disallowed_types, unreachable_pub, reason = "generated code")]

tonic::include_proto!("milvus.proto.streaming");
