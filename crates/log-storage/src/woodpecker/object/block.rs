//! The bytes of block objects.

use bytes::Bytes;
use cinclus_env::mutated;
use cinclus_types::MessageId;

use crate::record::StoredRecord;
use crate::woodpecker::codec::{
    BLOCK_HEADER_BYTES, BlockHeader, CodecError, ENVELOPE_BYTES, FORMAT_VERSION, FileHeader, HEADER_BYTES,
    RecordKind, open_record, peek_record,
};
use crate::woodpecker::entry;

/// Bytes at the start of a block object within which its headers are.
pub(super) const HEAD_BYTES: u64 = (HEADER_BYTES + BLOCK_HEADER_BYTES) as u64;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The id of its first entry.
    pub(super) first_entry: u64,
    /// The id behind its last entry.
    pub(super) next_entry: u64,
    /// Bytes of the object.
    pub(super) bytes: u64,
}

/// What stands before the data records of a block object.
pub(super) fn head(header: &BlockHeader, flags: u16) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    if header.number == 0 {
        FileHeader { version: FORMAT_VERSION, flags, first_entry: header.first_entry }.encode(&mut head);
    }
    header.encode(&mut head);
    head
}

/// The header of a block, and where its data records start.
fn read_head(bytes: &[u8], number: u64) -> Result<(BlockHeader, usize), CodecError> {
    let has_file_header = number == 0 || peek_record(bytes)?.0 == Some(RecordKind::Header);
    let at = if has_file_header {
        FileHeader::decode(bytes)?;
        HEADER_BYTES
    } else {
        0
    };
    Ok((BlockHeader::decode(&bytes[at..])?, at + BLOCK_HEADER_BYTES))
}

/// What the block object says of itself; `bytes` are its first, `size` is how many it has.
pub(super) fn extent(bytes: &[u8], size: u64, number: u64, first_entry: u64) -> Result<Extent, CodecError> {
    let (header, start) = read_head(bytes, number)?;
    header.check_place(number, first_entry)?;
    let need = start as u64 + u64::from(header.length);
    if size != need {
        return Err(CodecError::Field(format!("an object of {size} bytes where its header says {need}")));
    }
    Ok(Extent { first_entry, next_entry: header.last_entry as u64 + 1, bytes: size })
}

/// The data records of a block with their envelopes, every checksum of the block checked.
pub(super) fn data(object: &Bytes, number: u64, extent: Extent) -> Result<(BlockHeader, Bytes), CodecError> {
    let found = self::extent(object, object.len() as u64, number, extent.first_entry)?;
    if found != extent {
        return Err(CodecError::Field(format!("the block holds {found:?} where {extent:?} is expected")));
    }
    let (header, start) = read_head(object, number)?;
    let data = object.slice(start..);
    let computed = crc32fast::hash(&data);
    if computed != header.crc && !mutated("BelievesBytes") {
        return Err(CodecError::Checksum { stored: header.crc, computed });
    }
    Ok((header, data))
}

/// The records of a block. Payloads are slices of it.
pub(super) fn records(
    object: &Bytes,
    number: u64,
    extent: Extent,
    id: impl Fn(u64) -> MessageId,
) -> Result<Vec<StoredRecord>, CodecError> {
    let (_, mut data) = data(object, number, extent)?;
    let mut records = Vec::with_capacity((extent.next_entry - extent.first_entry) as usize);
    for at in extent.first_entry..extent.next_entry {
        // The checksum over the block covers those of its records.
        let (kind, length) = peek_record(&data)?;
        let end = ENVELOPE_BYTES + length as usize;
        if kind != Some(RecordKind::Data) || data.len() < end {
            return Err(open_record(&data, RecordKind::Data).err().unwrap_or(too_many(at)));
        }
        let record = data.split_to(end).slice(ENVELOPE_BYTES..);
        records.push(StoredRecord { id: id(at), record: entry::decode(&record)? });
    }
    if data.is_empty() { Ok(records) } else { Err(too_many(extent.next_entry)) }
}

fn too_many(entry: u64) -> CodecError {
    CodecError::Field(format!("the data records of the block do not end with entry {entry}"))
}
