//! Batches as the bytes of a block, encoded once: by the appender, before they wait for the disk.

use bytes::{BufMut, Bytes, BytesMut};

use crate::record::Record;
use crate::woodpecker::checksum::Checksum;
use crate::woodpecker::codec::{ENVELOPE_BYTES, RecordKind};
use crate::woodpecker::entry;

/// Payloads up to this are copied beside their envelope; larger ones are written from where they are.
const COPY_BYTES_MAX: usize = 8 << 10;

/// Data records up to this, which the processor still holds, are gone over once for their own checksum and once
/// for the block's: that takes less time than putting two checksums together.
const TWICE_BYTES_MAX: usize = 4 << 10;

/// A batch as data records.
pub(crate) struct EncodedBatch {
    /// The bytes, in pieces.
    pub(crate) parts: Vec<Bytes>,
    /// How many bytes.
    pub(crate) bytes: u64,
    /// How many records.
    pub(crate) records: u64,
    /// CRC-32 over the bytes.
    pub(crate) crc: Checksum,
}

/// Bytes of a batch as data records.
pub(crate) fn encoded_len(batch: &[Record]) -> u64 {
    batch.iter().map(|record| (ENVELOPE_BYTES + entry::encoded_len(record)) as u64).sum()
}

/// Encodes a batch of `encoded_len` bytes.
pub(crate) fn encode(batch: Vec<Record>, bytes: u64) -> EncodedBatch {
    let by_reference = |record: &&Record| record.payload.len() > COPY_BYTES_MAX;
    let referenced: usize = batch.iter().filter(by_reference).map(|record| record.payload.len()).sum();
    let mut scratch = BytesMut::with_capacity(bytes as usize - referenced);
    let mut encoded =
        EncodedBatch { parts: Vec::new(), bytes, records: batch.len() as u64, crc: Checksum::new() };
    for record in batch {
        let length = entry::encoded_len(&record) as u32;
        let start = scratch.len();
        scratch.put_u32_le(0);
        scratch.put_u8(RecordKind::Data as u8);
        scratch.put_u32_le(length);
        entry::encode_head(&record, &mut scratch);
        if record.payload.len() <= COPY_BYTES_MAX {
            scratch.put_slice(&record.payload);
            entry::encode_tail(&record, &mut scratch);
            let crc = Checksum::of(&scratch[start + 4..]);
            scratch[start..start + 4].copy_from_slice(&crc.value().to_le_bytes());
            if scratch.len() - start <= TWICE_BYTES_MAX {
                encoded.crc.update(&scratch[start..]);
            } else {
                encoded.crc.update(&scratch[start..start + 4]);
                encoded.crc.combine(&crc);
            }
            continue;
        }
        let tail = scratch.len();
        entry::encode_tail(&record, &mut scratch);
        let mut record_crc = Checksum::of(&scratch[start + 4..tail]);
        record_crc.update(&record.payload);
        record_crc.update(&scratch[tail..]);
        scratch[start..start + 4].copy_from_slice(&record_crc.value().to_le_bytes());
        encoded.crc.update(&scratch[start..start + 4]);
        encoded.crc.combine(&record_crc);
        encoded.parts.push(scratch.split_to(tail).freeze());
        encoded.parts.push(record.payload);
    }
    if !scratch.is_empty() {
        encoded.parts.push(scratch.freeze());
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::woodpecker::checksum::passes;
    use crate::woodpecker::codec::open_record;

    #[test]
    fn large_and_small_payloads_make_the_same_layout() {
        let large = Bytes::from(vec![7_u8; COPY_BYTES_MAX + 1]);
        let properties = vec![("key".to_owned(), "value".to_owned())];
        let batch = vec![
            Record::new("a", properties.clone()),
            Record::new(large.clone(), properties.clone()),
            Record::new(large.clone(), Vec::new()),
            Record::new("bc", Vec::new()),
        ];
        let bytes = encoded_len(&batch);
        let encoded = encode(batch.clone(), bytes);
        assert!(encoded.parts.iter().any(|part| part.as_ptr() == large.as_ptr()), "it is not copied");
        let mut whole = encoded.parts.concat();
        assert_eq!((whole.len() as u64, encoded.records), (bytes, 4));
        assert_eq!(encoded.crc.value(), crc32fast::hash(&whole));
        for record in batch {
            let payload = open_record(&whole, RecordKind::Data).unwrap();
            assert_eq!(entry::decode(&Bytes::copy_from_slice(payload)).unwrap(), record);
            whole.drain(..ENVELOPE_BYTES + entry::encoded_len(&record));
        }
        assert!(whole.is_empty());
    }

    #[test]
    fn a_checksum_is_made_in_one_pass() {
        let passes_over = |payload: usize| {
            let batch = vec![Record::new(vec![7; payload], Vec::new()); 3];
            let bytes = encoded_len(&batch);
            passes::take();
            let encoded = encode(batch, bytes);
            assert_eq!(encoded.crc.value(), crc32fast::hash(&encoded.parts.concat()));
            passes::take() as f64 / bytes as f64
        };
        for payload in [TWICE_BYTES_MAX, COPY_BYTES_MAX, COPY_BYTES_MAX + 1, 1 << 20] {
            assert_eq!(passes_over(payload), 1.0, "a payload of {payload} bytes");
        }
        assert!(passes_over(100) < 2.0, "a small one in two");
    }

    #[test]
    fn the_data_records_have_their_golden_length() {
        let record = Record::new("a", Vec::new());
        assert_eq!(encoded_len(&[record]), 9 + 3);
    }
}
