//! The layout under the prefix of a store. Numbers in names have 20 digits, so that names sort as they do.
//!
//! | object | what |
//! | --- | --- |
//! | `epochs/<epoch>` | an owner took this epoch |
//! | `commits/<number>` | the commits of one group; numbers ascend by one from 1 |
//! | `snapshots/<number>` | all entries after the commit object of this number |
//! | `probe/<random>` | tried at opening, and removed |
//!
//! Every object is `magic, format (u32), kind (u8), epoch (u64)`, its body, and the CRC-32 of all before.
//! Numbers are little endian; a text or value is its length (u32) and its bytes.
//!
//! | kind | body |
//! | --- | --- |
//! | 0, epoch | a random number (u64), so that no two objects of one name are alike |
//! | 1, commits | number, whether it is a barrier (u8), count (u32), the commits |
//! | 2, snapshot | number, revision, barriers as count (u32) and numbers, count (u64), entries as fates |
//!
//! A commit is `revision, count (u32)`, its fates; a fate is `0, key` for a delete and `1 or 2, key, created,
//! modified, value` for a put, where 2 hangs on a lease, whose id (u64) follows.

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes};

use crate::contents::Contents;
use crate::entry::{Entry, Revision};
use crate::lease::LeaseId;
use crate::plan::{Fate, Fates};

const MAGIC: &[u8; 4] = b"CNCM";

/// The newest layout that this version reads, and the one it writes.
pub(super) const FORMAT: u32 = 1;

const CRC_BYTES: usize = 4;

/// What one object holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Epoch { random: u64 },
    Commits(Commits),
    Snapshot(Snapshot),
}

/// A group of commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commits {
    pub(super) number: u64,
    pub(super) barrier: bool,
    pub(super) commits: Vec<(Revision, Fates)>,
}

/// The state after a commit object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) number: u64,
    pub(super) revision: Revision,
    pub(super) barriers: BTreeSet<u64>,
    pub(super) fates: Fates,
}

/// Why an object cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Newer(u32),
    Damaged(&'static str),
}

pub(super) fn encode_epoch(epoch: u64, random: u64) -> Bytes {
    let mut out = head(0, epoch);
    out.put_u64_le(random);
    seal(out)
}

pub(super) fn encode_commits(epoch: u64, group: &Commits) -> Bytes {
    let mut out = head(1, epoch);
    out.put_u64_le(group.number);
    out.put_u8(u8::from(group.barrier));
    out.put_u32_le(group.commits.len() as u32);
    for (revision, fates) in &group.commits {
        out.put_u64_le(revision.0);
        out.put_u32_le(fates.len() as u32);
        for (key, fate) in fates {
            put_fate(&mut out, key, fate);
        }
    }
    seal(out)
}

/// `leases`: which keys hang on a lease.
pub(super) fn encode_snapshot(
    epoch: u64,
    (number, barriers): (u64, &BTreeSet<u64>),
    contents: &Contents,
    lease_of: impl Fn(&str) -> Option<LeaseId>,
) -> Bytes {
    let mut out = head(2, epoch);
    out.put_u64_le(number);
    out.put_u64_le(contents.revision.0);
    out.put_u32_le(barriers.len() as u32);
    barriers.iter().for_each(|barrier| out.put_u64_le(*barrier));
    out.put_u64_le(contents.entries.len() as u64);
    for (key, entry) in &contents.entries {
        put_fate(&mut out, key, &Fate::Put(entry.clone(), lease_of(key)));
    }
    seal(out)
}

fn head(kind: u8, epoch: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.put_u32_le(FORMAT);
    out.put_u8(kind);
    out.put_u64_le(epoch);
    out
}

fn seal(mut out: Vec<u8>) -> Bytes {
    let crc = crc32fast::hash(&out);
    out.put_u32_le(crc);
    out.into()
}

