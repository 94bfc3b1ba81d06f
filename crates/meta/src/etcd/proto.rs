//! What `build.rs` made of `proto/etcd.proto`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::wildcard_enum_match_arm,
    reason = "generated code"
)]

tonic::include_proto!("etcdserverpb");
