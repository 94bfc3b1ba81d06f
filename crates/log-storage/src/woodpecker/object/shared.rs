//! What all parts of the storage use.

use std::sync::Arc;

use cinclus_env::Env;
use cinclus_types::MessageId;

use super::channel::Log;
use super::config::ObjectsConfig;
use super::objects::Objects;
use crate::error::LogError;
use crate::woodpecker::metadata::{LogEntry, WoodpeckerMetadata};

/// The parts of an open storage.
pub(super) struct Shared {
    pub(super) config: Arc<ObjectsConfig>,
    pub(super) objects: Objects,
    pub(super) metadata: WoodpeckerMetadata,
    pub(super) env: Env,
}

impl Shared {
    /// Reads what the metadata says of a log.
    pub(super) async fn refresh(&self, log: &Log) -> Result<(), LogError> {
        let Some(entry) = self.metadata.load(&log.channel).await? else {
            return Err(LogError::NotFound(log.channel.clone()));
        };
        log.take_up(&entry, self.point(&entry));
        Ok(())
    }

    /// The truncation point of a log.
    pub(super) fn point(&self, entry: &LogEntry) -> MessageId {
        match entry.meta.truncated() {
            (segment @ 0.., entry) => {
                MessageId::from_parts(self.config.generation, segment as u64, entry.max(0) as u64)
            }
            (_, _) => MessageId::EARLIEST,
        }
    }
}
