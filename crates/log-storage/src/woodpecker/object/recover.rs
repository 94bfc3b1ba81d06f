//! What an open makes of the segments that it finds: it fences every active one and gives it its footer.
//!
//! **The fence** is an object at the key of the next block. A writer that is still alive cannot create its
//! next block then, and what it has put behind that key does not count: blocks count only without a gap.
//! If a block takes the key first, it counts, and the next key is tried. A writer that is faster than that
//! cannot go on for ever: after some lost races a fence is put further ahead, where the writer must stop.

use cinclus_types::{MessageId, PChannel};
use futures::{StreamExt, TryStreamExt, stream};

use super::block::{self, Extent};
use super::footer::Layout;
use super::objects::{Created, Found, Objects, Place, corrupt};
use super::scan::scan;
use super::shared::Shared;
use crate::error::LogError;
use crate::woodpecker::metadata::{Fence, LogEntry, SegmentState};

/// Races that may be lost before a fence is put further ahead.
const PATIENCE: u32 = 4;
/// Segments that are recovered at once.
const SEGMENTS: usize = 4;

/// Recovers one log for a new writer.
pub(super) struct Recovery<'a> {
    pub(super) shared: &'a Shared,
    pub(super) channel: &'a PChannel,
    pub(super) fence: &'a Fence,
    /// Every record below it was durable.
    pub(super) acknowledged: MessageId,
}

impl Recovery<'_> {
    /// Completes every active segment; looks again until there is none.
    pub(super) async fn run(&self) -> Result<LogEntry, LogError> {
        loop {
            let entry = self.entry().await?;
            let is_active = |id: &u64| entry.segments[id].meta.state() == SegmentState::Active;
            let active: Vec<u64> = entry.segments.keys().copied().filter(is_active).collect();
            if active.is_empty() {
                self.check_acknowledged(&entry)?;
                return Ok(entry);
            }
            let log = entry.meta.log_id;
            stream::iter(active)
                .map(|segment| self.finish(Place { log, segment }))
                .buffer_unordered(SEGMENTS)
                .try_collect::<Vec<()>>()
                .await?;
        }
    }

    async fn entry(&self) -> Result<LogEntry, LogError> {
        let metadata = &self.shared.metadata;
        if let Some(entry) = metadata.load(self.channel).await? {
            return Ok(entry);
        }
        metadata.create_log(self.channel, self.fence).await?;
        metadata.load(self.channel).await?.ok_or(LogError::Fenced)
    }

    /// Order as Woodpecker wants it: fence, blocks, footer, metadata.
    async fn finish(&self, place: Place) -> Result<(), LogError> {
        let objects = &self.shared.objects;
        let path = objects.footer(place);
        let layout = match objects.get(&path).await? {
            Some(found) => read_footer(objects, place, &found)?,
            None => {
                let mut blocks = Vec::new();
                scan(objects, place, &mut blocks, self.shared.config.reads_max).await?;
                put_fence(objects, place, &mut blocks).await?;
                let layout = Layout::plain(blocks);
                self.check_blocks(place, &layout)?;
                match objects.create(&path, &[layout.encode().into()]).await? {
                    Created::Ours => layout,
                    // Its writer, or another opener, was there before: then that counts.
                    Created::Other(found) => read_footer(objects, place, &found)?,
                }
            }
        };
        let last_entry = layout.end() as i64 - 1;
        let metadata = &self.shared.metadata;
        metadata.complete_segment(self.channel, self.fence, place.segment, last_entry, layout.bytes()).await
    }

    /// Blocks that were acknowledged and are not there are damage: the footer that would say so for ever is
    /// not written.
    fn check_blocks(&self, place: Place, layout: &Layout) -> Result<(), LogError> {
        let needs = self.acknowledged;
        let here = needs.generation() == self.shared.config.generation && needs.segment() == place.segment;
        if !here || needs.entry() <= layout.next_entry() {
            return Ok(());
        }
        let number = layout.blocks.len() as u64;
        let path = self.shared.objects.block(place, number);
        let reason = format!("it is missing; records up to {needs} were durable");
        Err(corrupt(&path, place.segment, number, reason))
    }

    /// A log that ends in a segment before the one that the opener knows has lost records.
    fn check_acknowledged(&self, entry: &LogEntry) -> Result<(), LogError> {
        let needs = self.acknowledged;
        if needs.generation() != self.shared.config.generation || needs.entry() == 0 {
            return Ok(());
        }
        let missing = match entry.segments.get(&needs.segment()) {
            Some(segment) if segment.meta.state() != SegmentState::Truncated => {
                segment.meta.last_entry_id + 1 < needs.entry() as i64
            }
            Some(_) => false,
            None => entry.segments.keys().next_back().is_none_or(|last| *last < needs.segment()),
        };
        if missing {
            let place = Place { log: entry.meta.log_id, segment: needs.segment() };
            let path = self.shared.objects.segment(place);
            return Err(corrupt(&path, place.segment, 0, format!("records up to {needs} were durable")));
        }
        Ok(())
    }
}

/// The layout that a footer object gives.
pub(super) fn read_footer(objects: &Objects, place: Place, found: &Found) -> Result<Layout, LogError> {
    Layout::decode(&found.bytes).map_err(|error| corrupt(&objects.footer(place), place.segment, 0, error))
}

/// Puts the fence behind the last block. Blocks that come to be meanwhile are added.
async fn put_fence(objects: &Objects, place: Place, blocks: &mut Vec<Extent>) -> Result<(), LogError> {
    let mut lost = 0;
    loop {
        let number = blocks.len() as u64;
        let path = objects.block(place, number);
        // Invariant L3: from here on no other block can follow the last one.
        let found = match objects.create_fence(&path).await? {
            Created::Ours => return Ok(()),
            Created::Other(found) if found.fence => return Ok(()),
            Created::Other(found) => found,
        };
        let first_entry = blocks.last().map_or(0, |block| block.next_entry);
        let extent = block::extent(&found.bytes, found.size, number, first_entry)
            .map_err(|error| corrupt(&path, place.segment, number, error))?;
        blocks.push(extent);
        lost += 1;
        if lost % PATIENCE == 0 {
            let ahead = blocks.len() as u64 + (1 << (lost / PATIENCE).min(10));
            objects.create_fence(&objects.block(place, ahead)).await?;
        }
    }
}
