//! The bytes of Woodpecker files, format version 6; version 5 is read.
//!
//! Every record has the same envelope, little endian throughout:
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | CRC-32 (IEEE) over everything behind it |
//! | 4 | 1 | kind |
//! | 5 | 4 | length of the payload |
//! | 9 | n | payload |
//!
//! A file is `Header, {BlockHeader, Data…}…, Index…, Footer`. Payloads:
//!
//! | kind | fields |
//! | --- | --- |
//! | 1 Header (16) | version u16, flags u16, first entry i64, magic `HDR\x01` |
//! | 2 Data (n) | one entry |
//! | 3 Index (32) | block i32, start i64, size u32, first entry i64, last entry i64 |
//! | 4 Footer (44; version 5: 36) | blocks i32, records u32, size u64, index start u64, index length u32, version u16, flags u16, magic `FTR\x01`, last confirmed entry i64 (not in version 5) |
//! | 5 BlockHeader (28) | block i32, first entry i64, last entry i64, length u32, CRC-32 of the block u32 |
//!
//! Length and CRC of a block cover its data records with their envelopes.

use bytes::{Buf, BufMut};

/// The version that is written.
pub const FORMAT_VERSION: u16 = 6;
/// The oldest version that is read.
pub const FORMAT_VERSION_OLDEST: u16 = 5;
/// Bytes of an envelope.
pub const ENVELOPE_BYTES: usize = 9;
/// Bytes of a whole Header record.
pub const HEADER_BYTES: usize = ENVELOPE_BYTES + 16;
/// Bytes of a whole BlockHeader record.
pub const BLOCK_HEADER_BYTES: usize = ENVELOPE_BYTES + 28;
/// Bytes of a whole Index record.
pub const INDEX_BYTES: usize = ENVELOPE_BYTES + 32;
/// Bytes of a whole Footer record of version 6.
pub const FOOTER_BYTES: usize = ENVELOPE_BYTES + 44;
/// Bytes of a whole Footer record of version 5.
pub const FOOTER_V5_BYTES: usize = ENVELOPE_BYTES + 36;

const HEADER_MAGIC: [u8; 4] = *b"HDR\x01";
const FOOTER_MAGIC: [u8; 4] = *b"FTR\x01";

/// The kinds of records in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// The first record of a file.
    Header = 1,
    /// One entry.
    Data = 2,
    /// Where one block stands.
    Index = 3,
    /// The last record of a finished file.
    Footer = 4,
    /// Stands before the data records of a block.
    BlockHeader = 5,
}

impl RecordKind {
    fn from_byte(byte: u8) -> Option<RecordKind> {
        Some(match byte {
            1 => RecordKind::Header,
            2 => RecordKind::Data,
            3 => RecordKind::Index,
            4 => RecordKind::Footer,
            5 => RecordKind::BlockHeader,
            _ => return None,
        })
    }
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end before the record does.
    #[error("{have} bytes where {need} are needed")]
    Short {
        /// Bytes there are.
        have: u64,
        /// Bytes needed.
        need: u64,
    },
    /// The checksum does not fit.
    #[error("checksum {stored:08x} where the bytes give {computed:08x}")]
    Checksum {
        /// What is stored.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// A record of another kind, or none at all.
    #[error("record kind {found} where {expected:?} is expected")]
    Kind {
        /// The byte found.
        found: u8,
        /// What should stand there.
        expected: RecordKind,
    },
    /// A payload of the wrong length.
    #[error("{kind:?} record of {found} bytes")]
    Length {
        /// The kind of the record.
        kind: RecordKind,
        /// The length found.
        found: u32,
    },
    /// The magic bytes are not there.
    #[error("no {0:?} magic")]
    Magic(RecordKind),
    /// A version that this program does not know.
    #[error("format version {0} (known: {FORMAT_VERSION_OLDEST} to {FORMAT_VERSION})")]
    Version(u16),
    /// A field that cannot be.
    #[error("{0}")]
    Field(String),
}

/// The first record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The format version.
    pub version: u16,
    /// Bit 0: the file was compacted.
    pub flags: u16,
    /// The id of the first entry; 0 in local files.
    pub first_entry: i64,
}

/// Stands before the data records of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// The block's number in the segment, from 0.
    pub number: i32,
    /// The id of its first entry.
    pub first_entry: i64,
    /// The id of its last entry.
    pub last_entry: i64,
    /// Bytes of its data records with their envelopes.
    pub length: u32,
    /// CRC-32 over those bytes.
    pub crc: u32,
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexRecord {
    /// The block's number.
    pub number: i32,
    /// The offset of its BlockHeader record.
    pub start: i64,
    /// Bytes of the block, its BlockHeader record included.
    pub size: u32,
    /// The id of its first entry.
    pub first_entry: i64,
    /// The id of its last entry.
    pub last_entry: i64,
}