fn put_fate(out: &mut Vec<u8>, key: &str, fate: &Fate) {
    let (kind, lease) = match fate {
        Fate::Delete => (0, None),
        Fate::Put(_, None) => (1, None),
        Fate::Put(_, lease) => (2, *lease),
    };
    out.put_u8(kind);
    put_bytes(out, key.as_bytes());
    if let Fate::Put(entry, _) = fate {
        out.put_u64_le(entry.created.0);
        out.put_u64_le(entry.modified.0);
        put_bytes(out, &entry.value);
    }
    if let Some(lease) = lease {
        out.put_u64_le(lease.0);
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

/// The epoch of whoever wrote an object, and its body.
pub(super) fn decode(object: &Bytes) -> Result<(u64, Body), Unreadable> {
    let short = Unreadable::Damaged("it is too short");
    let Some(end) = object.len().checked_sub(CRC_BYTES) else { return Err(short) };
    let (mut body, mut crc) = (object.slice(..end), object.slice(end..));
    if !body.starts_with(MAGIC) {
        return Err(Unreadable::Damaged("it does not begin as an object of this store does"));
    }
    body.advance(MAGIC.len());
    let format = body.try_get_u32_le().map_err(|_| Unreadable::Damaged("it is too short"))?;
    // Before the checksum: a newer layout may have another one.
    if format > FORMAT {
        return Err(Unreadable::Newer(format));
    }
    if crc.get_u32_le() != crc32fast::hash(&object[..end]) {
        return Err(Unreadable::Damaged("its checksum is wrong"));
    }
    read_body(&mut body).ok_or(Unreadable::Damaged("its fields do not fit its length"))
}

fn read_body(from: &mut Bytes) -> Option<(u64, Body)> {
    let kind = from.try_get_u8().ok()?;
    let epoch = from.try_get_u64_le().ok()?;
    let body = match kind {
        0 => Body::Epoch { random: from.try_get_u64_le().ok()? },
        1 => Body::Commits(read_commits(from)?),
        2 => Body::Snapshot(read_snapshot(from)?),
        _ => return None,
    };
    from.is_empty().then_some((epoch, body))
}

fn read_commits(from: &mut Bytes) -> Option<Commits> {
    let number = from.try_get_u64_le().ok()?;
    let barrier = from.try_get_u8().ok()? == 1;
    let mut commits = Vec::new();
    for _ in 0..from.try_get_u32_le().ok()? {
        let revision = Revision(from.try_get_u64_le().ok()?);
        let count = u64::from(from.try_get_u32_le().ok()?);
        commits.push((revision, read_fates(from, count)?));
    }
    Some(Commits { number, barrier, commits })
}

fn read_snapshot(from: &mut Bytes) -> Option<Snapshot> {
    let number = from.try_get_u64_le().ok()?;
    let revision = Revision(from.try_get_u64_le().ok()?);
    let mut barriers = BTreeSet::new();
    for _ in 0..from.try_get_u32_le().ok()? {
        barriers.insert(from.try_get_u64_le().ok()?);
    }
    let count = from.try_get_u64_le().ok()?;
    Some(Snapshot { number, revision, barriers, fates: read_fates(from, count)? })
}

fn read_fates(from: &mut Bytes, count: u64) -> Option<Fates> {
    let mut fates = Fates::new();
    for _ in 0..count {
        let kind = from.try_get_u8().ok()?;
        let key = String::from_utf8(read_bytes(from)?.to_vec()).ok()?;
        let fate = match kind {
            0 => Fate::Delete,
            1 | 2 => {
                let created = Revision(from.try_get_u64_le().ok()?);
                let modified = Revision(from.try_get_u64_le().ok()?);
                // A copy: the value must not keep the whole object in memory.
                let value = Bytes::copy_from_slice(&read_bytes(from)?);
                let lease = (kind == 2).then(|| from.try_get_u64_le().ok().map(LeaseId));
                let lease = match lease {
                    Some(found) => Some(found?),
                    None => None,
                };
                Fate::Put(Entry { key: key.clone(), value, created, modified }, lease)
            }
            _ => return None,
        };
        fates.insert(key, fate);
    }
    Some(fates)
}

fn read_bytes(from: &mut Bytes) -> Option<Bytes> {
    let len = from.try_get_u32_le().ok()? as usize;
    (len <= from.len()).then(|| from.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commits() -> Commits {
        let entry = |key: &str, value: &'static [u8]| Entry {
            key: key.into(),
            value: Bytes::from_static(value),
            created: Revision(1),
            modified: Revision(2),
        };
        let fates = Fates::from([
            ("a".to_owned(), Fate::Put(entry("a", b"1"), None)),
            ("b".to_owned(), Fate::Delete),
            ("c".to_owned(), Fate::Put(entry("c", b""), Some(LeaseId(9)))),
        ]);
        Commits { number: 3, barrier: true, commits: vec![(Revision(2), fates)] }
    }

    #[test]
    fn an_object_of_commits_has_golden_bytes() {
        let golden = b"CNCM\x01\0\0\0\x01\x07\0\0\0\0\0\0\0\
            \x03\0\0\0\0\0\0\0\x01\x01\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\
            \x01\x01\0\0\0a\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\x001\
            \0\x01\0\0\0b\
            \x02\x01\0\0\0c\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0";
        let object = encode_commits(7, &commits());
        assert_eq!(&object[..object.len() - CRC_BYTES], golden);
        assert_eq!(object[object.len() - CRC_BYTES..], crc32fast::hash(golden).to_le_bytes());
        assert_eq!(decode(&object), Ok((7, Body::Commits(commits()))));
    }

    #[test]
    fn a_snapshot_and_an_epoch_come_back() {
        let (revision, fates) = commits().commits.remove(0);
        let mut contents = Contents::default();
        contents.apply(revision, &fates);
        let lease = |key: &str| (key == "c").then_some(LeaseId(9));
        let barriers = BTreeSet::from([1, 3]);
        let object = encode_snapshot(7, (3, &barriers), &contents, lease);
        let fates = fates.into_iter().filter(|(_, fate)| *fate != Fate::Delete).collect();
        let expected = Snapshot { number: 3, revision, barriers, fates };
        assert_eq!(decode(&object), Ok((7, Body::Snapshot(expected))));
        assert_eq!(decode(&encode_epoch(5, 8)), Ok((5, Body::Epoch { random: 8 })));
    }

    #[test]
    fn every_damage_is_seen_and_a_newer_layout_is_named() {
        let object = encode_commits(7, &commits());
        for len in 0..object.len() {
            assert!(matches!(decode(&object.slice(..len)), Err(Unreadable::Damaged(_))), "cut at {len}");
        }
        for at in (0..object.len()).filter(|at| !(4..8).contains(at)) {
            let mut damaged = object.to_vec();
            damaged[at] ^= 0x10;
            assert!(matches!(decode(&damaged.into()), Err(Unreadable::Damaged(_))), "byte {at}");
        }
        let mut newer = object.to_vec();
        newer[4] = 2;
        assert_eq!(decode(&newer.into()), Err(Unreadable::Newer(2)));
    }
}
