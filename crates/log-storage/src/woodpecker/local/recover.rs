//! What an open makes of the segments that it finds.
//!
//! **The torn tail.** A bad block is a torn tail only in the last segment that has records, which has no
//! footer; behind every id that the opener or an index names; with no whole BlockHeader record that
//! fits anywhere after it; and if it is not whole but for one bit (`one_bit`). Then it was being written when
//! the power went, nobody got an ack for it, and it is cut. Everything else is damage, and nothing is touched.
//!
//! **The last block is written again** before it is synced. If an fdatasync of an earlier process failed,
//! the kernel may still show bytes that are not on the disk and take them for clean: only what this
//! process wrote is certain to be synced by it. The same goes for a cut.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cinclus_env::DynDisk;
use cinclus_env::disk::{DiskError, DiskFile, DiskLock, OpenMode};
use cinclus_types::{MessageId, PChannel};

use super::files;
use super::scan::{Scan, Tail, scan};
use super::segment::{End, Segment};
use crate::error::LogError;
use crate::woodpecker::codec::{FileHeader, HEADER_BYTES};
use crate::woodpecker::metadata::{Fence, LogEntry, SegmentState, WoodpeckerMetadata};

/// Recovers one log for a new writer.
pub(super) struct Recovery<'a> {
    pub(super) disk: &'a DynDisk,
    pub(super) metadata: &'a WoodpeckerMetadata,
    pub(super) channel: &'a PChannel,
    pub(super) fence: &'a Fence,
    pub(super) log_dir: &'a Path,
    pub(super) generation: u16,
    /// Every record below it was durable.
    pub(super) acknowledged: MessageId,
}

/// What there is to go on with.
pub(super) struct Recovered {
    /// The segments that have a footer.
    pub(super) segments: BTreeMap<u64, Arc<Segment>>,
    /// Segments behind them that were made ready and never written, ascending.
    pub(super) empty: Vec<u64>,
    /// The number of the next new segment.
    pub(super) next_id: u64,
}

/// A segment without footer in the metadata, as its file is.
struct Found {
    id: u64,
    file: Option<Arc<dyn DiskFile>>,
    len: u64,
    known: Option<Arc<Segment>>,
}

