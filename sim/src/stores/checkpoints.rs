//! Watches which checkpoints of logs are committed, below everything that fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_meta::{
    CommitOutcome, DynMetaStore, Entry, LeaseId, MetaError, MetaStore, Revision, Txn, Watch, Write,
};
use cinclus_types::{Checkpoint, MessageId, PChannel};
use parking_lot::Mutex;

/// What the catalog says of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// From where it is read again.
    pub checkpoint: Checkpoint,
    /// What lies below may be forgotten.
    pub truncate_below: MessageId,
    /// When it was committed, if that is known.
    pub revision: Option<Revision>,
}

/// All checkpoints that were ever committed, as their committers heard of it. Clones are the same.
#[derive(Clone, Default)]
pub struct Checkpoints(Arc<Mutex<BTreeMap<PChannel, Vec<Committed>>>>);

impl Checkpoints {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<PChannel, Vec<Committed>> {
        self.0.lock().clone()
    }

    /// The newest of a log that was certainly committed. A process that was paused may hear of an old one last.
    #[must_use]
    pub fn newest(&self, channel: &PChannel) -> Option<Committed> {
        let all = self.0.lock();
        all.get(channel)?.iter().filter(|one| one.revision.is_some()).max_by_key(|one| one.revision).copied()
    }

    /// Below what a log was ever allowed to forget.
    #[must_use]
    pub fn forgettable(&self, channel: &PChannel) -> MessageId {
        let all = self.0.lock();
        all.get(channel).into_iter().flatten().map(|one| one.truncate_below).max().unwrap_or_default()
    }

    fn note(&self, txn: &Txn, revision: Option<Revision>) {
        for write in &txn.writes {
            let Write::Put { key, value, .. } = write else { continue };
            let channel = key.strip_prefix("wal/").and_then(|rest| rest.strip_suffix("/checkpoint"));
            let line = value.split(|byte| *byte == b'\n').next().unwrap_or_default();
            if let (Some(channel), Some(committed)) = (channel, committed(line)) {
                let committed = Committed { revision, ..committed };
                self.0.lock().entry(PChannel::new(channel)).or_default().push(committed);
            }
        }
    }
}

/// The first line of a checkpoint's record.
fn committed(line: &[u8]) -> Option<Committed> {
    let mut line: serde_json::Value = serde_json::from_slice(line).ok()?;
    let checkpoint = serde_json::from_value(line.get_mut("checkpoint")?.take()).ok()?;
    let truncate_below = serde_json::from_value(line.get_mut("truncate_below")?.take()).ok()?;
    Some(Committed { checkpoint, truncate_below, revision: None })
}

/// A metadata store that is looked at.
pub struct ObservedMeta {
    /// The store itself.
    pub inner: DynMetaStore,
    /// What was seen.
    pub checkpoints: Checkpoints,
}

#[async_trait]
impl MetaStore for ObservedMeta {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.inner.scan(prefix).await
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        let outcome = self.inner.commit(txn.clone()).await;
        // What may be committed may be acted upon, once somebody has looked.
        match &outcome {
            Ok(CommitOutcome::Committed(revision)) => self.checkpoints.note(&txn, Some(*revision)),
            Err(MetaError::Unknown(_)) => self.checkpoints.note(&txn, None),
            Ok(CommitOutcome::Conflict(_)) | Err(_) => {}
        }
        outcome
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        self.inner.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.inner.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.revoke(lease).await
    }
}
