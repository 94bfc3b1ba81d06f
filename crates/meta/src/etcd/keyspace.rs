//! Keys of ours in etcd, and back.

use std::str;

use bytes::Bytes;

use super::proto::KeyValue;
use crate::entry::{Entry, Revision};

/// The keys with one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keyspace {
    prefix: String,
}

/// From the first key to the one after the last, in etcd's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) from: Bytes,
    pub(super) end: Bytes,
}

impl Keyspace {
    pub(super) fn new(prefix: String) -> Keyspace {
        Keyspace { prefix }
    }

    pub(super) fn key(&self, key: &str) -> Bytes {
        [self.prefix.as_bytes(), key.as_bytes()].concat().into()
    }

    /// Every key that starts with `prefix`.
    pub(super) fn under(&self, prefix: &str) -> KeyRange {
        let from = self.key(prefix);
        if from.is_empty() {
            // A zero byte as begin and end means every key.
            return KeyRange { from: Bytes::from_static(&[0]), end: Bytes::from_static(&[0]) };
        }
        let mut end = from.to_vec();
        // Text has no byte 255, so the last one can be made larger.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        KeyRange { from, end: end.into() }
    }

    /// What etcd holds under one of our keys; `None` for a key that is not text, which is nobody's of us.
    pub(super) fn entry(&self, found: KeyValue) -> Option<Entry> {
        let key = self.own(&found.key)?.to_owned();
        Some(Entry {
            key,
            value: found.value,
            created: Revision(found.create_revision as u64),
            modified: Revision(found.mod_revision as u64),
        })
    }

    /// The key as we call it.
    pub(super) fn own<'a>(&self, key: &'a [u8]) -> Option<&'a str> {
        str::from_utf8(key.strip_prefix(self.prefix.as_bytes())?).ok()
    }
}

/// The next key after one.
pub(super) fn after(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_after_the_last_key_with_its_prefix() {
        let keys = Keyspace::new("by-dev/".into());
        let range = keys.under("a");
        assert_eq!((&range.from[..], &range.end[..]), (&b"by-dev/a"[..], &b"by-dev/b"[..]));
        let range = keys.under("\u{10ffff}");
        assert!(range.end > range.from && range.end[..] < b"by-dev/\xff"[..]);
        let range = keys.under("");
        assert_eq!((&range.from[..], &range.end[..]), (&b"by-dev/"[..], &b"by-dev0"[..]));
        let all = Keyspace::new(String::new()).under("");
        assert_eq!((&all.from[..], &all.end[..]), (&[0][..], &[0][..]));
    }

    #[test]
    fn only_text_under_the_prefix_is_ours() {
        let keys = Keyspace::new("p/".into());
        assert_eq!(keys.own(b"p/a"), Some("a"));
        assert_eq!((keys.own(b"q/a"), keys.own(b"p/\xff")), (None, None));
    }
}