impl Recovery<'_> {
    pub(super) async fn run(
        &self,
        entry: &LogEntry,
        known: impl Fn(u64) -> Option<Arc<Segment>>,
    ) -> Result<Recovered, LogError> {
        let mut segments = BTreeMap::new();
        let mut active = Vec::new();
        let mut last_with_records = None;
        for (id, segment) in &entry.segments {
            match segment.meta.state() {
                SegmentState::Truncated => {}
                SegmentState::Completed | SegmentState::Sealed => {
                    let finished = || Arc::new(Segment::finished(self.log_dir, *id));
                    segments.insert(*id, known(*id).unwrap_or_else(finished));
                    last_with_records = last_with_records.max(Some(*id));
                }
                SegmentState::Active => {
                    let found = self.find(*id, known(*id)).await?;
                    if found.len > 0 {
                        last_with_records = last_with_records.max(Some(*id));
                    }
                    active.push(found);
                }
            }
        }
        let mut empty = Vec::new();
        for found in active {
            if found.len > 0 {
                let end = self.finish(&found, last_with_records == Some(found.id)).await?;
                segments.insert(found.id, self.finished(&found, end));
            } else if last_with_records < Some(found.id) {
                empty.push(found.id);
            } else {
                self.finish_empty(found.id).await?;
                segments.insert(found.id, self.finished(&found, End::default()));
            }
        }
        self.check_acknowledged(entry, last_with_records)?;
        let next_id = entry.segments.keys().next_back().map_or(0, |last| last + 1);
        Ok(Recovered { segments, empty, next_id })
    }

    async fn find(&self, id: u64, known: Option<Arc<Segment>>) -> Result<Found, LogError> {
        let path = files::segment_dir(self.log_dir, id).join(files::DATA);
        let file = match self.disk.open(&path, OpenMode::ReadWrite).await {
            Ok(file) => Some(file),
            Err(DiskError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let len = match &file {
            Some(file) => file.length().await?,
            None => 0,
        };
        Ok(Found { id, file, len, known })
    }

    /// A log that ends in a segment before the one that the opener knows has lost records.
    fn check_acknowledged(&self, entry: &LogEntry, last_with_records: Option<u64>) -> Result<(), LogError> {
        let needs = self.acknowledged;
        let missing = needs.generation() == self.generation
            && needs.entry() > 0
            && last_with_records < Some(needs.segment())
            && needs.segment() as i64 >= entry.meta.truncated_segment_id;
        if missing {
            let reason = format!("records up to {needs} were durable, and there is nothing");
            return Err(self.corrupt(needs.segment(), 0, reason));
        }
        Ok(())
    }

    /// Writes the footer of an unfinished segment behind its last whole block.
    async fn finish(&self, found: &Found, is_last: bool) -> Result<End, LogError> {
        let Some(file) = &found.file else { return Ok(End::default()) };
        let dir = files::segment_dir(self.log_dir, found.id);
        let _lock = self.take_over(&dir, found.id).await?;
        let written_here = found.known.as_ref().filter(|known| known.written_here);
        let scan = match written_here.and_then(|known| known.open_end()) {
            // The page cache may show more than was synced: it is not believed.
            Some((end, blocks)) => Scan { blocks, end, tail: Tail::UnfinishedFooter },
            None => scan(file.clone(), found.len).await?,
        };
        self.judge(found.id, &scan, is_last)?;
        let kept = if scan.tail == Tail::Footer { found.len } else { scan.end.bytes.min(found.len) };
        if found.len > kept {
            tracing::warn!(
                channel = %self.channel, segment = found.id, from = kept, to = found.len,
                "the torn tail of the log is cut"
            );
        }
        // Also when it is not longer: an earlier open may have cut it and then failed to sync that.
        file.set_len(kept).await?;
        write_end(file, &scan, found.len).await?;
        self.complete(found.id, scan.end).await?;
        Ok(scan.end)
    }

    /// The segment as its readers know it, with its footer.
    fn finished(&self, found: &Found, end: End) -> Arc<Segment> {
        match &found.known {
            Some(known) => {
                known.recovered(end);
                known.clone()
            }
            None => Arc::new(Segment::finished(self.log_dir, found.id)),
        }
    }

    /// Whether the end of a segment may be taken for what a crash leaves.
    fn judge(&self, id: u64, scan: &Scan, is_last: bool) -> Result<(), LogError> {
        let next = MessageId::from_parts(self.generation, id, scan.end.entries);
        let blocks = scan.blocks.len() as u64;
        if let Tail::Bad(bad) = &scan.tail {
            if let Some(reason) = bad.damage() {
                return Err(self.corrupt(id, blocks, reason));
            }
            if !is_last {
                let reason = format!("{}; later segments have records", bad.reason);
                return Err(self.corrupt(id, blocks, reason));
            }
        }
        // A footer says itself how much there is.
        if scan.tail != Tail::Footer && is_last && self.acknowledged > next {
            let found = match &scan.tail {
                Tail::Bad(bad) => bad.reason.clone(),
                Tail::Nothing | Tail::Footer | Tail::UnfinishedFooter => "the file ends".to_owned(),
            };
            let reason = format!("{found}; records up to {} were durable", self.acknowledged);
            return Err(self.corrupt(id, blocks, reason));
        }
        Ok(())
    }

    /// An empty segment before one with records: Woodpecker leaves such when it makes the next one early.
    async fn finish_empty(&self, id: u64) -> Result<(), LogError> {
        let dir = files::segment_dir(self.log_dir, id);
        let file = files::create_segment(self.disk, &dir).await?;
        let scan = Scan { blocks: Vec::new(), end: End::default(), tail: Tail::Nothing };
        write_end(&file, &scan, 0).await?;
        self.complete(id, scan.end).await
    }

    async fn complete(&self, id: u64, end: End) -> Result<(), LogError> {
        let last_entry = end.entries as i64 - 1;
        self.metadata.complete_segment(self.channel, self.fence, id, last_entry, end.bytes).await
    }

    /// Takes the segment's lock and tells a Woodpecker process that may still write it to stop.
    async fn take_over(&self, dir: &Path, id: u64) -> Result<DiskLock, LogError> {
        let lock = self.disk.lock(&dir.join(files::WRITE_LOCK)).await?;
        let fence = self.disk.open(&dir.join(files::WRITE_FENCE), OpenMode::OpenOrCreate).await?;
        let text = format!(
            "segmentId={id}\npid={}\nreason=opened under term {}\ntype=local\n",
            std::process::id(),
            self.fence.term
        );
        fence.write_at(0, vec![Bytes::from(text)]).await?;
        Ok(lock)
    }

    fn corrupt(&self, segment: u64, block: u64, reason: String) -> LogError {
        let file: PathBuf = files::segment_dir(self.log_dir, segment).join(files::DATA);
        LogError::Corrupt { file, segment, block, reason }
    }
}

/// Makes blocks and footer of a file of `len` bytes durable: writes the last block again, and the footer,
/// again if it is there.
pub(super) async fn write_end(file: &Arc<dyn DiskFile>, scan: &Scan, len: u64) -> Result<(), LogError> {
    let mut parts = Vec::new();
    if scan.blocks.len() < 2 {
        // The file header went with the first block.
        let mut header = Vec::with_capacity(HEADER_BYTES);
        FileHeader::LOCAL.encode(&mut header);
        parts.push(header.into());
    }
    let mut start = 0;
    if let Some(last) = scan.blocks.last() {
        parts.push(file.read_at(last.offset, (scan.end.bytes - last.offset) as usize).await?);
        start = if scan.blocks.len() < 2 { 0 } else { last.offset };
    }
    if scan.tail == Tail::Footer {
        let end = scan.end.bytes.max(HEADER_BYTES as u64);
        parts.push(file.read_at(end, (len - end) as usize).await?);
    } else {
        parts.push(Segment::footer(&scan.blocks, scan.end).into());
    }
    // Invariant L5: synced before anybody reads it.
    file.write_and_sync(start, parts).await?;
    Ok(())
}
