//! The footer of a finished segment and the indexes before it.

use bytes::Bytes;
use cinclus_env::disk::{DiskError, DiskFile};

use super::segment::{BlockStart, End};
use crate::woodpecker::codec::{CodecError, FOOTER_BYTES, Footer, HEADER_BYTES, INDEX_BYTES, IndexRecord};

/// The indexes of a finished segment.
#[derive(Debug)]
pub(super) struct Index {
    /// Behind its last block.
    pub(super) end: End,
    records: Bytes,
}

impl Index {
    /// Reads the end of a file of `len` bytes. The indexes are found from the end of the file: Woodpecker
    /// may have noted their offset before a tail was cut.
    pub(super) async fn load(file: &dyn DiskFile, len: u64) -> Result<Result<Index, CodecError>, DiskError> {
        let tail = file.read_at(len.saturating_sub(FOOTER_BYTES as u64), FOOTER_BYTES).await?;
        let (footer, footer_bytes) = match Footer::decode_at_end(&tail) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let index_bytes = u64::from(footer.index_length);
        let need = HEADER_BYTES as u64 + index_bytes + footer_bytes as u64;
        if len < need {
            return Ok(Err(CodecError::Short { have: len, need }));
        }
        let start = len - footer_bytes as u64 - index_bytes;
        let records = file.read_at(start, footer.index_length as usize).await?;
        Ok(Index::new(&footer, start, records))
    }

    fn new(footer: &Footer, start: u64, records: Bytes) -> Result<Index, CodecError> {
        if !records.len().is_multiple_of(INDEX_BYTES) || records.len() / INDEX_BYTES != footer.blocks as usize
        {
            let what = format!("{} bytes of indexes for {} blocks", records.len(), footer.blocks);
            return Err(CodecError::Field(what));
        }
        let mut index = Index { end: End { bytes: start, entries: 0 }, records };
        if let Some(last) = index.blocks().checked_sub(1) {
            let last = index.get(last)?;
            index.end.entries = last.last_entry as u64 + 1;
            if footer.version > 5 && footer.last_confirmed > last.last_entry {
                let (confirmed, last) = (footer.last_confirmed, last.last_entry);
                return Err(CodecError::Field(format!("entry {confirmed} is confirmed, {last} is the last")));
            }
        }
        Ok(index)
    }

    pub(super) fn blocks(&self) -> usize {
        self.records.len() / INDEX_BYTES
    }

    pub(super) fn get(&self, number: usize) -> Result<IndexRecord, CodecError> {
        IndexRecord::decode(&self.records[number * INDEX_BYTES..])
    }

    /// The block that holds an entry, and its number; `None` behind the last entry.
    pub(super) fn locate(&self, entry: u64) -> Result<Option<(BlockStart, u64)>, CodecError> {
        if entry >= self.end.entries {
            return Ok(None);
        }
        let (mut low, mut high) = (0, self.blocks());
        while high - low > 1 {
            let middle = low.midpoint(high);
            if self.get(middle)?.first_entry as u64 <= entry {
                low = middle;
            } else {
                high = middle;
            }
        }
        let found = self.get(low)?;
        let block = BlockStart { offset: found.start as u64, first_entry: found.first_entry as u64 };
        Ok(Some((block, low as u64)))
    }
}
