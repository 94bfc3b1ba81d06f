//! The slow background work of an open log: leftovers of truncated segments, and compaction.

use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::channel::Log;
use super::collect;
use super::compact::Compaction;
use super::objects::Place;
use super::shared::Shared;
use crate::error::LogError;
use crate::woodpecker::metadata::Fence;

/// Works for one open writer, on one segment after the other. What fails is done by the next open.
pub(super) struct Janitor {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Weak<Log>,
    pub(super) log_id: i64,
    pub(super) fence: Fence,
}

impl Janitor {
    /// `segments` are completed ones, as they come.
    pub(super) async fn run(self, mut segments: mpsc::UnboundedReceiver<u64>) {
        self.collect().await;
        if self.shared.config.compact_bytes_max == 0 {
            return;
        }
        let mut all = true;
        while let Some(segment) = segments.recv().await {
            match self.compact(segment, all).await {
                Ok(()) => {}
                Err(LogError::Fenced) => return,
                Err(error) => {
                    // The next open begins with it.
                    all = false;
                    tracing::warn!(log = self.log_id, segment, %error, "the segment is not compacted");
                }
            }
        }
    }

    async fn collect(&self) {
        let Some(log) = self.log.upgrade() else { return };
        let collected = async {
            collect::collect(&self.shared, &log, Some(&self.fence)).await?;
            collect::sweep(&self.shared, &log).await
        };
        if let Err(error) = collected.await {
            tracing::warn!(channel = %log.channel, %error, "truncated segments are left for later");
        }
    }

    /// Compacts a segment if that is worth it; notes it if all before it were looked at too.
    async fn compact(&self, segment: u64, all_before: bool) -> Result<(), LogError> {
        let _turn = self.shared.compacting.acquire().await.expect("the semaphore is never closed");
        let Some(log) = self.log.upgrade() else { return Ok(()) };
        let place = Place { log: self.log_id, segment };
        let (shared, channel, fence) = (&*self.shared, &log.channel, &self.fence);
        Compaction { shared, channel, fence, place }.run(log.segment(segment).as_deref()).await?;
        if all_before {
            shared.metadata.note_compacted_below(channel, fence, segment + 1).await?;
        }
        Ok(())
    }
}
