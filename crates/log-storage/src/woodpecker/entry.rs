//! What a data record holds: protobuf `LogMessageLayout { bytes payload = 1; map<string, string>
//! properties = 2; }`. Written by hand, so that a payload is never copied: it is passed on writing and
//! sliced on reading. Unknown fields are skipped.

use bytes::{BufMut, Bytes};
use cinclus_types::PropertyFields;
use prost::encoding::{WireType, decode_key, decode_varint, encode_varint, encoded_len_varint};

use super::codec::CodecError;
use crate::record::Record;

const PAYLOAD_TAG: u8 = 1 << 3 | 2;
const PROPERTIES: u8 = 2;

fn field_len(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

fn has_payload_field(record: &Record) -> bool {
    // An entry of no bytes at all would be refused by Woodpecker: an empty payload is then said aloud.
    !record.payload.is_empty() || record.properties.is_empty()
}

/// Bytes of the record's entry.
#[must_use]
pub fn encoded_len(record: &Record) -> usize {
    let payload = if has_payload_field(record) { field_len(record.payload.len()) } else { 0 };
    payload + record.properties.fields_len()
}

/// Appends what stands before the payload bytes.
pub fn encode_head(record: &Record, out: &mut impl BufMut) {
    if has_payload_field(record) {
        out.put_u8(PAYLOAD_TAG);
        encode_varint(record.payload.len() as u64, out);
    }
}

/// Appends what stands behind the payload bytes.
pub fn encode_tail(record: &Record, out: &mut impl BufMut) {
    record.properties.put_fields(PROPERTIES, out);
}

/// Reads an entry; payload and properties are slices of it.
///
/// # Errors
/// [`CodecError::Field`] if it is not a `LogMessageLayout`.
pub fn decode(entry: &Bytes) -> Result<Record, CodecError> {
    let (mut payload, mut properties) = (Bytes::new(), PropertyFields::numbered(PROPERTIES));
    let mut at: &[u8] = entry;
    while !at.is_empty() {
        let begin = entry.len() - at.len();
        let Some(field) = next_field(&mut at)? else { continue };
        match field.tag {
            1 => payload = entry.slice_ref(field.content),
            2 => properties.add(entry, begin..entry.len() - at.len(), field.content),
            _ => {}
        }
    }
    let properties = properties.of(entry).map_err(|error| wrong(&error.to_string()))?;
    Ok(Record { payload, properties })
}

struct Field<'a> {
    tag: u32,
    content: &'a [u8],
}

/// Takes the next field off `at`; `None` for one without length, which no field here is.
fn next_field<'a>(at: &mut &'a [u8]) -> Result<Option<Field<'a>>, CodecError> {
    let (tag, wire) = decode_key(at).map_err(|error| wrong(&error.to_string()))?;
    match wire {
        WireType::LengthDelimited => {
            let count = decode_varint(at).map_err(|error| wrong(&error.to_string()))?;
            Ok(Some(Field { tag, content: take(at, count)? }))
        }
        WireType::Varint => decode_varint(at).map(|_| None).map_err(|error| wrong(&error.to_string())),
        WireType::SixtyFourBit => take(at, 8).map(|_| None),
        WireType::ThirtyTwoBit => take(at, 4).map(|_| None),
        WireType::StartGroup | WireType::EndGroup => Err(wrong("a group where a field is expected")),
    }
}

fn take<'a>(at: &mut &'a [u8], count: u64) -> Result<&'a [u8], CodecError> {
    if count > at.len() as u64 {
        return Err(wrong("a field is longer than the entry"));
    }
    let (content, rest) = at.split_at(count as usize);
    *at = rest;
    Ok(content)
}

fn wrong(what: &str) -> CodecError {
    CodecError::Field(format!("not a log entry: {what}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cinclus_types::Properties;
    use prost::Message;

    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct LogMessageLayout {
        #[prost(bytes = "bytes", tag = "1")]
        payload: Bytes,
        #[prost(btree_map = "string, string", tag = "2")]
        properties: BTreeMap<String, String>,
    }

    fn encoded(record: &Record) -> Bytes {
        let mut out = Vec::new();
        encode_head(record, &mut out);
        out.extend_from_slice(&record.payload);
        encode_tail(record, &mut out);
        assert_eq!(out.len(), encoded_len(record));
        out.into()
    }

    #[test]
    fn the_bytes_are_those_of_the_protobuf_message() {
        let record = Record::new("xyz", vec![("b".into(), "2".into()), ("a".into(), String::new())]);
        let bytes = encoded(&record);
        let expected =
            [&b"\x0a\x03xyz"[..], b"\x12\x05\x0a\x01a\x12\x00", b"\x12\x06\x0a\x01b\x12\x012"].concat();
        assert_eq!(bytes, expected);
        let message = LogMessageLayout::decode(bytes.clone()).unwrap();
        assert_eq!(Properties::from_iter(message.properties), record.properties);
        assert_eq!(decode(&bytes).unwrap(), record);
        assert_eq!(encoded(&Record::default()), &b"\x0a\x00"[..]);
        let only_properties = Record::new("", vec![("k".into(), "v".into())]);
        assert_eq!(decode(&encoded(&only_properties)).unwrap(), only_properties);
    }

    #[test]
    fn a_map_in_any_order_and_unknown_fields_are_read() {
        let mut bytes = b"\x12\x06\x0a\x01z\x12\x011".to_vec();
        bytes.extend_from_slice(b"\x18\x07\x29\x01\x02\x03\x04\x05\x06\x07\x08\x35\x01\x02\x03\x04");
        bytes.extend_from_slice(b"\x12\x06\x0a\x01a\x12\x012\x12\x06\x0a\x01z\x12\x013\x0a\x01p");
        let record = decode(&bytes.into()).unwrap();
        assert_eq!(record, Record::new("p", vec![("a".into(), "2".into()), ("z".into(), "3".into())]));
        assert_eq!(record.property("z"), Some("3"));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            &b"\x0a\x05abc"[..],
            b"\x0b",
            b"\xff\xff\xff\xff\xff\xff",
            b"\x12\x03\x0a\x01\xff",
            b"\x12\x02\x0a\x05",
        ] {
            assert!(decode(&Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_record_reads_back(payload: Vec<u8>, properties: BTreeMap<String, String>) {
            let record = Record::new(payload, properties.into_iter().collect());
            proptest::prop_assert_eq!(decode(&encoded(&record)).unwrap(), record);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes.into());
        }
    }
}
