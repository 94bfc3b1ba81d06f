//! Golden bytes: the entries "a" and "bc" in one block, computed by an independent script.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| byte.is_ascii_hexdigit()).collect();
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

const HEADER: &str = "5ade30bb 01 10000000 0600 0000 0000000000000000 48445201";
const BLOCK: &str = "a35fc394 05 1c000000 00000000 0000000000000000 0100000000000000 15000000 beeb1509";
const DATA: &str = "d678dffb 02 01000000 61 9b564bc4 02 02000000 6263";
const INDEX: &str =
    "561d8311 03 20000000 00000000 1900000000000000 3a000000 0000000000000000 0100000000000000";
const FOOTER: &str = "563a49ab 04 2c000000 01000000 01000000 7c00000000000000 5300000000000000 \
                      29000000 0600 0000 46545201 0100000000000000";

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

#[test]
fn every_record_has_its_golden_bytes() {
    assert_eq!(encoded(|out| FileHeader::LOCAL.encode(out)), hex(HEADER));
    let data = encoded(|out| {
        put_record(out, RecordKind::Data, |out| out.put_slice(b"a"));
        put_record(out, RecordKind::Data, |out| out.put_slice(b"bc"));
    });
    assert_eq!(data, hex(DATA));
    let block = BlockHeader {
        number: 0,
        first_entry: 0,
        last_entry: 1,
        length: data.len() as u32,
        crc: crc32fast::hash(&data),
    };
    assert_eq!(encoded(|out| block.encode(out)), hex(BLOCK));
    assert_eq!(BlockHeader::decode(&hex(BLOCK)).unwrap(), block);
    let index = IndexRecord { number: 0, start: 25, size: 58, first_entry: 0, last_entry: 1 };
    assert_eq!(encoded(|out| index.encode(out)), hex(INDEX));
    assert_eq!(IndexRecord::decode(&hex(INDEX)).unwrap(), index);
    let footer = Footer {
        blocks: 1,
        records: 1,
        size: 124,
        index_start: 83,
        index_length: 41,
        version: 6,
        flags: 0,
        last_confirmed: 1,
    };
    assert_eq!(encoded(|out| footer.encode(out)), hex(FOOTER));
    assert_eq!(Footer::decode_at_end(&hex(FOOTER)).unwrap(), (footer, FOOTER_BYTES));
    assert_eq!(FileHeader::decode(&hex(HEADER)).unwrap(), FileHeader::LOCAL);
}

#[test]
fn version_5_is_read_and_newer_versions_are_refused_by_name() {
    let footer = Footer {
        blocks: 3,
        records: 3,
        size: 400,
        index_start: 277,
        index_length: 123,
        version: 5,
        flags: 1,
        last_confirmed: -1,
    };
    let mut bytes = hex(INDEX);
    footer.encode(&mut bytes);
    assert_eq!(bytes.len(), INDEX_BYTES + FOOTER_V5_BYTES);
    assert_eq!(Footer::decode_at_end(&bytes).unwrap(), (footer, FOOTER_V5_BYTES));

    let newer = encoded(|out| FileHeader { version: 7, ..FileHeader::LOCAL }.encode(out));
    assert_eq!(FileHeader::decode(&newer), Err(CodecError::Version(7)));
}

#[test]
fn no_changed_bit_passes_for_a_record() {
    for golden in [HEADER, BLOCK, INDEX, FOOTER] {
        let whole = hex(golden);
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&bad).is_err() && BlockHeader::decode(&bad).is_err());
            assert!(IndexRecord::decode(&bad).is_err() && Footer::decode_at_end(&bad).is_err());
        }
        for end in 0..whole.len() {
            let cut = &whole[..end];
            assert!(FileHeader::decode(cut).is_err() && BlockHeader::decode(cut).is_err());
            assert!(IndexRecord::decode(cut).is_err() && Footer::decode_at_end(cut).is_err());
        }
    }
}

#[test]
fn a_block_knows_its_place() {
    let block = BlockHeader::decode(&hex(BLOCK)).unwrap();
    assert_eq!(block.check_place(0, 0), Ok(()));
    assert!(block.check_place(1, 0).is_err() && block.check_place(0, 7).is_err());
}
