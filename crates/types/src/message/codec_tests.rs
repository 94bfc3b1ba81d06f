//! The stored form, byte for byte, and back.

use bytes::Bytes;
use proptest::prelude::*;

use super::codec::{CodecError, Encoded, keys, message_id_from_text, message_id_text};
use super::samples::{one_of_each_kind, shard};
use super::{Draft, Header, Kind, LastConfirmed, Placement, TxnContext};
use crate::{
    CollectionId, DatabaseId, FieldId, IndexId, MessageId, PartitionId, SegmentId, Term, Tick, TxnId,
};

const GOLDEN: &str = include_str!("golden.txt");
const OWN: MessageId = MessageId((3 << 56) | 50);

fn golden_line(kind: Kind) -> &'static str {
    let of_kind = |line: &&str| line.split('\t').next() == Some(&kind.to_string());
    GOLDEN.lines().find(of_kind).unwrap_or_else(|| panic!("golden.txt has no {kind}"))
}

fn line(kind: Kind, encoded: &Encoded) -> String {
    let mut line = kind.to_string();
    for (key, value) in encoded.properties.iter() {
        line += &format!("\t{key}={value}");
    }
    line.push('\t');
    encoded.payload.iter().fold(line, |line, byte| line + &format!("{byte:02x}"))
}

fn read(line: &str) -> Encoded {
    let mut parts: Vec<&str> = line.split('\t').skip(1).collect();
    let hex = parts.pop().unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let payload: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    };
    Encoded::new(Bytes::from(payload), parts.into_iter().map(pair))
}

#[test]
fn each_kind_is_written_as_googles_library_writes_it() {
    for placed in one_of_each_kind() {
        let kind = placed.draft().kind();
        assert_eq!(line(kind, &placed.encode()), golden_line(kind));
    }
}

#[test]
fn each_kind_is_read_back_from_the_golden_bytes() {
    let all = one_of_each_kind();
    for placed in &all {
        let stored = read(golden_line(placed.draft().kind())).into_stored(OWN).unwrap();
        assert_eq!(stored, placed.clone().stored(OWN));
        assert_eq!(stored.encode(), placed.encode());
    }
    let mut kinds: Vec<Kind> = all.iter().map(|placed| placed.draft().kind()).collect();
    kinds.sort_unstable();
    let stored_kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Txn).collect();
    assert_eq!(kinds, stored_kinds);
}

#[test]
fn drafts_travel_without_tick_and_term() {
    for placed in one_of_each_kind() {
        let encoded = placed.draft().encode();
        assert!(encoded.property(keys::TICK).is_none() && encoded.property(keys::LAST_CONFIRMED).is_none());
        assert_eq!(encoded.into_draft().unwrap(), *placed.draft());
    }
}

#[test]
fn a_message_id_has_woodpeckers_form() {
    // Fields 1 and 2, varints, base64 with padding.
    assert_eq!(message_id_text(MessageId::from_parts(0, 3, 42)), "CAMQKg==");
    assert_eq!(message_id_text(MessageId::from_parts(9, 0, 300)), "EKwC");
    assert_eq!(message_id_from_text("CAMQKg==", 2).unwrap(), MessageId::from_parts(2, 3, 42));
    for wrong in ["CAMQKg", "????", "CAM", "CP///////////wE="] {
        let error = message_id_from_text(wrong, 0).unwrap_err();
        assert!(matches!(error, CodecError::Malformed { .. }), "{wrong}: {error}");
    }
}

/// Changes one property of a good insert, or takes it out, and says what reading it gives.
fn error_with(key: &str, value: Option<&str>) -> String {
    let good = read(golden_line(Kind::Insert));
    let others = good.properties.iter().filter(|(name, _)| *name != key);
    let properties = others.chain(value.map(|value| (key, value))).collect();
    let encoded = Encoded { payload: good.payload, properties };
    encoded.into_stored(OWN).unwrap_err().to_string()
}

