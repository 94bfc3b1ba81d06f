//! What a store holds: keys with a value and the revisions that made them.

use std::fmt;

use bytes::Bytes;

/// A point in the history of a store. Zero is the empty store before its first commit; each commit that
/// changes something is one higher. Revisions never go back, also not over deletes (rule M1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of the next commit.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One key with what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key: any text but the empty one. Keys order by their bytes.
    pub key: String,
    /// The value; what it means is the caller's business.
    pub value: Bytes,
    /// The commit that made the key. A key that was deleted is made anew by a later commit that puts it; one
    /// that a single commit deletes and puts is changed in place.
    pub created: Revision,
    /// The last commit that put the key.
    pub modified: Revision,
}
