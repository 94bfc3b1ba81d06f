//! The footer object of a finished segment: an index record for each block, and the footer.

use super::block::Extent;
use crate::woodpecker::codec::{CodecError, FORMAT_VERSION, Footer, INDEX_BYTES, IndexRecord};

/// Bit 0 of the flags: the blocks are the merged ones of a compaction.
pub(super) const COMPACTED: u16 = 1;

/// The blocks of a finished segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) blocks: Vec<Extent>,
    /// They are merged ones.
    pub(super) compacted: bool,
    /// The footer's count; Woodpecker counts blocks here and carries the number over when it compacts.
    pub(super) records: u32,
    /// The id behind the last entry that may be read, if it is not that of the last block: nodes of
    /// Woodpecker's service mode may have stored more than a quorum confirmed.
    pub(super) confirmed: Option<u64>,
}

impl Layout {
    /// The layout of a segment with these blocks, as they were put.
    pub(super) fn plain(blocks: Vec<Extent>) -> Layout {
        let records = blocks.len() as u32;
        Layout { blocks, compacted: false, records, confirmed: None }
    }

    /// The id behind the last entry that may be read.
    pub(super) fn end(&self) -> u64 {
        self.confirmed.map_or(self.next_entry(), |confirmed| confirmed.min(self.next_entry()))
    }

    /// The id behind the last entry.
    pub(super) fn next_entry(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.next_entry)
    }

    /// Bytes of all blocks.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.bytes).sum()
    }

    /// The footer object.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, block) in self.blocks.iter().enumerate() {
            let index = IndexRecord {
                number: number as i32,
                start: number as i64,
                size: block.bytes as u32,
                first_entry: block.first_entry as i64,
                last_entry: block.next_entry as i64 - 1,
            };
            index.encode(&mut out);
        }
        let footer = Footer {
            blocks: self.blocks.len() as i32,
            records: self.records,
            size: self.bytes(),
            index_start: 0,
            index_length: out.len() as u32,
            version: FORMAT_VERSION,
            flags: if self.compacted { COMPACTED } else { 0 },
            last_confirmed: self.end() as i64 - 1,
        };
        footer.encode(&mut out);
        out
    }

    /// Reads a footer object, of version 6 or 5.
    pub(super) fn decode(object: &[u8]) -> Result<Layout, CodecError> {
        let (footer, footer_bytes) = Footer::decode_at_end(object)?;
        let indexes = &object[..object.len() - footer_bytes];
        let count = usize::try_from(footer.blocks).unwrap_or(usize::MAX);
        if indexes.len() / INDEX_BYTES != count || !indexes.len().is_multiple_of(INDEX_BYTES) {
            let what = format!("{} bytes of indexes for {} blocks", indexes.len(), footer.blocks);
            return Err(CodecError::Field(what));
        }
        let mut blocks: Vec<Extent> = Vec::with_capacity(count);
        for (number, record) in indexes.chunks_exact(INDEX_BYTES).enumerate() {
            let index = IndexRecord::decode(record)?;
            let first_entry = blocks.last().map_or(0, |block| block.next_entry);
            let follows = i64::from(index.number) == number as i64
                && index.first_entry == first_entry as i64
                && index.last_entry >= index.first_entry;
            if !follows {
                return Err(CodecError::Field(format!("{index:?} where entry {first_entry} follows")));
            }
            let next_entry = index.last_entry as u64 + 1;
            blocks.push(Extent { first_entry, next_entry, bytes: u64::from(index.size) });
        }
        let confirmed = (footer.version == FORMAT_VERSION).then_some((footer.last_confirmed + 1) as u64);
        let compacted = footer.flags & COMPACTED != 0;
        let layout = Layout { blocks, compacted, records: footer.records, confirmed };
        if confirmed.is_some_and(|confirmed| confirmed > layout.next_entry()) {
            let (confirmed, next) = (footer.last_confirmed, layout.next_entry());
            return Err(CodecError::Field(format!("entry {confirmed} is confirmed, {next} follows")));
        }
        Ok(layout)
    }
}
