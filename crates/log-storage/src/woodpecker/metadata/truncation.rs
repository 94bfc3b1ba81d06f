//! Where a log begins: the truncation point.

use cinclus_meta::{CommitOutcome, Condition, Txn};
use cinclus_types::PChannel;
use prost::Message;

use super::{Fence, LogEntry, Point, SegmentEntry, WoodpeckerMetadata, decode};
use crate::error::LogError;

impl WoodpeckerMetadata {
    fn point_key(&self, channel: &PChannel) -> String {
        self.key(&format!("cinclus/truncated/{}", channel.name()))
    }

    async fn own_point(&self, channel: &PChannel) -> Result<(u64, u64), LogError> {
        let key = self.point_key(channel);
        let found = self.store.get(&key).await?;
        let point = found.map_or(Ok(Point::default()), |found| decode::<Point>(&key, &found.value))?;
        Ok((point.segment, point.entry))
    }

    /// The first record that stays: segment and entry. Woodpecker notes the last one that does not.
    ///
    /// # Errors
    /// Of the store, or if the value cannot be read.
    pub async fn point(&self, channel: &PChannel, entry: &LogEntry) -> Result<(u64, u64), LogError> {
        let theirs = match entry.meta.truncated() {
            (segment @ 0.., entry) => (segment as u64, (entry + 1).max(0) as u64),
            (_, _) => (0, 0),
        };
        Ok(theirs.max(self.own_point(channel).await?))
    }

    /// [`WoodpeckerMetadata::point`] of a log in local files. The first versions of this program noted the first
    /// record that stays where Woodpecker notes the last one that does not, and nothing of their own. So a record
    /// that is noted there, and is beyond our own point, is taken to stay: at worst a reader is given one record
    /// more.
    ///
    /// # Errors
    /// As [`WoodpeckerMetadata::point`].
    pub async fn local_point(&self, channel: &PChannel, entry: &LogEntry) -> Result<(u64, u64), LogError> {
        let noted = match entry.meta.truncated() {
            (segment @ 0.., entry) => (segment as u64, entry.max(0) as u64),
            (_, _) => (0, 0),
        };
        Ok(noted.max(self.own_point(channel).await?))
    }

    /// Moves the truncation point forward, to the first record that stays. A point that is not ahead changes
    /// nothing.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile; [`LogError::NotFound`] without such a log.
    pub async fn truncate_before(
        &self,
        channel: &PChannel,
        fence: Option<&Fence>,
        (segment, first): (u64, u64),
    ) -> Result<(), LogError> {
        let key = self.log_key(channel);
        loop {
            let entry = self.load(channel).await?.ok_or_else(|| LogError::NotFound(channel.clone()))?;
            // Invariant L6: only forward.
            if (segment, first) <= self.point(channel, &entry).await? {
                return Ok(());
            }
            let mut meta = entry.meta;
            let last = last_below(&entry, (segment, first)).unwrap_or((-1, -1)).max(meta.truncated());
            (meta.truncated_segment_id, meta.truncated_entry_id) = last;
            meta.modification_timestamp = self.clock.unix_ms() / 1000;
            let mut txn = Txn::new().require(Condition::ModifiedAt(key.clone(), entry.revision));
            txn.conditions.extend(self.require_fence(channel, fence).conditions);
            let txn = txn
                .put(&key, meta.encode_to_vec())
                .put(self.point_key(channel), Point { segment, entry: first }.encode_to_vec());
            match self.store.commit(txn).await? {
                CommitOutcome::Committed(_) => return Ok(()),
                CommitOutcome::Conflict(failed) if failed.contains(&1) => return Err(LogError::Fenced),
                CommitOutcome::Conflict(_) => {}
            }
        }
    }
}

/// The last record below a point, as Woodpecker notes a truncation.
fn last_below(entry: &LogEntry, (segment, first): (u64, u64)) -> Option<(i64, i64)> {
    if first > 0 {
        return Some((segment as i64, first as i64 - 1));
    }
    let before = entry.segments.range(..segment).rev();
    let with_records = |(_, found): &(&u64, &SegmentEntry)| found.meta.last_entry_id >= 0;
    before.into_iter().find(with_records).map(|(id, found)| (*id as i64, found.meta.last_entry_id))
}
