//! Removes the objects of truncated segments.
//!
//! Fence objects stay for ever: a writer that slept through the end of its segment finds the fence whenever it
//! wakes up, and gets no ack. There is one for each time that a log was opened, of one byte.

use std::collections::BTreeSet;

use super::channel::Log;
use super::objects::Place;
use super::shared::Shared;
use crate::error::LogError;
use crate::woodpecker::metadata::Fence;
use crate::woodpecker::truncate::droppable;

/// Segments that are removed with one transaction: etcd takes 128 changes in one, and each is three.
const SEGMENTS: usize = 32;

/// Removes whole segments below the truncation point, as far as no reader is registered for them: marks them,
/// removes their objects, forgets them. A crash between is made good by the next call.
pub(super) async fn collect(shared: &Shared, log: &Log, fence: Option<&Fence>) -> Result<(), LogError> {
    let (metadata, channel) = (&shared.metadata, &log.channel);
    let Some(entry) = metadata.load(channel).await? else { return Ok(()) };
    let ids: Vec<u64> = entry.segments.keys().copied().collect();
    let gone = droppable(&ids, shared.point(channel, &entry).await?);
    if gone.is_empty() {
        return Ok(());
    }
    let oldest = metadata.oldest_read(entry.meta.log_id).await?.unwrap_or(u64::MAX);
    let gone = &gone[..gone.partition_point(|id| *id < oldest)];
    for gone in gone.chunks(SEGMENTS) {
        metadata.mark_truncated(channel, fence, &entry, gone).await?;
        log.remove_segments(gone);
        for id in gone {
            let found = shared.objects.list(Place { log: entry.meta.log_id, segment: *id }).await?;
            shared.objects.remove_except_fences(found).await?;
        }
        metadata.forget_segments(channel, fence, entry.meta.log_id, gone).await?;
    }
    Ok(())
}

/// Removes what writers that died late have left in segments that were removed before.
pub(super) async fn sweep(shared: &Shared, log: &Log) -> Result<(), LogError> {
    let Some(entry) = shared.metadata.load(&log.channel).await? else { return Ok(()) };
    let known: BTreeSet<u64> = entry.segments.keys().copied().collect();
    let Some(oldest) = known.first() else { return Ok(()) };
    let mut found = shared.objects.list_log(entry.meta.log_id).await?;
    found.retain(|(segment, _)| segment < oldest);
    shared.objects.remove_except_fences(found.into_iter().map(|(_, meta)| meta).collect()).await
}
