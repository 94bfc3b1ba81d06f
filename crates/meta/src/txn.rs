//! Transactions: conditions and writes that hold at one revision, or not at all.

use bytes::Bytes;

use crate::entry::Revision;
use crate::lease::LeaseId;

/// What must hold for a transaction to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The key is not there.
    Absent(String),
    /// The key is there.
    Exists(String),
    /// The key is there and was last put by the commit of this revision.
    ModifiedAt(String, Revision),
    /// The key is there and holds exactly these bytes.
    ValueIs(String, Bytes),
}

impl Condition {
    /// The key that the condition speaks of.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Condition::Absent(key)
            | Condition::Exists(key)
            | Condition::ModifiedAt(key, _)
            | Condition::ValueIs(key, _) => key,
        }
    }
}

/// One change that a transaction asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key. Without a lease the key stays until it is deleted, also if it hung on a lease before.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: Bytes,
        /// The lease with which the key ends.
        lease: Option<LeaseId>,
    },
    /// Removes a key; nothing if it is not there.
    Delete(String),
    /// Removes every key that starts with this text. The empty text means every key.
    DeletePrefix(String),
}

/// Conditions and writes. Writes take effect in order: a later one sees the earlier ones.
///
/// ```
/// use cinclus_meta::{Condition, Revision, Txn};
///
/// let txn = Txn::new()
///     .require(Condition::ModifiedAt("channel/7".into(), Revision(12)))
///     .put("channel/7", "term 4")
///     .delete("channel/7/pending");
/// assert_eq!((txn.conditions.len(), txn.writes.len()), (1, 2));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// What is written if they do.
    pub writes: Vec<Write>,
}

impl Txn {
    /// A transaction that asks and changes nothing yet.
    #[must_use]
    pub fn new() -> Txn {
        Txn::default()
    }

    /// Adds a condition.
    #[must_use]
    pub fn require(mut self, condition: Condition) -> Txn {
        self.conditions.push(condition);
        self
    }

    /// Requires that `key` is not there.
    #[must_use]
    pub fn require_absent(self, key: impl Into<String>) -> Txn {
        self.require(Condition::Absent(key.into()))
    }

    /// Requires that `key` was last put by the commit of `revision`; with `None`, that it is not there.
    /// That is the form of "unchanged since I read it".
    #[must_use]
    pub fn require_unchanged(self, key: impl Into<String>, revision: Option<Revision>) -> Txn {
        let key = key.into();
        self.require(match revision {
            Some(revision) => Condition::ModifiedAt(key, revision),
            None => Condition::Absent(key),
        })
    }

    /// Sets `key` to `value`.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Txn {
        self.writes.push(Write::Put { key: key.into(), value: value.into(), lease: None });
        self
    }

    /// Sets `key` to `value` until `lease` ends.
    #[must_use]
    pub fn put_leased(mut self, key: impl Into<String>, value: impl Into<Bytes>, lease: LeaseId) -> Txn {
        self.writes.push(Write::Put { key: key.into(), value: value.into(), lease: Some(lease) });
        self
    }

    /// Removes `key`.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Txn {
        self.writes.push(Write::Delete(key.into()));
        self
    }

    /// Removes every key that starts with `prefix`.
    #[must_use]
    pub fn delete_prefix(mut self, prefix: impl Into<String>) -> Txn {
        self.writes.push(Write::DeletePrefix(prefix.into()));
        self
    }
}

/// How a transaction ended. Both outcomes are final and were judged against durable state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The conditions held and the writes are durable at this revision. A transaction that changes nothing
    /// (no writes, or only deletes of keys that are not there) makes no revision: it answers the newest.
    Committed(Revision),
    /// Nothing was written: the conditions with these indexes, in rising order, do not hold.
    Conflict(Vec<usize>),
}

impl CommitOutcome {
    /// The revision, if the transaction was committed.
    #[must_use]
    pub fn committed(&self) -> Option<Revision> {
        match self {
            CommitOutcome::Committed(revision) => Some(*revision),
            CommitOutcome::Conflict(_) => None,
        }
    }
}
