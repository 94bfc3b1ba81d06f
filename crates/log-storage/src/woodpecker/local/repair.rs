//! Gives up what cannot be read, when somebody who knows what that means says so.
//!
//! A damaged log stays closed. [`plan`] says what would be lost if everything from the first bad block on
//! were dropped; [`drop_after`] does it. Both want the bad block named, so that nobody drops anything that
//! has not been looked at. The storage must not be open in any process.

use std::path::{Path, PathBuf};

use cinclus_env::DynDisk;
use cinclus_env::disk::OpenMode;
use cinclus_types::PChannel;

use super::files;
use super::index::Index;
use super::recover::write_end;
use super::scan::{Scan, Tail, scan};
use super::segment::End;
use crate::error::LogError;
use crate::woodpecker::metadata::{SegmentState, WoodpeckerMetadata};

/// What is lost of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The segment.
    pub segment: u64,
    /// Its file.
    pub file: PathBuf,
    /// The first block that goes.
    pub from_block: u64,
    /// The first entry that goes.
    pub from_entry: u64,
    /// The last entry that goes, if anything still says which that was.
    pub last_entry: Option<u64>,
    /// Bytes that go, footer included.
    pub bytes: u64,
}

/// A log to repair, and the block from which on it is given up.
pub struct Repair<'a> {
    /// The disk.
    pub disk: &'a DynDisk,
    /// The root of the storage.
    pub root: &'a Path,
    /// The metadata of the storage.
    pub metadata: &'a WoodpeckerMetadata,
    /// The log.
    pub channel: &'a PChannel,
    /// The segment with the bad block.
    pub segment: u64,
    /// The first bad block in it.
    pub block: u64,
}

/// What [`drop_after`] would lose, segment by segment, ascending. Nothing is changed.
///
/// # Errors
/// [`LogError::Invalid`] if the named block is not the first bad one; [`LogError::InUse`] if the storage is
/// open.
pub async fn plan(repair: &Repair<'_>) -> Result<Vec<Lost>, LogError> {
    let _lock = repair.disk.lock(&repair.root.join(files::STORAGE_LOCK)).await?;
    Ok(repair.find().await?.1)
}

/// Drops everything from the named block on, in this segment and in all later ones, and says what it was.
/// Segment numbers stay used, so that no later record gets an id that was given before.
///
/// # Errors
/// As [`plan`], and of the disk and the metadata. It can be called again then.
pub async fn drop_after(repair: &Repair<'_>) -> Result<Vec<Lost>, LogError> {
    let _lock = repair.disk.lock(&repair.root.join(files::STORAGE_LOCK)).await?;
    let (bad, lost) = repair.find().await?;
    let term = repair.metadata.term(repair.channel).await?;
    let fence = repair.metadata.raise_fence(repair.channel, term).await?;
    // The last segments first: whenever this stops, what is left has no gap but the one that is known.
    for part in lost.iter().rev() {
        let kept = if part.segment == repair.segment { bad.clone() } else { nothing() };
        let file = repair.disk.open(&part.file, OpenMode::ReadWrite).await?;
        file.set_len(kept.end.bytes).await?;
        write_end(&file, &kept, kept.end.bytes).await?;
        let last_entry = kept.end.entries as i64 - 1;
        repair.metadata.cut_segment(repair.channel, &fence, part.segment, last_entry, kept.end.bytes).await?;
    }
    Ok(lost)
}

fn nothing() -> Scan {
    Scan { blocks: Vec::new(), end: End::default(), tail: Tail::Nothing }
}

impl Repair<'_> {
    /// The whole blocks of the bad segment, and what is lost of it and the later ones.
    async fn find(&self) -> Result<(Scan, Vec<Lost>), LogError> {
        let entry = self.metadata.load(self.channel).await?;
        let entry = entry.ok_or_else(|| LogError::NotFound(self.channel.clone()))?;
        let log_dir = files::log_dir(self.root, entry.meta.log_id);
        let mut kept = None;
        let mut lost = Vec::new();
        for (id, segment) in entry.segments.range(self.segment..) {
            let path = files::segment_dir(&log_dir, *id).join(files::DATA);
            if segment.meta.state() == SegmentState::Truncated || !self.disk.exists(&path).await? {
                continue;
            }
            let file = self.disk.open(&path, OpenMode::Read).await?;
            let len = file.length().await?;
            if len == 0 {
                continue;
            }
            let from = if *id == self.segment {
                let found = self.check(scan(file.clone(), len).await?)?;
                let from = (found.blocks.len() as u64, found.end);
                kept = Some(Scan { tail: Tail::Nothing, ..found });
                from
            } else {
                (0, End::default())
            };
            let noted = u64::try_from(segment.meta.last_entry_id).ok();
            let indexed =
                Index::load(&*file, len).await?.ok().and_then(|index| index.end.entries.checked_sub(1));
            lost.push(Lost {
                segment: *id,
                file: path,
                from_block: from.0,
                from_entry: from.1.entries,
                last_entry: indexed.or(noted).filter(|last| *last >= from.1.entries),
                bytes: len - from.1.bytes,
            });
        }
        let kept = kept.ok_or_else(|| {
            LogError::Invalid(format!("segment {} of {} has no records", self.segment, self.channel))
        })?;
        Ok((kept, lost))
    }

    fn check(&self, found: Scan) -> Result<Scan, LogError> {
        let (segment, block) = (self.segment, self.block);
        let first_bad = found.blocks.len() as u64;
        match &found.tail {
            Tail::Bad(_) if first_bad == block => Ok(found),
            Tail::Bad(_) => {
                let what = format!("the first bad block of segment {segment} is {first_bad}, not {block}");
                Err(LogError::Invalid(what))
            }
            Tail::Nothing | Tail::Footer | Tail::UnfinishedFooter => {
                Err(LogError::Invalid(format!("segment {segment} has no bad block")))
            }
        }
    }
}
