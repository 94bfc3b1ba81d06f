//! What this process knows of one segment: what of it is durable, and where its blocks are.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::files;
use crate::woodpecker::codec::{
    FOOTER_BYTES, FORMAT_VERSION, Footer, HEADER_BYTES, INDEX_BYTES, IndexRecord,
};

/// Where a block starts and with which entry. Its end is the start of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockStart {
    pub(super) offset: u64,
    pub(super) first_entry: u64,
}

/// Up to where a segment is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The offset behind its last durable block; 0 if there is none.
    pub(super) bytes: u64,
    /// How many durable entries it has.
    pub(super) entries: u64,
}

/// One segment. Shared by its writer, which moves the end, and readers.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u64,
    pub(super) dir: PathBuf,
    /// Written by this process, which therefore knows what of it was synced: its durable end is believed,
    /// and what the page cache shows behind it is not.
    pub(super) written_here: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` for a finished segment whose footer nobody has read yet.
    end: Option<End>,
    finished: bool,
    /// The blocks of an unfinished segment; a finished one has them in its footer.
    blocks: Vec<BlockStart>,
}

/// A reader's view of the end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything up to here is durable, and more may come.
    Open(End),
    /// Nothing will be added.
    Finished(End),
    /// Nothing will be added; where it ends stands in its footer.
    InFooter,
}

impl Segment {
    /// A segment that this process is about to write.
    pub(super) fn fresh(log_dir: &Path, id: u64) -> Segment {
        let state = State { end: Some(End::default()), finished: false, blocks: Vec::new() };
        Segment::new(log_dir, id, true, state)
    }

    /// An unfinished segment that was scanned, and synced up to that end.
    pub(super) fn scanned(log_dir: &Path, id: u64, end: End, blocks: Vec<BlockStart>) -> Segment {
        Segment::new(log_dir, id, false, State { end: Some(end), finished: false, blocks })
    }

    /// A segment with a footer.
    pub(super) fn finished(log_dir: &Path, id: u64) -> Segment {
        Segment::new(log_dir, id, false, State { end: None, finished: true, blocks: Vec::new() })
    }

    fn new(log_dir: &Path, id: u64, written_here: bool, state: State) -> Segment {
        Segment { id, dir: files::segment_dir(log_dir, id), written_here, state: Mutex::new(state) }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(files::DATA)
    }

    pub(super) fn extent(&self) -> Extent {
        let state = self.state.lock();
        match state.end {
            None => Extent::InFooter,
            Some(end) if state.finished => Extent::Finished(end),
            Some(end) => Extent::Open(end),
        }
    }

    /// The durable end of a segment that is not finished, with its blocks.
    pub(super) fn open_end(&self) -> Option<(End, Vec<BlockStart>)> {
        let state = self.state.lock();
        state.end.filter(|_| !state.finished).map(|end| (end, state.blocks.clone()))
    }

    /// The block that holds an entry, and its number. `None` if the entry is not durable or the blocks are
    /// in the footer.
    pub(super) fn locate(&self, entry: u64) -> Option<(BlockStart, u64)> {
        let state = self.state.lock();
        if state.end.is_none_or(|end| entry >= end.entries) || state.blocks.is_empty() {
            return None;
        }
        let behind = state.blocks.partition_point(|block| block.first_entry <= entry);
        let number = behind.checked_sub(1)?;
        Some((state.blocks[number], number as u64))
    }

    /// Moves the durable end over a block.
    pub(super) fn advance(&self, block: BlockStart, end: End) {
        let mut state = self.state.lock();
        state.blocks.push(block);
        state.end = Some(end);
    }

    /// Notes that recovery wrote a footer behind that end; readers that have the segment open go on.
    pub(super) fn recovered(&self, end: End) {
        self.state.lock().end = Some(end);
        self.finish();
    }

    /// Notes that the footer is durable.
    pub(super) fn finish(&self) {
        let mut state = self.state.lock();
        state.finished = true;
        state.blocks = Vec::new();
    }

    /// Whether nothing durable was written to it and it may still be.
    pub(super) fn is_open_and_empty(&self) -> bool {
        let state = self.state.lock();
        !state.finished && state.end.is_some_and(|end| end.entries == 0)
    }

    /// The index records and the footer for these blocks, which end at `end`; what stands behind the last
    /// block (and the header) of a finished segment.
    pub(super) fn footer(blocks: &[BlockStart], end: End) -> Vec<u8> {
        let index_length = blocks.len() * INDEX_BYTES;
        let mut out = Vec::with_capacity(index_length + FOOTER_BYTES);
        for (number, block) in blocks.iter().enumerate() {
            let next = blocks.get(number + 1);
            let next = next.copied().unwrap_or(BlockStart { offset: end.bytes, first_entry: end.entries });
            let index = IndexRecord {
                number: number as i32,
                start: block.offset as i64,
                size: (next.offset - block.offset) as u32,
                first_entry: block.first_entry as i64,
                last_entry: next.first_entry as i64 - 1,
            };
            index.encode(&mut out);
        }
        let index_start = end.bytes.max(HEADER_BYTES as u64);
        let footer = Footer {
            blocks: blocks.len() as i32,
            records: blocks.len() as u32,
            size: index_start + index_length as u64,
            index_start,
            index_length: index_length as u32,
            version: FORMAT_VERSION,
            flags: 0,
            last_confirmed: end.entries as i64 - 1,
        };
        footer.encode(&mut out);
        out
    }

    /// As [`Segment::footer`], for this unfinished segment with one more block at its end.
    pub(super) fn footer_with(&self, block: BlockStart, end: End) -> Vec<u8> {
        let mut state = self.state.lock();
        state.blocks.push(block);
        let footer = Self::footer(&state.blocks, end);
        state.blocks.pop();
        footer
    }
}
