//! The layout of `meta.redb`. Beside it lie `meta.lock`, locked by the process that has the file open, and, for
//! a moment when the file is made, `meta.fresh`, which becomes `meta.redb`.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `cinclus` | `format` | the version of this layout, now 1 |
//! | | `revision` | the newest revision |
//! | `entries` | key | created (u64 LE), modified (u64 LE), value |
//! | `leased` | key of an entry that hangs on a lease | the lease |

use bytes::Bytes;
use redb::TableDefinition;

use crate::entry::{Entry, Revision};

/// The name of the file in the data directory.
pub(super) const FILE_NAME: &str = "meta.redb";

/// The name of the file that is locked while the store is open.
pub(super) const LOCK_NAME: &str = "meta.lock";

/// The extension of the file while it is made.
pub(super) const FRESH_EXTENSION: &str = "fresh";

/// The newest layout that this version reads, and the one it writes.
pub(super) const FORMAT: u64 = 1;

/// What the file says of itself.
pub(super) const HEAD: TableDefinition<&str, u64> = TableDefinition::new("cinclus");
/// Key of [`HEAD`].
pub(super) const HEAD_FORMAT: &str = "format";
/// Key of [`HEAD`].
pub(super) const HEAD_REVISION: &str = "revision";

/// Every entry.
pub(super) const ENTRIES: TableDefinition<&str, &[u8]> = TableDefinition::new("entries");

/// The entries that end with a lease: found again after a restart, which ends every lease.
pub(super) const LEASED: TableDefinition<&str, u64> = TableDefinition::new("leased");

const REVISIONS: usize = 16;

/// The record of an entry.
pub(super) fn encode(entry: &Entry) -> Vec<u8> {
    let mut record = Vec::with_capacity(REVISIONS + entry.value.len());
    record.extend_from_slice(&entry.created.0.to_le_bytes());
    record.extend_from_slice(&entry.modified.0.to_le_bytes());
    record.extend_from_slice(&entry.value);
    record
}

/// The entry of a record, or `None` if it is too short for one.
pub(super) fn decode(key: &str, record: &[u8]) -> Option<Entry> {
    let (revisions, value) = record.split_at_checked(REVISIONS)?;
    let (created, modified) = revisions.split_at(8);
    Some(Entry {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value),
        created: Revision(u64::from_le_bytes(created.try_into().ok()?)),
        modified: Revision(u64::from_le_bytes(modified.try_into().ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_golden_bytes() {
        let entry = Entry {
            key: "channel/7".into(),
            value: Bytes::from_static(b"term 4"),
            created: Revision(2),
            modified: Revision(0x0102),
        };
        let golden = b"\x02\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0term 4";
        assert_eq!(encode(&entry), golden);
        assert_eq!(decode("channel/7", golden), Some(entry));
        assert_eq!(decode("channel/7", &golden[..15]), None);
    }
}
