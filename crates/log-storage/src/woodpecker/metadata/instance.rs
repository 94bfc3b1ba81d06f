//! The keys of a whole instance: which prefix it has, and whether its object storage is to be trusted.

use bytes::Bytes;
use cinclus_meta::{CommitOutcome, Condition, DynMetaStore, Txn};

use super::{WoodpeckerMetadata, bad_value};
use crate::error::LogError;

/// What Woodpecker used before prefixes could be configured.
const LEGACY_PREFIX: &str = "woodpecker";
const LEGACY_KEYS: [&str; 5] = ["instance", "version", "logidgen", "quorumidgen", "conditionwrite"];
const LEGACY_FOLDERS: [&str; 5] = ["logs/", "quorums/", "logstores/", "readers/", "cleaning/"];

/// The prefix that counts: Woodpecker's old one if there is anything under it, else the configured one.
///
/// # Errors
/// Of the store.
pub async fn effective_prefix(store: &DynMetaStore, configured: &str) -> Result<String, LogError> {
    if !configured.is_empty() && configured != "." && configured != LEGACY_PREFIX {
        if !has_legacy_keys(store).await? {
            return Ok(configured.to_owned());
        }
        tracing::info!(configured, prefix = LEGACY_PREFIX, "the logs are under the prefix of old Woodpecker");
    }
    Ok(LEGACY_PREFIX.to_owned())
}

async fn has_legacy_keys(store: &DynMetaStore) -> Result<bool, LogError> {
    for key in LEGACY_KEYS {
        if store.get(&format!("{LEGACY_PREFIX}/{key}")).await?.is_some() {
            return Ok(true);
        }
    }
    for folder in LEGACY_FOLDERS {
        if !store.scan(&format!("{LEGACY_PREFIX}/{folder}")).await?.1.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl WoodpeckerMetadata {
    /// Notes that the object storage keeps to conditional puts, so that all writers rely on them.
    ///
    /// # Errors
    /// If somebody has noted that it does not: writers of Woodpecker would overwrite blocks then.
    pub async fn note_conditional_writes(&self) -> Result<(), LogError> {
        let key = self.key("conditionwrite");
        let txn = Txn::new().require_absent(&key).put(&key, "true");
        if let CommitOutcome::Committed(_) = self.store.commit(txn).await? {
            return Ok(());
        }
        let yes = Condition::ValueIs(key.clone(), Bytes::from_static(b"true"));
        match self.store.commit(Txn::new().require(yes)).await? {
            CommitOutcome::Committed(_) => Ok(()),
            CommitOutcome::Conflict(_) => {
                Err(bad_value(&key, "conditional puts are off, and logs on objects rely on them"))
            }
        }
    }
}
