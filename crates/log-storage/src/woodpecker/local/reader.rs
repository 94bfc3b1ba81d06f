//! Reads one log across its segments.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use cinclus_env::disk::{DiskError, OpenMode};
use cinclus_env::{Compute, DynDisk, Env};
use cinclus_types::MessageId;

use super::channel::Log;
use super::config::LocalConfig;
use super::index::Index;
use super::scan::{Block, entries, fetch_block};
use super::segment::{BlockStart, End, Extent, Segment};
use super::window::Window;
use crate::error::LogError;
use crate::record::StoredRecord;
use crate::storage::LogReader;
use crate::woodpecker::codec::{CodecError, FileHeader, HEADER_BYTES};
use crate::woodpecker::entry;

/// A position in a log, and the segment that is being read.
pub(super) struct LocalReader {
    log: Arc<Log>,
    disk: DynDisk,
    compute: Compute,
    config: Arc<LocalConfig>,
    /// The next record wanted: segment and entry.
    segment: u64,
    entry: u64,
    open: Option<OpenSegment>,
    ready: VecDeque<StoredRecord>,
}

struct OpenSegment {
    segment: Arc<Segment>,
    window: Window,
    offset: u64,
    number: u64,
    first_entry: u64,
    /// Nothing is added to it any more.
    finished: bool,
}

impl LocalReader {
    pub(super) fn new(log: Arc<Log>, env: &Env, config: Arc<LocalConfig>, from: MessageId) -> LocalReader {
        // An id of another generation lies before or behind everything here.
        let (segment, entry) = match from.generation().cmp(&config.generation) {
            std::cmp::Ordering::Less => (0, 0),
            std::cmp::Ordering::Equal => (from.segment(), from.entry()),
            std::cmp::Ordering::Greater => (u64::MAX, 0),
        };
        let (disk, compute) = (env.disk.clone(), env.compute.clone());
        LocalReader { log, disk, compute, config, segment, entry, open: None, ready: VecDeque::new() }
    }

    fn id(&self, segment: u64, entry: u64) -> MessageId {
        MessageId::from_parts(self.config.generation, segment, entry)
    }

    /// The records of the next block from the wanted entry on; none at the durable end.
    async fn read_on(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        loop {
            let Some(mut open) = self.open.take() else {
                if self.open_next().await? { continue } else { return Ok(Vec::new()) }
            };
            self.log.state.check_readable(self.id(self.segment, self.entry))?;
            open.refresh();
            if open.offset < open.window.limit() {
                let records = self.read_block(&mut open).await?;
                self.open = Some(open);
                if !records.is_empty() {
                    return Ok(records);
                }
            } else if open.finished {
                (self.segment, self.entry) = (open.segment.id + 1, 0);
            } else {
                self.open = Some(open);
                return Ok(Vec::new());
            }
        }
    }

    /// Opens the segment of the wanted record, or the next one there is. `false` at the durable end.
    async fn open_next(&mut self) -> Result<bool, LogError> {
        if self.segment == u64::MAX {
            return Ok(false);
        }
        self.log.state.check_readable(self.id(self.segment, self.entry))?;
        let Some(segment) = self.log.segment_from(self.segment) else { return Ok(false) };
        if segment.id > self.segment {
            (self.segment, self.entry) = (segment.id, 0);
        }
        let extent = segment.extent();
        if let Extent::Open(end) = extent
            && self.entry >= end.entries
        {
            return Ok(false);
        }
        if matches!(extent, Extent::Finished(End { entries: 0, .. })) {
            (self.segment, self.entry) = (segment.id + 1, 0);
            return Ok(true);
        }
        self.open_segment(segment, extent).await?;
        Ok(true)
    }

