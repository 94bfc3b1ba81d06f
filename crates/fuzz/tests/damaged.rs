//! All targets over samples that are damaged in every way that comes to mind.

use bytes::Bytes;
use cinclus_fuzz::{block, body, checkpoint, enveloped, filter, message, metadata};
use cinclus_log_storage::Record;
use cinclus_log_storage::woodpecker::codec::{BlockHeader, FORMAT_VERSION, FileHeader, Footer};
use cinclus_log_storage::woodpecker::entry;
use cinclus_log_storage::woodpecker::metadata_values::{LogMeta, SegmentMetadata};
use cinclus_types::message::{Draft, LastConfirmed, Placement};
use cinclus_types::{Term, Tick};
use proptest::prelude::*;
use prost::Message;

/// A way to damage bytes.
#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Double(usize, usize),
    /// A number that is often wrong at the edges, in four or eight bytes.
    Number(usize, i64, bool),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || 0..4096_usize;
    let numbers = vec![0, 1, -1, i64::MIN, i64::MAX, i64::from(u32::MAX), i64::from(i32::MAX), 1 << 40];
    prop_oneof![
        4 => (at(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        1 => at().prop_map(Damage::Cut),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (at(), 1..16_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (at(), 1..64_usize).prop_map(|(at, count)| Damage::Double(at, count)),
        2 => (at(), proptest::sample::select(numbers), any::<bool>())
            .prop_map(|(at, number, wide)| Damage::Number(at, number, wide)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let count = bytes.len();
        let place = |at: &usize| at % (count + 1);
        match damage {
            Damage::Flip(at, bits) if count > 0 => bytes[at % count] ^= bits,
            Damage::Flip(..) => {}
            Damage::Cut(at) => bytes.truncate(place(at)),
            Damage::Insert(at, more) => drop(bytes.splice(place(at)..place(at), more.iter().copied())),
            Damage::Remove(at, less) => drop(bytes.drain(place(at)..(place(at) + less).min(count))),
            Damage::Double(at, part) => {
                let part = bytes[place(at)..(place(at) + part).min(count)].to_vec();
                drop(bytes.splice(place(at)..place(at), part));
            }
            Damage::Number(at, number, wide) => {
                let number = number.to_le_bytes();
                for (offset, byte) in number[..if *wide { 8 } else { 4 }].iter().enumerate() {
                    if let Some(place) = bytes.get_mut(place(at) + offset) {
                        *place = *byte;
                    }
                }
            }
        }
    }
    bytes
}

/// Whole records, and the payloads of data records behind their kind.
fn blocks() -> Vec<Vec<u8>> {
    let properties = [("_t", "2"), ("_v", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let record = Record::new(&b"payload"[..], properties.to_vec());
    let mut data = Vec::new();
    entry::encode_head(&record, &mut data);
    data.extend_from_slice(&record.payload);
    entry::encode_tail(&record, &mut data);
    assert_eq!(entry::decode(&Bytes::from(data.clone())).ok(), Some(record), "the sample is whole");
    let (mut header, mut head, mut footer) = (Vec::new(), Vec::new(), Vec::new());
    FileHeader::LOCAL.encode(&mut header);
    BlockHeader { number: 1, first_entry: 2, last_entry: 3, length: 40, crc: 5 }.encode(&mut head);
    let sample = Footer {
        blocks: 1,
        records: 1,
        size: 100,
        index_start: 50,
        index_length: 20,
        version: FORMAT_VERSION,
        flags: 0,
        last_confirmed: 7,
    };
    sample.encode(&mut footer);
    let inside = [1_u8, 3, 4].map(|kind| [&[kind - 1][..], &footer[9..]].concat());
    let mut all = vec![enveloped(2, &data), header, head, footer, [&[1_u8][..], &data].concat()];
    all.extend(inside);
    all
}

fn values() -> Vec<Vec<u8>> {
    vec![
        LogMeta { log_id: 3, truncated_segment_id: -1, truncated_entry_id: -1, ..LogMeta::default() }
            .encode_to_vec(),
        SegmentMetadata { last_entry_id: -1, ..SegmentMetadata::default() }.encode_to_vec(),
    ]
}

fn messages() -> Vec<Vec<u8>> {
    let placed = Draft::time_tick(Bytes::from_static(b"tick"))
        .stamp(Tick(450_000_000_000_000_123), Term(7), LastConfirmed::Own)
        .place(Placement::Nowhere);
    let encoded = placed.encode();
    let lines: Vec<String> = encoded.properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
    vec![format!("{}\n\ntick", lines.join("\n")).into_bytes()]
}

const STATE: &str = concat!(
    r#"{"version":1,"state":{"shards":{"log_0_7v0":{"collection":7,"created":1,"schema_version":0,"#,
    r#""partitions":{"8":[9]}}},"growing":{"9":{"collection":7,"partition":8,"vchannel":"log_0_7v0","#,
    r#""created":2,"last_write":2,"rows":0,"bytes":0,"rows_max":100,"bytes_max":1000}},"seals":{},"#,
    r#""dedup":{"requests":[],"broadcasts":[]}}}"#,
);

const FILTERS: &[&str] = &[
    r#"id in [1, 2, 3] and not (s like "a%" or j["k"][0] == 1.5e3)"#,
    "1 < n <= 10 && f ** 2 > {t} || exists j['x']",
    r#"array_contains(j["a"], "x\u00e9\"") and d % 3 == 1 and b == true and v is not null"#,
];

fn bodies() -> Vec<Vec<u8>> {
    let mut all = blocks();
    all.extend(values());
    all
}

fn check(samples: Vec<Vec<u8>>, target: fn(&[u8])) {
    samples.iter().for_each(|sample| target(sample));
    let cases = ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() };
    let strategy = (proptest::sample::select(samples), prop::collection::vec(damage(), 1..5));
    let mut runner = proptest::test_runner::TestRunner::new(cases);
    let ran = runner.run(&strategy, |(sample, damages)| {
        target(&damaged(sample, &damages));
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn damaged_blocks_are_read_or_refused() {
    check(blocks(), block);
}

#[test]
fn damaged_metadata_is_read_or_refused() {
    check(values(), metadata);
}

#[test]
fn damaged_messages_are_read_or_refused() {
    check(messages(), message);
}

#[test]
fn damaged_bodies_are_read_or_refused() {
    check(bodies(), body);
}

#[test]
fn damaged_checkpoints_are_read_or_refused() {
    checkpoint(STATE.as_bytes());
    check(vec![STATE.as_bytes().to_vec()], checkpoint);
}

#[test]
fn damaged_filters_are_read_or_refused() {
    check(FILTERS.iter().map(|text| text.as_bytes().to_vec()).collect(), filter);
}
