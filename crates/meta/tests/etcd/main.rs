//! The store in etcd, on real servers: each test starts its own, kills it, and starts it again.
//!
//! `CINCLUS_TEST_ETCD` names the program; without it every test fails. `cargo xtask ci services` sets it.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod faults;
mod limits;
mod server;
mod tls;

use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{Clock, OsClock};
use cinclus_meta::conformance::Harness;
use cinclus_meta::{DynMetaStore, MetaStore, conformance_tests};

use server::Server;

struct Etcd {
    server: Option<Server>,
}

#[async_trait]
impl Harness for Etcd {
    async fn open(&mut self) -> DynMetaStore {
        match &mut self.server {
            // What was acknowledged survives that.
            Some(server) => server.kill_and_start().await,
            None => self.server = Some(Server::start(&[]).await),
        }
        self.server().open("conformance/").await
    }

    async fn advance(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn clock(&self) -> &dyn Clock {
        &OsClock
    }

    fn ttl(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn margin(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn forget_changes(&self, store: &dyn MetaStore) {
        let (revision, _) = store.scan("").await.unwrap();
        self.server().compact(revision).await;
    }
}

impl Etcd {
    fn server(&self) -> &Server {
        self.server.as_ref().expect("started by open")
    }
}

conformance_tests!(Etcd { server: None });
