//! What all parts of the storage use.

use std::sync::Arc;

use cinclus_env::Env;
use cinclus_types::{MessageId, PChannel};
use tokio::sync::Semaphore;

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
    /// One segment of a process is compacted at a time.
    pub(super) compacting: Semaphore,
}

impl Shared {
    /// Reads what the metadata says of a log.
    pub(super) async fn refresh(&self, log: &Log) -> Result<(), LogError> {
        let Some(entry) = self.metadata.load(&log.channel).await? else {
            return Err(LogError::NotFound(log.channel.clone()));
        };
        log.take_up(&entry, self.point(&log.channel, &entry).await?);
        Ok(())
    }

    /// The truncation point of a log.
    pub(super) async fn point(&self, channel: &PChannel, entry: &LogEntry) -> Result<MessageId, LogError> {
        let (segment, first) = self.metadata.point(channel, entry).await?;
        if (segment, first) == (0, 0) {
            return Ok(MessageId::EARLIEST);
        }
        Ok(MessageId::from_parts(self.config.generation, segment, first))
    }
}
