//! Merges the blocks of a completed segment into fewer, larger ones, and seals it.
//!
//! The order is Woodpecker's: all merged blocks, then the footer over the old one, then the old blocks are
//! removed, then the metadata. What is merged with what depends on the sizes of the blocks and on
//! [`ObjectsConfig::compact_bytes_max`](super::ObjectsConfig::compact_bytes_max) alone, so a compaction that
//! was cut short, or that an owner of before still works on, writes the same bytes.

use bytes::Bytes;
use cinclus_types::PChannel;
use crc32fast::Hasher;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::block::{self, Extent};
use super::footer::{COMPACTED, Layout};
use super::objects::{Place, corrupt};
use super::recover::read_footer;
use super::segment::Segment;
use super::shared::Shared;
use crate::error::LogError;
use crate::woodpecker::codec::BlockHeader;
use crate::woodpecker::metadata::Fence;

/// Blocks that are read at once.
const READS: usize = 8;

/// Compacts one segment of a log for its owner.
pub(super) struct Compaction<'a> {
    pub(super) shared: &'a Shared,
    pub(super) channel: &'a PChannel,
    pub(super) fence: &'a Fence,
    pub(super) place: Place,
}

impl Compaction<'_> {
    /// Nothing if it is not worth it.
    pub(super) async fn run(&self, segment: Option<&Segment>) -> Result<(), LogError> {
        let (objects, place) = (&self.shared.objects, self.place);
        let path = objects.footer(place);
        let Some(found) = objects.get(&path).await? else { return Ok(()) };
        let mut layout = read_footer(objects, place, &found)?;
        if !layout.compacted {
            let groups = plan(&layout.blocks, self.shared.config.compact_bytes_max);
            if groups.len() * 2 > layout.blocks.len() {
                return Ok(());
            }
            layout = self.merge(&layout, &groups).await?;
            // The footer is where readers look: from here on the merged blocks are the segment.
            objects.overwrite(&path, &[layout.encode().into()]).await?;
        }
        if let Some(segment) = segment {
            segment.finish(layout.clone());
        }
        let mut old = objects.list(place).await?;
        old.retain(|meta| {
            let name = meta.location.filename().unwrap_or_default();
            name != "footer.blk" && !name.starts_with("m_")
        });
        objects.remove_except_fences(old).await?;
        self.shared.metadata.seal_segment(self.channel, self.fence, place.segment, layout.bytes()).await
    }

    async fn merge(&self, layout: &Layout, groups: &[Vec<usize>]) -> Result<Layout, LogError> {
        let mut merged = Layout { blocks: Vec::new(), compacted: true, ..layout.clone() };
        for group in groups {
            let number = merged.blocks.len() as u64;
            let reads: Vec<_> =
                group.iter().map(|at| self.read(*at as u64, layout.blocks[*at]).boxed()).collect();
            let blocks: Vec<(BlockHeader, Bytes)> = stream::iter(reads).buffered(READS).try_collect().await?;
            let mut crc = Hasher::new();
            for (header, data) in &blocks {
                crc.combine(&Hasher::new_with_initial_len(header.crc, data.len() as u64));
            }
            let (first, last) = (layout.blocks[group[0]], layout.blocks[group[group.len() - 1]]);
            let header = BlockHeader {
                number: number as i32,
                first_entry: first.first_entry as i64,
                last_entry: last.next_entry as i64 - 1,
                length: blocks.iter().map(|(_, data)| data.len() as u32).sum(),
                crc: crc.finalize(),
            };
            let mut parts = vec![Bytes::from(block::head(&header, COMPACTED))];
            parts.extend(blocks.into_iter().map(|(_, data)| data));
            let bytes = parts.iter().map(|part| part.len() as u64).sum();
            self.shared.objects.overwrite(&self.shared.objects.merged(self.place, number), &parts).await?;
            let (first_entry, next_entry) = (first.first_entry, last.next_entry);
            merged.blocks.push(Extent { first_entry, next_entry, bytes });
        }
        Ok(merged)
    }

    /// The data records of a block, checked.
    async fn read(&self, number: u64, extent: Extent) -> Result<(BlockHeader, Bytes), LogError> {
        let path = self.shared.objects.block(self.place, number);
        let bad = |reason: String| corrupt(&path, self.place.segment, number, reason);
        let found = self.shared.objects.get(&path).await?;
        let found = found.ok_or_else(|| bad("it is missing".to_owned()))?;
        block::data(&found.bytes, number, extent).map_err(|error| bad(error.to_string()))
    }
}

/// Which blocks go together: as many as fit, in order.
fn plan(blocks: &[Extent], bytes_max: u64) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, block) in blocks.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if bytes + block.bytes < bytes_max => {
                group.push(at);
                bytes += block.bytes;
            }
            _ => {
                groups.push(vec![at]);
                bytes = block.bytes;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_ends_before_it_would_reach_the_limit() {
        let block = |bytes| Extent { first_entry: 0, next_entry: 1, bytes };
        let blocks: Vec<Extent> = [30, 30, 30, 100, 99, 1, 200].into_iter().map(block).collect();
        assert_eq!(plan(&blocks, 100), [vec![0, 1, 2], vec![3], vec![4], vec![5], vec![6]]);
        assert_eq!(plan(&blocks, 101), [vec![0, 1, 2], vec![3], vec![4, 5], vec![6]]);
        assert_eq!(plan(&[], 100), Vec::<Vec<usize>>::new());
    }
}
