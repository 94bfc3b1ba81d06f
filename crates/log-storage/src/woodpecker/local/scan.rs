//! Reads a segment's file block by block, and judges what stands behind the last whole one.

use std::sync::Arc;

use bytes::Bytes;
use cinclus_env::disk::{DiskError, DiskFile};
use cinclus_env::mutated;

use super::one_bit::is_one_bit_off;
use super::segment::{BlockStart, End};
use super::window::Window;
use crate::woodpecker::codec::{
    BLOCK_HEADER_BYTES, BlockHeader, CodecError, ENVELOPE_BYTES, FileHeader, Footer, HEADER_BYTES,
    IndexRecord, RecordKind, open_record, peek_record,
};

const READ_BYTES: usize = 4 << 20;

/// The whole blocks of a file and what stands behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) blocks: Vec<BlockStart>,
    pub(super) end: End,
    pub(super) tail: Tail,
}

/// What stands behind the last whole block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Nothing,
    /// Indexes and a footer, whole.
    Footer,
    /// Whole index records, and no whole footer: the end of a segment that was being finished.
    UnfinishedFooter,
    /// Something that is no whole block.
    Bad(BadTail),
}

/// Why the bytes at [`Scan::end`] are no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadTail {
    /// What is wrong.
    pub(super) reason: String,
    /// Why a crash cannot have left it: because a whole BlockHeader stands behind it that fits, say.
    pub(super) proof: Option<String>,
}

impl BadTail {
    /// The reason, with the proof that it is damage.
    pub(super) fn damage(&self) -> Option<String> {
        self.proof.as_ref().map(|proof| format!("{}; {proof}", self.reason))
    }
}

/// Reads the file up to `len`.
///
/// The file header is written together with the first block and says nothing new. So when the file's only
/// block is whole, a header that is torn is taken as read; recovery writes both again.
pub(super) async fn scan(file: Arc<dyn DiskFile>, len: u64) -> Result<Scan, DiskError> {
    let mut window = Window::new(file, len, READ_BYTES);
    let mut scan = Scan { blocks: Vec::new(), end: End::default(), tail: Tail::Nothing };
    if len == 0 {
        return Ok(scan);
    }
    let header = FileHeader::decode(&window.at(0, HEADER_BYTES).await?);
    if let Err(error @ CodecError::Version(_)) = header {
        let proof = Some("another version wrote it".to_owned());
        scan.tail = Tail::Bad(BadTail { reason: error.to_string(), proof });
        return Ok(scan);
    }
    let mut offset = HEADER_BYTES as u64;
    while offset < len {
        match read_block(&mut window, offset, scan.blocks.len() as u64, scan.end.entries).await? {
            Ok(block) => {
                scan.blocks.push(BlockStart { offset, first_entry: scan.end.entries });
                offset += block.total_bytes();
                scan.end = End { bytes: offset, entries: block.header.last_entry as u64 + 1 };
            }
            Err(error) => {
                scan.tail = judge_tail(&mut window, &scan, offset, error).await?;
                break;
            }
        }
    }
    if let Err(error) = header {
        judge_header(&mut scan, &error);
    }
    Ok(scan)
}

/// Whether a bad file header can be what a torn first write left.
fn judge_header(scan: &mut Scan, error: &CodecError) {
    let reason = format!("file header: {error}");
    let several = (scan.blocks.len() > 1).then(|| "the file has several blocks".to_owned());
    let proof = match &scan.tail {
        Tail::Bad(bad) => several.or_else(|| bad.proof.clone()),
        Tail::Nothing | Tail::Footer | Tail::UnfinishedFooter => several,
    };
    if proof.is_some() || scan.blocks.is_empty() {
        *scan = Scan { blocks: Vec::new(), end: End::default(), tail: Tail::Bad(BadTail { reason, proof }) };
    }
}

/// A block whose header has been checked.
pub(super) struct Block {
    pub(super) header: BlockHeader,
    /// Its data records with their envelopes.
    pub(super) data: Bytes,
}

impl Block {
    /// Compares the data with its CRC.
    pub(super) fn check(&self) -> Result<(), CodecError> {
        let (stored, computed) = (self.header.crc, crc32fast::hash(&self.data));
        if stored == computed || mutated("BelievesBytes") {
            Ok(())
        } else {
            Err(CodecError::Checksum { stored, computed })
        }
    }

    /// Bytes of header and data.
    pub(super) fn total_bytes(&self) -> u64 {
        BLOCK_HEADER_BYTES as u64 + self.data.len() as u64
    }
}

/// Reads and checks the block at `offset`, which must be number `number` and start with `first_entry`.
pub(super) async fn read_block(
    window: &mut Window,
    offset: u64,
    number: u64,
    first_entry: u64,
) -> Result<Result<Block, CodecError>, DiskError> {
    let block = fetch_block(window, offset, number, first_entry).await?;
    Ok(block.and_then(|block| block.check().map(|()| block)))
}

