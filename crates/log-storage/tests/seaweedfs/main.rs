//! Logs on a real server with the S3 interface.
//!
//! `CINCLUS_TEST_SEAWEEDFS_ADDRESS` is where a SeaweedFS serves S3, `CINCLUS_TEST_ETCD_ADDRESS` where an etcd answers;
//! without them every test fails. `cargo xtask ci services` sets both.

#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "a test fails by a panic")]

#[path = "../support/store.rs"]
mod store;
mod world;

use cinclus_log_storage::conformance::race::{Race, ownership_moves_while_both_append};
use cinclus_log_storage::conformance::{Backend, batch, open};

use crate::world::{BUCKET, Logs, Metadata, address, env, http};

mod with_metadata_in_files {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Logs::new(Metadata::Embedded, 256_000_000));
}

mod with_metadata_on_objects {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Logs::new(Metadata::Objects, 1_000));
}

mod with_metadata_in_etcd {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Logs::new(Metadata::Etcd, 256_000_000));
}

mod with_metadata_in_etcd_and_tiny_segments {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Logs::new(Metadata::Etcd, 1_000));
}

mod with_calls_that_fail {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Logs::shaky(Metadata::Etcd, 1_000));
}

#[tokio::test]
async fn a_fence_carries_the_header_that_woodpecker_looks_for() {
    let logs = Logs::new(Metadata::Embedded, 1_000).await;
    let mut writer = open(&logs.storage().await, 1).await;
    writer.append(batch("x")).await.unwrap();
    let _next = open(&logs.process(env()).await, 2).await;
    let url = format!("{}/{BUCKET}/{}/1/0/1.blk", address(), logs.config.root);
    let answer = http().head(url).send().await.unwrap();
    assert_eq!(answer.headers().get("x-amz-meta-fenced").unwrap(), "true", "{answer:?}");
    assert_eq!(answer.headers().get("content-length").unwrap(), "1");
}

async fn race(logs: Logs, moves: u64) {
    let owners = [logs.storage().await, logs.process(env()).await];
    let follower = logs.process(env()).await;
    let race = Race { moves, window: 16 };
    let acked = ownership_moves_while_both_append(owners, follower, race, &env(), || {}).await;
    assert!(acked as u64 >= moves, "{acked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ownership_moves_a_thousand_times_with_metadata_in_etcd() {
    race(Logs::new(Metadata::Etcd, 5_000).await, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ownership_moves_a_thousand_times_with_metadata_on_objects() {
    race(Logs::new(Metadata::Objects, 5_000).await, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ownership_moves_a_thousand_times_with_metadata_in_files() {
    race(Logs::new(Metadata::Embedded, 5_000).await, 1_000).await;
}
