//! A metadata store that does not store terms.

use std::time::Duration;

use async_trait::async_trait;
use cinclus_coord::keys;
use cinclus_meta::{
    CommitOutcome, DynMetaStore, Entry, LeaseId, MetaError, MetaStore, Revision, Txn, Watch, Write,
};

/// Says that the channel table is committed, and forgets it; what is committed beside it is kept.
pub struct ForgetfulMeta(pub DynMetaStore);

#[async_trait]
impl MetaStore for ForgetfulMeta {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.0.get(key).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.0.scan(prefix).await
    }

    async fn commit(&self, mut txn: Txn) -> Result<CommitOutcome, MetaError> {
        let of_a_term =
            |write: &Write| matches!(write, Write::Put { key, .. } if key.starts_with(keys::CHANNELS));
        txn.writes.retain(|write| !of_a_term(write));
        self.0.commit(txn).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        self.0.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.0.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.0.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.0.revoke(lease).await
    }
}