    async fn open_segment(&mut self, segment: Arc<Segment>, extent: Extent) -> Result<(), LogError> {
        let path = segment.path();
        let file = match self.disk.open(&path, OpenMode::Read).await {
            Ok(file) => file,
            Err(DiskError::NotFound { .. }) => {
                // It may have been truncated just now.
                self.log.state.check_readable(self.id(self.segment, self.entry))?;
                return Err(corrupt(&segment, 0, "the file is missing"));
            }
            Err(error) => return Err(error.into()),
        };
        let mut window = Window::new(file, 0, self.config.read_ahead_bytes);
        let (end, located, finished) = match extent {
            Extent::Open(end) => (end, segment.locate(self.entry), false),
            Extent::Finished(_) | Extent::InFooter => {
                let file = window.file().clone();
                let len = file.length().await?;
                let index = Index::load(&*file, len).await?.map_err(|error| footer(&segment, &error))?;
                let located = index.locate(self.entry).map_err(|error| footer(&segment, &error))?;
                (index.end, located, true)
            }
        };
        let start = match located {
            Some(start) => start,
            // The segment was finished between the two looks: the footer has its blocks now.
            None if !finished => return Ok(()),
            None => (BlockStart { offset: end.bytes, first_entry: end.entries }, 0),
        };
        window.set_limit(end.bytes);
        if finished && start.0.offset == HEADER_BYTES as u64 {
            let header = window.at(0, HEADER_BYTES).await?;
            FileHeader::decode(&header).map_err(|error| footer(&segment, &error))?;
        }
        let (BlockStart { offset, first_entry }, number) = start;
        self.open = Some(OpenSegment { segment, window, offset, number, first_entry, finished });
        Ok(())
    }

    async fn read_block(&mut self, open: &mut OpenSegment) -> Result<Vec<StoredRecord>, LogError> {
        let bad =
            |open: &OpenSegment, error: CodecError| corrupt(&open.segment, open.number, &error.to_string());
        let block = fetch_block(&mut open.window, open.offset, open.number, open.first_entry)
            .await?
            .map_err(|error| bad(open, error))?;
        let (bytes, next_entry) = (block.total_bytes(), block.header.last_entry as u64 + 1);
        let (from, generation, segment) = (self.entry, self.config.generation, open.segment.id);
        let decode = move || records(&block, from, |entry| MessageId::from_parts(generation, segment, entry));
        let decoded = if bytes > INLINE_BYTES_MAX { self.compute.run(decode).await } else { decode() };
        let records = decoded.map_err(|error| bad(open, error))?;
        open.offset += bytes;
        open.number += 1;
        open.first_entry = next_entry;
        self.entry = self.entry.max(next_entry);
        Ok(records)
    }
}

/// Larger blocks are checked and decoded on the compute pool: it takes longer than 200 µs.
const INLINE_BYTES_MAX: u64 = 512 << 10;

/// The records of a block from an entry on. A payload is a slice of the block.
fn records(block: &Block, from: u64, id: impl Fn(u64) -> MessageId) -> Result<Vec<StoredRecord>, CodecError> {
    block.check()?;
    let raw = entries(block, false)?;
    let mut records = Vec::with_capacity(raw.len());
    for (at, bytes) in (block.header.first_entry as u64..).zip(raw) {
        if at >= from {
            records.push(StoredRecord { id: id(at), record: entry::decode(&bytes)? });
        }
    }
    Ok(records)
}

impl OpenSegment {
    /// Looks how far the segment may be read by now.
    fn refresh(&mut self) {
        if self.finished {
            return;
        }
        match self.segment.extent() {
            Extent::Open(end) => self.window.set_limit(end.bytes),
            Extent::Finished(end) => {
                self.window.set_limit(end.bytes);
                self.finished = true;
            }
            // Only a segment that was never open is.
            Extent::InFooter => {}
        }
    }
}

fn corrupt(segment: &Segment, block: u64, reason: &str) -> LogError {
    LogError::Corrupt { file: segment.path(), segment: segment.id, block, reason: reason.to_owned() }
}

fn footer(segment: &Segment, error: &CodecError) -> LogError {
    corrupt(segment, 0, &format!("header or footer: {error}"))
}

#[async_trait]
impl LogReader for LocalReader {
    async fn next(&mut self) -> Result<Option<StoredRecord>, LogError> {
        if self.ready.is_empty() {
            self.ready = self.read_on().await?.into();
        }
        Ok(self.ready.pop_front())
    }

    async fn next_batch(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        if self.ready.is_empty() {
            return self.read_on().await;
        }
        Ok(std::mem::take(&mut self.ready).into())
    }
}
