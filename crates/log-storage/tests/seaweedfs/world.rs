//! Logs on the server, with their metadata in each of the stores that there are.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{Env, OsClock, PanicPolicy, Random, TaskGroup};
use cinclus_log_storage::DynLogStorage;
use cinclus_log_storage::conformance::Backend;
use cinclus_log_storage::woodpecker::{ObjectsConfig, WoodpeckerObjects};
use cinclus_meta::{
    Config, DynMetaStore, EmbeddedMetaStore, EtcdConfig, EtcdMetaStore, ObjectConfig, ObjectMetaStore,
};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore};
use parking_lot::Mutex;

use crate::store::{FaultyStore, Plan};

pub const BUCKET: &str = "cinclus-tests";

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is where the server of this test answers: `cargo xtask ci services` sets it")
    })
}

pub fn address() -> String {
    format!("http://{}", variable("CINCLUS_TEST_SEAWEEDFS_ADDRESS"))
}

pub fn http() -> reqwest::Client {
    // There may be one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn bucket() -> Arc<dyn ObjectStore> {
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

pub fn env() -> Env {
    Env { tasks: TaskGroup::new(PanicPolicy::Propagate), ..Env::os() }
}

/// Where the metadata of logs is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// In files of this process.
    Embedded,
    /// On the same server.
    Objects,
    /// In an etcd, to which each process has a connection of its own.
    Etcd,
}

/// Logs that nobody else uses, and metadata that outlives restarts.
pub struct Logs {
    pub config: ObjectsConfig,
    pub store: FaultyStore,
    plan: Plan,
    metadata: Metadata,
    /// Where it is shared by all processes.
    shared: Option<DynMetaStore>,
    open: Mutex<Option<(DynLogStorage, Env)>>,
    _directory: tempfile::TempDir,
}

impl Logs {
    pub async fn new(metadata: Metadata, segment_bytes: u64) -> Logs {
        Logs::with(metadata, segment_bytes, Plan::default()).await
    }

    /// With calls to the server that fail and are slow as planned.
    pub async fn shaky(metadata: Metadata, segment_bytes: u64) -> Logs {
        let plan = Plan {
            put_before: 0.1,
            put_after: 0.1,
            read: 0.1,
            delete_before: 0.1,
            delete_after: 0.1,
            delay_min: Duration::ZERO,
            delay_max: Duration::from_millis(2),
            list_delay: Duration::from_millis(2),
            unconditional: false,
        };
        Logs::with(metadata, segment_bytes, plan).await
    }

    async fn with(metadata: Metadata, segment_bytes: u64, plan: Plan) -> Logs {
        let unique = format!("log-tests/{:016x}", Random::from_os().u64());
        let mut config = ObjectsConfig::new(format!("{unique}/wp"));
        config.roll.bytes_max = segment_bytes;
        if plan != Plan::default() {
            config.tries = 20;
            config.retry_pause = Duration::from_millis(1);
        }
        let (inner, directory) = (bucket().await, tempfile::tempdir().unwrap());
        let shared: Option<DynMetaStore> = match metadata {
            Metadata::Etcd => None,
            Metadata::Embedded => {
                let opened = EmbeddedMetaStore::open(directory.path(), &Config::default(), &env()).await;
                Some(Arc::new(opened.unwrap()))
            }
            Metadata::Objects => {
                let (prefix, config) = (Path::from(format!("{unique}/meta")), ObjectConfig::default());
                let opened = ObjectMetaStore::open(inner.clone(), prefix, &config, &env()).await;
                Some(Arc::new(opened.unwrap()))
            }
        };
        let store = FaultyStore::around(inner, 1);
        let logs =
            Logs { config, store, plan, metadata, shared, open: Mutex::new(None), _directory: directory };
        logs.start().await;
        logs
    }

    async fn meta(&self) -> DynMetaStore {
        if let Some(shared) = &self.shared {
            return shared.clone();
        }
        assert_eq!(self.metadata, Metadata::Etcd);
        let config = EtcdConfig {
            endpoints: vec![variable("CINCLUS_TEST_ETCD_ADDRESS")],
            key_prefix: format!("{}/", self.config.root),
            ..EtcdConfig::default()
        };
        Arc::new(EtcdMetaStore::open(&config, Arc::new(OsClock)).await.unwrap())
    }

    /// One more process that uses the logs.
    pub async fn process(&self, env: Env) -> DynLogStorage {
        let meta = self.meta().await;
        // The probe does not insist: a start-up that fails is made again.
        self.store.set(Plan::default());
        let store = Arc::new(self.store.clone());
        let opened = WoodpeckerObjects::open(self.config.clone(), store, env, meta).await.unwrap();
        self.store.set(self.plan);
        Arc::new(opened)
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