/// As [`read_block`], without [`Block::check`].
pub(super) async fn fetch_block(
    window: &mut Window,
    offset: u64,
    number: u64,
    first_entry: u64,
) -> Result<Result<Block, CodecError>, DiskError> {
    let header = window.at(offset, BLOCK_HEADER_BYTES).await?;
    let checked = BlockHeader::decode(&header)
        .and_then(|header| header.check_place(number, first_entry).map(|()| header))
        .and_then(|header| {
            let need = BLOCK_HEADER_BYTES as u64 + u64::from(header.length);
            let have = window.limit() - offset;
            if need <= have { Ok(header) } else { Err(CodecError::Short { have, need }) }
        });
    let header = match checked {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let whole = window.at(offset, BLOCK_HEADER_BYTES + header.length as usize).await?;
    Ok(Ok(Block { header, data: whole.slice(BLOCK_HEADER_BYTES.min(whole.len())..) }))
}

/// Splits the data of a checked block into its entries. The CRCs of the records
/// are checked only when `verify` is set.
pub(super) fn entries(block: &Block, verify: bool) -> Result<Vec<Bytes>, CodecError> {
    let count = (block.header.last_entry - block.header.first_entry + 1) as usize;
    let mut entries = Vec::with_capacity(count.min(block.data.len() / ENVELOPE_BYTES));
    let mut at = block.data.clone();
    while !at.is_empty() {
        let (kind, length) = peek_record(&at)?;
        if kind != Some(RecordKind::Data) {
            return Err(CodecError::Kind { found: at[4], expected: RecordKind::Data });
        }
        let need = ENVELOPE_BYTES + length as usize;
        if need > at.len() {
            return Err(CodecError::Short { have: at.len() as u64, need: need as u64 });
        }
        if verify {
            open_record(&at, RecordKind::Data)?;
        }
        entries.push(at.slice(ENVELOPE_BYTES..need));
        at = at.slice(need..);
    }
    if entries.len() == count {
        Ok(entries)
    } else {
        Err(CodecError::Field(format!("{} records in a block of {count} entries", entries.len())))
    }
}

/// What stands at `offset`, where no whole block does.
pub(super) async fn judge_tail(
    window: &mut Window,
    scan: &Scan,
    offset: u64,
    error: CodecError,
) -> Result<Tail, DiskError> {
    let start = window.at(offset, ENVELOPE_BYTES).await?;
    let kind = peek_record(&start).ok().and_then(|(kind, _)| kind);
    if matches!(kind, Some(RecordKind::Index | RecordKind::Footer)) {
        let rest = window.at(offset, (window.limit() - offset) as usize).await?;
        if let Ok((_, footer_bytes)) = Footer::decode_at_end(&rest) {
            if all_indexes(&rest[..rest.len() - footer_bytes], scan) {
                return Ok(Tail::Footer);
            }
        } else if IndexRecord::decode(&rest).is_ok_and(|index| fits(&index, scan, 0)) {
            return Ok(Tail::UnfinishedFooter);
        }
    }
    let behind = find_block_behind(window, scan, offset + 1).await?;
    let mut proof = behind.map(|at| format!("a whole block stands behind it at byte {at}"));
    if proof.is_none() && is_one_bit_off(window, scan, offset).await? {
        proof = Some("it is whole but for one bit, which no crash leaves".to_owned());
    }
    Ok(Tail::Bad(BadTail { reason: error.to_string(), proof }))
}

fn fits(index: &IndexRecord, scan: &Scan, number: usize) -> bool {
    let place = scan.blocks.get(number);
    place.is_some_and(|block| {
        index.number == number as i32
            && index.start == block.offset as i64
            && index.first_entry == block.first_entry as i64
    })
}

fn all_indexes(mut bytes: &[u8], scan: &Scan) -> bool {
    for number in 0..scan.blocks.len() {
        match IndexRecord::decode(bytes) {
            Ok(index) if fits(&index, scan, number) => {
                bytes = &bytes[crate::woodpecker::codec::INDEX_BYTES..];
            }
            Ok(_) | Err(_) => return false,
        }
    }
    bytes.is_empty()
}

/// Looks from `offset` on for a whole BlockHeader record, CRC right, whose number and first entry fit
/// behind the blocks of the scan.
async fn find_block_behind(
    window: &mut Window,
    scan: &Scan,
    mut offset: u64,
) -> Result<Option<u64>, DiskError> {
    let (number, entries) = (scan.blocks.len() as i64, scan.end.entries as i64);
    while offset + BLOCK_HEADER_BYTES as u64 <= window.limit() {
        let piece = window.at(offset, READ_BYTES).await?;
        if piece.len() < BLOCK_HEADER_BYTES {
            return Ok(None);
        }
        let starts = piece.len() - BLOCK_HEADER_BYTES + 1;
        for at in 0..starts {
            // The kind and the length of a BlockHeader, before its CRC is computed.
            if piece[at + 4..at + ENVELOPE_BYTES] != [RecordKind::BlockHeader as u8, 28, 0, 0, 0] {
                continue;
            }
            let found = BlockHeader::decode(&piece[at..]);
            if found.is_ok_and(|block| i64::from(block.number) >= number && block.first_entry >= entries) {
                return Ok(Some(offset + at as u64));
            }
        }
        offset += starts as u64;
    }
    Ok(None)
}
