//! Logs on a real server with the S3 interface.
//!
//! `CINCLUS_TEST_SEAWEEDFS_ADDRESS` is where a SeaweedFS serves S3; without it every test fails. `cargo xtask ci
//! services` sets it.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{Env, OsClock, PanicPolicy, Random, TaskGroup};
use cinclus_log_storage::conformance::{Backend, batch, open, read_from, texts};
use cinclus_log_storage::woodpecker::{ObjectsConfig, WoodpeckerObjects};
use cinclus_log_storage::{DynLogStorage, LogError};
use cinclus_meta::{DynMetaStore, MemoryMetaStore};
use cinclus_types::MessageId;
use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStore};
use parking_lot::Mutex;

const BUCKET: &str = "cinclus-tests";

fn address() -> String {
    let address = std::env::var("CINCLUS_TEST_SEAWEEDFS_ADDRESS").expect(
        "CINCLUS_TEST_SEAWEEDFS_ADDRESS is where its S3 interface is: `cargo xtask ci services` sets it",
    );
    format!("http://{address}")
}

fn http() -> reqwest::Client {
    // There may be one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn store() -> Arc<dyn ObjectStore> {
    let answer = http().put(format!("{}/{BUCKET}", address())).send().await.unwrap();
    assert!(answer.status().is_success() || answer.status() == reqwest::StatusCode::CONFLICT, "{answer:?}");
    let builder = AmazonS3Builder::new()
        .with_endpoint(address())
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_access_key_id("cinclus")
        .with_secret_access_key("of no importance here")
        .with_client_options(ClientOptions::new().with_allow_http(true));
    Arc::new(builder.build().unwrap())
}

fn env() -> Env {
    Env { tasks: TaskGroup::new(PanicPolicy::Propagate), ..Env::os() }
}

/// Logs that nobody else uses, and metadata that outlives restarts.
struct Logs {
    config: ObjectsConfig,
    store: Arc<dyn ObjectStore>,
    meta: DynMetaStore,
    open: Mutex<Option<(DynLogStorage, Env)>>,
}

impl Logs {
    async fn new(segment_bytes: u64) -> Logs {
        let mut config = ObjectsConfig::new(format!("log-tests/{:016x}/wp", Random::from_os().u64()));
        config.roll.bytes_max = segment_bytes;
        let env = env();
        let meta = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
        let logs = Logs { config, store: store().await, meta: Arc::new(meta), open: Mutex::new(None) };
        logs.start().await;
        logs
    }

    async fn process(&self, env: Env) -> DynLogStorage {
        let (store, meta) = (self.store.clone(), self.meta.clone());
        Arc::new(WoodpeckerObjects::open(self.config.clone(), store, env, meta).await.unwrap())
    }

    async fn start(&self) -> DynLogStorage {
        let env = env();
        let storage = self.process(env.clone()).await;
        *self.open.lock() = Some((storage.clone(), env));
        storage
    }
}

#[async_trait]
impl Backend for Logs {
    async fn storage(&self) -> DynLogStorage {
        self.open.lock().as_ref().unwrap().0.clone()
    }

    async fn restarted(&self) -> Option<DynLogStorage> {
        let (storage, env) = self.open.lock().take().unwrap();
        drop(storage);
        env.tasks.join(&OsClock, Duration::from_secs(10)).await.unwrap();
        Some(self.start().await)
    }
}

mod with_large_segments {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Logs::new(256_000_000));
}

mod with_tiny_segments {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(Logs::new(1_000));
}

#[tokio::test]
async fn a_fence_carries_the_header_that_woodpecker_looks_for() {
    let logs = Logs::new(1_000).await;
    let mut writer = open(&logs.storage().await, 1).await;
    writer.append(batch("x")).await.unwrap();
    let _next = open(&logs.process(env()).await, 2).await;
    let url = format!("{}/{BUCKET}/{}/1/0/1.blk", address(), logs.config.root);
    let answer = http().head(url).send().await.unwrap();
    assert_eq!(answer.headers().get("x-amz-meta-fenced").unwrap(), "true", "{answer:?}");
    assert_eq!(answer.headers().get("content-length").unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ownership_moves_between_two_that_append_all_the_time() {
    const MOVES: i64 = 30;
    let logs = Logs::new(5_000).await;
    let owners = [logs.storage().await, logs.process(env()).await];
    let mut writer = open(&owners[0], 0).await;
    let mut acked: Vec<(MessageId, String)> = Vec::new();
    for term in 1..=MOVES {
        let storage = owners[term as usize % 2].clone();
        let next = tokio::task::unconstrained(open(&storage, term));
        let mut next = std::pin::pin!(next);
        // The old owner goes on until it is fenced, while the new one opens.
        let mut number = 0;
        let opened = loop {
            let text = format!("{} {number}", term - 1);
            number += 1;
            let ack = writer.append(batch(&text));
            let mut ended = None;
            let outcome = tokio::select! {
                biased;
                opened = &mut next, if number > 3 => {
                    ended = Some(opened);
                    None
                }
                outcome = ack => Some(outcome),
            };
            match outcome {
                Some(Ok(ids)) => acked.push((ids[0], text)),
                Some(Err(error)) => assert_eq!(error, LogError::Fenced),
                None => {}
            }
            if let Some(opened) = ended {
                break opened;
            }
        };
        writer = opened;
    }
    let found = read_from(&logs.process(env()).await, MessageId::EARLIEST).await;
    for (id, text) in &acked {
        let there = found.iter().find(|record| record.id == *id);
        assert_eq!(texts(there.cloned().as_slice()), std::slice::from_ref(text));
    }
    let terms: Vec<i64> =
        texts(&found).iter().map(|text| text.split_once(' ').unwrap().0.parse().unwrap()).collect();
    assert!(terms.is_sorted(), "a record of an owner of before came later: {terms:?}");
    assert!(acked.len() as i64 >= MOVES, "{}", acked.len());
}