/// The last record of a finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// How many blocks.
    pub blocks: i32,
    /// In local files the number of blocks again.
    pub records: u32,
    /// Bytes before this record.
    pub size: u64,
    /// The offset of the first Index record.
    pub index_start: u64,
    /// Bytes of all Index records.
    pub index_length: u32,
    /// The format version.
    pub version: u16,
    /// Bit 0: the file was compacted.
    pub flags: u16,
    /// The id of the last confirmed entry; -1 if there is none, or in version 5.
    pub last_confirmed: i64,
}

/// Writes an envelope and what `payload` puts behind it.
fn put_record(out: &mut Vec<u8>, kind: RecordKind, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_u32_le(0);
    out.put_u8(kind as u8);
    out.put_u32_le(0);
    payload(out);
    let length = (out.len() - start - ENVELOPE_BYTES) as u32;
    out[start + 5..start + 9].copy_from_slice(&length.to_le_bytes());
    let crc = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Checks the envelope at the start of `bytes` and gives the payload.
///
/// # Errors
/// See [`CodecError`].
pub fn open_record(bytes: &[u8], expected: RecordKind) -> Result<&[u8], CodecError> {
    let (kind, length) = peek_record(bytes)?;
    if kind != Some(expected) {
        return Err(CodecError::Kind { found: bytes[4], expected });
    }
    let need = ENVELOPE_BYTES as u64 + u64::from(length);
    if (bytes.len() as u64) < need {
        return Err(CodecError::Short { have: bytes.len() as u64, need });
    }
    let whole = &bytes[..need as usize];
    let stored = u32::from_le_bytes([whole[0], whole[1], whole[2], whole[3]]);
    let computed = crc32fast::hash(&whole[4..]);
    if stored != computed {
        return Err(CodecError::Checksum { stored, computed });
    }
    Ok(&whole[ENVELOPE_BYTES..])
}

/// The kind and the payload length that the envelope at the start of `bytes` claims, unchecked.
///
/// # Errors
/// If not even an envelope is there.
pub fn peek_record(bytes: &[u8]) -> Result<(Option<RecordKind>, u32), CodecError> {
    if bytes.len() < ENVELOPE_BYTES {
        return Err(CodecError::Short { have: bytes.len() as u64, need: ENVELOPE_BYTES as u64 });
    }
    let length = u32::from_le_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
    Ok((RecordKind::from_byte(bytes[4]), length))
}

fn open_sized(bytes: &[u8], kind: RecordKind, record_bytes: usize) -> Result<&[u8], CodecError> {
    let payload = open_record(bytes, kind)?;
    if payload.len() == record_bytes - ENVELOPE_BYTES {
        Ok(payload)
    } else {
        Err(CodecError::Length { kind, found: payload.len() as u32 })
    }
}

fn check_version(version: u16) -> Result<u16, CodecError> {
    if (FORMAT_VERSION_OLDEST..=FORMAT_VERSION).contains(&version) {
        Ok(version)
    } else {
        Err(CodecError::Version(version))
    }
}

impl FileHeader {
    /// The header of a new local file.
    pub const LOCAL: FileHeader = FileHeader { version: FORMAT_VERSION, flags: 0, first_entry: 0 };

    /// Appends the whole record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_record(out, RecordKind::Header, |out| {
            out.put_u16_le(self.version);
            out.put_u16_le(self.flags);
            out.put_i64_le(self.first_entry);
            out.put_slice(&HEADER_MAGIC);
        });
    }

    /// Reads the record at the start of `bytes`.
    ///
    /// # Errors
    /// See [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<FileHeader, CodecError> {
        let mut at = open_sized(bytes, RecordKind::Header, HEADER_BYTES)?;
        let header = FileHeader {
            version: check_version(at.get_u16_le())?,
            flags: at.get_u16_le(),
            first_entry: at.get_i64_le(),
        };
        if at == HEADER_MAGIC { Ok(header) } else { Err(CodecError::Magic(RecordKind::Header)) }
    }
}

