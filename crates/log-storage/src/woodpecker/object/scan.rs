//! Finds the blocks of a segment that has no footer.

use futures::{StreamExt, stream};
use object_store::path::Path;

use super::block::{self, Extent, HEAD_BYTES};
use super::objects::{Objects, Place, corrupt};
use crate::error::LogError;

/// Adds to `blocks`, the first ones of a segment, those that follow: one listing, then the headers of all
/// blocks without a gap before them, `reads` at once.
///
/// The listing is only a hint: what it does not show is found by whoever puts a fence there.
pub(super) async fn scan(
    objects: &Objects,
    place: Place,
    blocks: &mut Vec<Extent>,
    reads: usize,
) -> Result<(), LogError> {
    let mut numbers: Vec<u64> =
        objects.list(place).await?.iter().filter_map(|meta| block_number(&meta.location)).collect();
    numbers.sort_unstable();
    let first = blocks.len() as u64;
    let there = numbers.into_iter().skip_while(|number| *number < first).zip(first..);
    let there = there.take_while(|(number, expected)| number == expected).map(|(number, _)| number);
    let mut heads = stream::iter(there)
        .map(|number| async move {
            let path = objects.block(place, number);
            let found = objects.get_head(&path, HEAD_BYTES).await;
            (number, path, found)
        })
        .buffered(reads.max(1));
    while let Some((number, path, found)) = heads.next().await {
        let Some(found) = found?.filter(|found| !found.fence) else { break };
        let first_entry = blocks.last().map_or(0, |block| block.next_entry);
        let extent = block::extent(&found.bytes, found.size, number, first_entry)
            .map_err(|error| corrupt(&path, place.segment, number, error))?;
        blocks.push(extent);
    }
    Ok(())
}

/// The number in the name of a block object.
fn block_number(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".blk")?.parse().ok()
}
