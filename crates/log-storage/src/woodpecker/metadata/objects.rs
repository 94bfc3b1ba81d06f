//! What only logs on objects need.

use std::time::Duration;

use cinclus_meta::{Condition, LeaseId, Txn};
use cinclus_types::PChannel;
use prost::Message;

use super::{
    Fence, LogEntry, Point, ReaderTempInfo, SegmentMetadata, SegmentState, WoodpeckerMetadata, decode,
};
use crate::error::LogError;

impl WoodpeckerMetadata {
    /// Marks segments as truncated, before their objects are removed.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised, or a segment was changed, meanwhile.
    pub async fn mark_truncated(
        &self,
        channel: &PChannel,
        fence: Option<&Fence>,
        entry: &LogEntry,
        segments: &[u64],
    ) -> Result<(), LogError> {
        let mut txn = self.require_fence(channel, fence);
        for id in segments {
            let Some(segment) = entry.segments.get(id) else { continue };
            if segment.meta.state() != SegmentState::Truncated {
                let mut meta = segment.meta.clone();
                meta.set_state(SegmentState::Truncated);
                let key = self.segment_key(channel, *id);
                txn = txn.require_unchanged(&key, Some(segment.revision)).put(&key, meta.encode_to_vec());
            }
        }
        if txn.writes.is_empty() { Ok(()) } else { self.commit_fenced(txn).await }
    }

    /// Forgets segments whose objects are gone, with what Woodpecker noted while it removed them.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile.
    pub async fn forget_segments(
        &self,
        channel: &PChannel,
        fence: Option<&Fence>,
        log: i64,
        segments: &[u64],
    ) -> Result<(), LogError> {
        let mut txn = self.require_fence(channel, fence);
        for id in segments {
            txn = txn
                .delete(self.segment_key(channel, *id))
                .delete(self.key(&format!("cleaning/{log}/{id}")))
                .delete(self.key(&format!("marking/{log}/{id}")));
        }
        self.commit_fenced(txn).await
    }

    /// The oldest segment that a registered reader reads.
    ///
    /// # Errors
    /// Of the store, or if a value cannot be read.
    pub async fn oldest_read(&self, log: i64) -> Result<Option<u64>, LogError> {
        let (_, entries) = self.store.scan(&self.key(&format!("readers/{log}/"))).await?;
        let mut oldest: Option<u64> = None;
        for entry in entries {
            let reader = decode::<ReaderTempInfo>(&entry.key, &entry.value)?;
            let at = reader.recent_read_segment_id.max(0) as u64;
            oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
        }
        Ok(oldest)
    }

    fn examined_key(&self, channel: &PChannel) -> String {
        self.key(&format!("cinclus/compacted/{}", channel.name()))
    }

    /// The first completed segment of which nobody has said yet whether it is to be compacted.
    ///
    /// # Errors
    /// Of the store, or if the value cannot be read.
    pub async fn first_to_compact(&self, channel: &PChannel) -> Result<u64, LogError> {
        let key = self.examined_key(channel);
        let found = self.store.get(&key).await?;
        found.map_or(Ok(0), |entry| Ok(decode::<Point>(&key, &entry.value)?.segment))
    }

    /// Notes that all segments below this one are compacted, or need not be.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile.
    pub async fn note_compacted_below(
        &self,
        channel: &PChannel,
        fence: &Fence,
        segment: u64,
    ) -> Result<(), LogError> {
        let value = Point { segment, entry: 0 }.encode_to_vec();
        let txn = self.require_fence(channel, Some(fence)).put(self.examined_key(channel), value);
        self.commit_fenced(txn).await
    }

    /// A lease under which readers register.
    ///
    /// # Errors
    /// Of the store.
    pub async fn grant_reader(&self, ttl: Duration) -> Result<LeaseId, LogError> {
        Ok(self.store.grant(ttl).await?)
    }

    /// Keeps a reader's lease alive.
    ///
    /// # Errors
    /// Of the store, or if the lease has ended.
    pub async fn keep_reader(&self, lease: LeaseId) -> Result<(), LogError> {
        Ok(self.store.keep_alive(lease).await?)
    }

    /// Notes where a reader is, until its lease ends.
    ///
    /// # Errors
    /// Of the store, or if the lease has ended.
    pub async fn note_reader(&self, lease: LeaseId, reader: &ReaderTempInfo) -> Result<(), LogError> {
        let key = self.key(&format!("readers/{}/{}", reader.log_id, reader.reader_name));
        self.store.commit(Txn::new().put_leased(key, reader.encode_to_vec(), lease)).await?;
        Ok(())
    }

    /// Ends a reader's lease, and with it what was noted under it.
    ///
    /// # Errors
    /// Of the store.
    pub async fn forget_reader(&self, lease: LeaseId) -> Result<(), LogError> {
        Ok(self.store.revoke(lease).await?)
    }

    /// Marks a completed segment as sealed. Nothing if it is not completed any more.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile.
    pub async fn seal_segment(
        &self,
        channel: &PChannel,
        fence: &Fence,
        segment: u64,
        bytes: u64,
    ) -> Result<(), LogError> {
        let key = self.segment_key(channel, segment);
        let Some(entry) = self.store.get(&key).await? else { return Ok(()) };
        let mut meta: SegmentMetadata = decode(&key, &entry.value)?;
        if meta.state() != SegmentState::Completed {
            return Ok(());
        }
        meta.seal(bytes, self.clock.unix_ms());
        let txn = self
            .require_fence(channel, Some(fence))
            .require(Condition::ModifiedAt(key.clone(), entry.modified))
            .put(&key, meta.encode_to_vec());
        self.commit_fenced(txn).await
    }

    /// Waits until somebody else has opened the log since that fence was raised.
    ///
    /// # Errors
    /// Of the store, or if its watch ends: then this is to be called again.
    pub async fn fence_is_lost(&self, channel: &PChannel, fence: &Fence) -> Result<(), LogError> {
        let (key, value) = (self.fence_key(channel), fence.encode_to_vec());
        let found = self.store.get(&key).await?;
        let Some(found) = found.filter(|entry| entry.value == value) else { return Ok(()) };
        let mut watch = self.store.watch(&key, found.modified).await?;
        loop {
            let changes = watch.next().await.map_err(|error| LogError::Unavailable(error.to_string()))?;
            if changes.iter().any(|change| change.key() == key) {
                return Ok(());
            }
        }
    }
}
