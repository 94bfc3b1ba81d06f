//! A last block that is whole but for one bit.
//!
//! Nothing stands behind the last block of a log that vouches for it. A write that was torn leaves bytes out, or
//! zeros; a medium that fails turns a bit round. So a block that is whole once one bit of it is turned back was
//! written to its end and perhaps acknowledged: it must not be cut as a torn tail.

use cinclus_env::disk::DiskError;

use super::scan::Scan;
use super::window::Window;
use crate::woodpecker::codec::{BLOCK_HEADER_BYTES, BlockHeader, ENVELOPE_BYTES, RecordKind, open_record};

/// Whether the block at `offset`, behind those of the scan, is whole but for one bit. Every checksum in it has to
/// say so: that of the block alone would take one of some hundred torn blocks of 8 MiB for such a one.
pub(super) async fn is_one_bit_off(window: &mut Window, scan: &Scan, offset: u64) -> Result<bool, DiskError> {
    let head = window.at(offset, BLOCK_HEADER_BYTES).await?;
    let have = window.limit() - offset;
    let fits = |header: &[u8]| {
        let header = BlockHeader::decode(header).ok()?;
        header.check_place(scan.blocks.len() as u64, scan.end.entries).ok()?;
        (BLOCK_HEADER_BYTES as u64 + u64::from(header.length) <= have).then_some(header)
    };
    let right = fits(&head);
    let Some(header) = right.or_else(|| turned(&head).find_map(|head| fits(&head))) else { return Ok(false) };
    let whole = window.at(offset, BLOCK_HEADER_BYTES + header.length as usize).await?;
    let mut data = whole.slice(BLOCK_HEADER_BYTES.min(whole.len())..).to_vec();
    let difference = crc32fast::hash(&data) ^ header.crc;
    match (right, bit_of(difference, data.len())) {
        // The wrong bit was that of the header.
        (None, _) => Ok(difference == 0 && holds(&data, &header)),
        (Some(_), Some((byte, bit))) => {
            data[byte] ^= 1 << bit;
            Ok(holds(&data, &header))
        }
        (Some(_), None) => Ok(false),
    }
}

/// The bytes, with each of their bits turned round in turn.
fn turned(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut turned = bytes.to_vec();
        turned[bit / 8] ^= 1 << (bit % 8);
        turned
    })
}

/// Whether `data` is the records of a block, whole.
fn holds(mut data: &[u8], header: &BlockHeader) -> bool {
    let mut records = 0;
    while !data.is_empty() {
        let Ok(payload) = open_record(data, RecordKind::Data) else { return false };
        data = &data[ENVELOPE_BYTES + payload.len()..];
        records += 1;
    }
    records == header.last_entry - header.first_entry + 1
}

/// Which bit (byte, and bit in it) of `bytes` bytes makes this difference between two CRC-32, if one does.
fn bit_of(difference: u32, bytes: usize) -> Option<(usize, usize)> {
    // What the last bit does to the CRC; each bit before it does what one more step makes of it.
    const LAST: u32 = 0xEDB8_8320;
    let mut of_bit = LAST;
    for from_end in 0..bytes * 8 {
        if of_bit == difference {
            return Some((bytes - 1 - from_end / 8, 7 - from_end % 8));
        }
        of_bit = (of_bit >> 1) ^ if of_bit & 1 == 1 { LAST } else { 0 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_bit_is_found() {
        let bytes: Vec<u8> = (0..300_u32).map(|n| (n * 7) as u8).collect();
        let crc = crc32fast::hash(&bytes);
        for (at, turned) in turned(&bytes).enumerate() {
            assert_eq!(bit_of(crc32fast::hash(&turned) ^ crc, bytes.len()), Some((at / 8, at % 8)));
        }
        assert_eq!(bit_of(0, bytes.len()), None);
    }
}
