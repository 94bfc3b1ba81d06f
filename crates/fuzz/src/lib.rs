//! Every decoder of bytes from outside, under bytes that nobody meant.
//!
//! Each target is a function of some bytes. It asserts that they are read or refused, never a panic, and that
//! what was read is the same when it is written and read again. `tests/damaged.rs` runs all of them in CI over
//! damaged samples; `cargo +nightly fuzz run --fuzz-dir . --features libfuzzer TARGET` runs one under libFuzzer, for
//! as long as one likes.

use std::collections::BTreeMap;

use bytes::Bytes;
use cinclus_log_storage::woodpecker::codec::{
    BlockHeader, FileHeader, Footer, IndexRecord, RecordKind, open_record, peek_record,
};
use cinclus_log_storage::woodpecker::entry;
use cinclus_log_storage::woodpecker::metadata_values::{
    LogMeta, QuorumInfo, ReaderTempInfo, SegmentMetadata, Version,
};
use cinclus_types::message::Encoded;
use cinclus_types::message::body::{
    AlterCollectionBody, CreateCollectionBody, DatabaseBody, DeleteBody, DropCollectionBody, IndexBody,
    InsertBody, PartitionBody,
};
use cinclus_types::{CollectionSchema, DataType, FieldId, FieldSchema, MessageId, Value};
use cinclus_wal::recovery::snapshot;
use prost::Message;

/// Records of Woodpecker's files: headers, data, index, footer. Bytes are taken as they are, and once more as
/// the payload of an envelope that is right, so that what lies behind a checksum is reached.
pub fn block(data: &[u8]) {
    records(data);
    let Some((kind, payload)) = data.split_first() else { return };
    records(&enveloped(kind % 5 + 1, payload));
}

fn records(data: &[u8]) {
    if let Ok((Some(kind), _)) = peek_record(data)
        && let Ok(payload) = open_record(data, kind)
        && kind == RecordKind::Data
    {
        let _ = entry::decode(&Bytes::copy_from_slice(payload));
    }
    let mut written = Vec::new();
    if let Ok(header) = FileHeader::decode(data) {
        header.encode(&mut written);
        assert_eq!(FileHeader::decode(&written), Ok(header));
    }
    written.clear();
    if let Ok(header) = BlockHeader::decode(data) {
        header.encode(&mut written);
        assert_eq!(BlockHeader::decode(&written), Ok(header));
    }
    written.clear();
    if let Ok(record) = IndexRecord::decode(data) {
        record.encode(&mut written);
        assert_eq!(IndexRecord::decode(&written), Ok(record));
    }
    written.clear();
    if let Ok((footer, bytes)) = Footer::decode_at_end(data) {
        footer.encode(&mut written);
        assert_eq!(Footer::decode_at_end(&written), Ok((footer, bytes)));
    }
}

/// A record of this kind around these bytes.
#[must_use]
pub fn enveloped(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut checked = vec![kind];
    checked.extend((payload.len() as u32).to_le_bytes());
    checked.extend(payload);
    let mut record = crc32fast::hash(&checked).to_le_bytes().to_vec();
    record.extend(checked);
    record
}

/// Values of Woodpecker's metadata.
pub fn metadata(data: &[u8]) {
    fn value<V: Message + Default + PartialEq + std::fmt::Debug>(data: &[u8]) {
        let Ok(value) = V::decode(data) else { return };
        assert_eq!(V::decode(value.encode_to_vec().as_slice()).ok().as_ref(), Some(&value));
    }
    value::<Version>(data);
    value::<LogMeta>(data);
    value::<SegmentMetadata>(data);
    value::<QuorumInfo>(data);
    value::<ReaderTempInfo>(data);
}

/// Messages: lines of `key=value` are their properties, what follows an empty line is the body.
pub fn message(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let properties = head.lines().filter_map(|line| line.split_once('='));
    let properties: BTreeMap<String, String> =
        properties.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let encoded = Encoded::new(Bytes::copy_from_slice(body.as_bytes()), properties);
    let id = MessageId::from_parts(0, 1, 2);
    let _ = encoded.clone().into_stored(id);
}

/// Bodies of all messages, and entries of the log.
pub fn body(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let _ = entry::decode(&bytes);
    let _ = InsertBody::decode(&bytes, &schema());
    let _ = DeleteBody::decode(&bytes);
    let _ = CreateCollectionBody::decode(&bytes);
    let _ = DropCollectionBody::decode(&bytes);
    let _ = AlterCollectionBody::decode(&bytes, &["schema".to_owned(), "properties".to_owned()]);
    let _ = PartitionBody::decode(&bytes);
    let _ = DatabaseBody::decode(&bytes);
    let _ = IndexBody::decode_create(&bytes);
    let _ = IndexBody::decode_alter(&bytes);
}

/// The state of a log that its checkpoint holds.
pub fn checkpoint(data: &[u8]) {
    let Ok(state) = snapshot::decode(data) else { return };
    let again = snapshot::decode(&snapshot::encode(&state));
    assert_eq!(again.ok(), Some(state));
}

/// Filters.
pub fn filter(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let templates = BTreeMap::from([("t".to_owned(), Value::Int(7))]);
    if let Err(error) = cinclus_expr::parse(&text, &schema(), &templates) {
        assert!(error.line >= 1 && error.column >= 1, "{text:?}: {error}");
    }
}

/// Fields of many types.
#[must_use]
pub fn schema() -> CollectionSchema {
    let types = [
        ("id", DataType::Int64),
        ("b", DataType::Bool),
        ("n", DataType::Int32),
        ("f", DataType::Float),
        ("d", DataType::Double),
        ("s", DataType::VarChar),
        ("j", DataType::Json),
        ("v", DataType::FloatVector),
    ];
    let field = |(at, (name, data_type)): (usize, (&str, DataType))| {
        let field = FieldSchema::new(FieldId(100 + at as i64), name, data_type);
        if data_type == DataType::FloatVector {
            field.with_param("dim", 2)
        } else if data_type == DataType::VarChar {
            field.with_param("max_length", 64)
        } else if data_type == DataType::Int64 {
            field.as_primary_key()
        } else {
            field
        }
    };
    CollectionSchema {
        fields: types.into_iter().enumerate().map(field).collect(),
        ..CollectionSchema::default()
    }
}