impl BlockHeader {
    /// Appends the whole record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_record(out, RecordKind::BlockHeader, |out| {
            out.put_i32_le(self.number);
            out.put_i64_le(self.first_entry);
            out.put_i64_le(self.last_entry);
            out.put_u32_le(self.length);
            out.put_u32_le(self.crc);
        });
    }

    /// Reads the record at the start of `bytes`.
    ///
    /// # Errors
    /// See [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<BlockHeader, CodecError> {
        let mut at = open_sized(bytes, RecordKind::BlockHeader, BLOCK_HEADER_BYTES)?;
        Ok(BlockHeader {
            number: at.get_i32_le(),
            first_entry: at.get_i64_le(),
            last_entry: at.get_i64_le(),
            length: at.get_u32_le(),
            crc: at.get_u32_le(),
        })
    }

    /// Checks that this is the block that must stand here.
    ///
    /// # Errors
    /// [`CodecError::Field`] with what does not fit.
    pub fn check_place(&self, number: u64, first_entry: u64) -> Result<(), CodecError> {
        if i64::from(self.number) != number as i64 {
            return Err(CodecError::Field(format!("block number {} where {number} follows", self.number)));
        }
        if self.first_entry != first_entry as i64 || self.last_entry < self.first_entry {
            let (first, last) = (self.first_entry, self.last_entry);
            return Err(CodecError::Field(format!("entries {first} to {last} where {first_entry} follows")));
        }
        Ok(())
    }
}

impl IndexRecord {
    /// Appends the whole record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_record(out, RecordKind::Index, |out| {
            out.put_i32_le(self.number);
            out.put_i64_le(self.start);
            out.put_u32_le(self.size);
            out.put_i64_le(self.first_entry);
            out.put_i64_le(self.last_entry);
        });
    }

    /// Reads the record at the start of `bytes`.
    ///
    /// # Errors
    /// See [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<IndexRecord, CodecError> {
        let mut at = open_sized(bytes, RecordKind::Index, INDEX_BYTES)?;
        Ok(IndexRecord {
            number: at.get_i32_le(),
            start: at.get_i64_le(),
            size: at.get_u32_le(),
            first_entry: at.get_i64_le(),
            last_entry: at.get_i64_le(),
        })
    }
}

impl Footer {
    /// Appends the whole record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_record(out, RecordKind::Footer, |out| {
            out.put_i32_le(self.blocks);
            out.put_u32_le(self.records);
            out.put_u64_le(self.size);
            out.put_u64_le(self.index_start);
            out.put_u32_le(self.index_length);
            out.put_u16_le(self.version);
            out.put_u16_le(self.flags);
            out.put_slice(&FOOTER_MAGIC);
            if self.version > FORMAT_VERSION_OLDEST {
                out.put_i64_le(self.last_confirmed);
            }
        });
    }

    /// Reads the record at the *end* of `bytes`, of version 6 or else of version 5; also says how many
    /// bytes it takes.
    ///
    /// # Errors
    /// See [`CodecError`]; what is wrong with a footer of version 6.
    pub fn decode_at_end(bytes: &[u8]) -> Result<(Footer, usize), CodecError> {
        let newest = Self::decode_sized(bytes, FOOTER_BYTES);
        match newest.or_else(|error| Self::decode_sized(bytes, FOOTER_V5_BYTES).map_err(|_| error)) {
            Ok(footer) => {
                let old = footer.version == FORMAT_VERSION_OLDEST;
                Ok((footer, if old { FOOTER_V5_BYTES } else { FOOTER_BYTES }))
            }
            Err(error) => Err(error),
        }
    }

    fn decode_sized(bytes: &[u8], record_bytes: usize) -> Result<Footer, CodecError> {
        let start = bytes.len().checked_sub(record_bytes);
        let short = CodecError::Short { have: bytes.len() as u64, need: record_bytes as u64 };
        let mut at = open_sized(&bytes[start.ok_or(short)?..], RecordKind::Footer, record_bytes)?;
        let mut footer = Footer {
            blocks: at.get_i32_le(),
            records: at.get_u32_le(),
            size: at.get_u64_le(),
            index_start: at.get_u64_le(),
            index_length: at.get_u32_le(),
            version: check_version(at.get_u16_le())?,
            flags: at.get_u16_le(),
            last_confirmed: -1,
        };
        if at[..4] != FOOTER_MAGIC {
            return Err(CodecError::Magic(RecordKind::Footer));
        }
        at.advance(4);
        let old = record_bytes == FOOTER_V5_BYTES;
        if old != (footer.version == FORMAT_VERSION_OLDEST) {
            return Err(CodecError::Version(footer.version));
        }
        if !old {
            footer.last_confirmed = at.get_i64_le();
        }
        Ok(footer)
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