#[test]
fn an_error_names_the_property_and_what_was_expected() {
    for key in ["_t", "_v", "_h", "_tt", "_wt", "_vc", "_lc"] {
        assert_eq!(error_with(key, None), format!("the message has no property {key}"));
    }
    let cases = [
        ("_t", "two", r#"the property _t must be a number, not "two""#),
        ("_t", "11", "the property _t has 11, which is no kind of message that is stored here"),
        ("_t", "999", "the property _v of a Txn must be 2, not \"1\""),
        ("_v", "2", r#"the property _v of a Insert must be 1, not "2""#),
        ("_h", "CGQ", r#"the property _h must be base64 with padding, not "CGQ""#),
        (
            "_h",
            "CGQ=",
            "the property _h is no header of a Insert: an insert for 0 partitions; one was expected",
        ),
        ("_tt", "z!", r#"the property _tt must be a tick in base 36, not "z!""#),
        ("_wt", "", r#"the property _wt must be a term in base 36, not """#),
        ("_lc", "AA==", r#"the property _lc must be a LogMessageIdData in base64, not "AA==""#),
        ("_tx", "*", r#"the property _tx must be base64 with padding, not "*""#),
        (
            "_bh",
            "GgIIAQ==",
            r#"the property _bh must be a broadcast with known resource domains, not "GgIIAQ==""#,
        ),
        ("_ch", "", "the property _ch is there: encrypted messages are not read"),
    ];
    for (key, value, expected) in cases {
        assert_eq!(error_with(key, Some(value)), expected);
    }
}

#[test]
fn the_container_of_a_transaction_is_never_read() {
    let properties = [("_t", "999"), ("_v", "2"), ("_h", ""), ("_vc", "a_0_1v0")];
    let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let error = Encoded::new(Bytes::new(), properties).into_draft().unwrap_err();
    assert!(matches!(error, CodecError::UnknownKind { number: 999 }));
}

fn ids<T: std::fmt::Debug>(id: impl Fn(i64) -> T) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(any::<i64>(), 0..4).prop_map(move |ids| ids.into_iter().map(&id).collect())
}

fn headers() -> impl Strategy<Value = Header> {
    let numbers = (any::<i64>(), any::<i64>(), any::<i64>(), any::<u64>(), any::<u64>(), any::<i32>());
    let lists = (ids(SegmentId), ids(PartitionId), ids(FieldId), ids(IndexId), "[a-zé_]{0,9}", 0..20_u8);
    (numbers, lists).prop_map(
        |((a, b, c, d, e, f), (segments, partitions, load_fields, indexes, text, pick))| {
            let (collection, partition, database) = (CollectionId(a), PartitionId(b), DatabaseId(c));
            let segment = SegmentId(c);
            match pick {
                0 => Header::Insert {
                    collection,
                    partition,
                    rows: d,
                    binary_size: e,
                    segment: segments.first().copied(),
                    schema_version: f,
                },
                1 => Header::Delete { collection, rows: d },
                2 => Header::CreateSegment {
                    collection,
                    partition,
                    segment,
                    storage_version: c,
                    segment_bytes_max: d,
                    rows_max: e,
                    schema_version: f,
                },
                3 => Header::ManualFlush { collection, flush_tick: Tick(d), segments },
                4 => Header::CreateCollection { collection, partitions, database },
                5 => Header::AlterCollection { database, collection, update_mask: vec![text], segments },
                6 => Header::AlterLoadConfig {
                    database,
                    collection,
                    partitions,
                    load_fields,
                    replicas: f & 15,
                },
                7 => Header::DropIndex { collection, indexes },
                8 => Header::TruncateCollection { database, collection, segments },
                9 => Header::DropAlias { database, database_name: text.clone(), alias: text },
                _ => Header::BeginTxn { keepalive: std::time::Duration::from_millis(d >> 1) },
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_stored_is_read(
        header in headers(),
        (tick, term, segment, entry) in (any::<u64>(), any::<i64>(), 0..1_u64 << 56, 0..1_u64 << 56),
        payload in prop::collection::vec(any::<u8>(), 0..40),
        (txn, own, key) in (any::<Option<i64>>(), any::<bool>(), prop::option::of("[ -~]{0,12}")),
    ) {
        let kind = header.kind();
        let mut closed = header.clone();
        let placement = match closed.closed_segments_mut() {
            Some(segments) => Placement::Closes(std::mem::take(segments)),
            None if kind == Kind::Insert => Placement::Into(SegmentId(5)),
            None => Placement::Nowhere,
        };
        let mut draft = Draft::new(shard(), header, Bytes::from(payload));
        draft.txn = txn.map(|txn| TxnContext { txn: TxnId(txn), keepalive: std::time::Duration::from_millis(3) });
        draft.idempotency_key = key;
        let id = MessageId::from_parts(4, segment, entry);
        let last = if own { LastConfirmed::Own } else { LastConfirmed::Id(id) };
        let placed = draft.stamp(Tick(tick), Term(term), last).place(placement);
        let encoded = placed.encode();
        prop_assert!(encoded.properties.iter().is_sorted());
        prop_assert_eq!(encoded.into_stored(id).unwrap(), placed.stored(id));
    }

    #[test]
    fn foreign_bytes_are_refused_and_never_panic(
        properties in prop::collection::vec(("_(v|t|h|tt|wt|vc|lc|tx|bh)", "[0-9A-Za-z+/=]{0,12}"), 0..12),
    ) {
        let encoded = Encoded::new(Bytes::new(), properties);
        let _ = encoded.into_stored(OWN);
    }
}
