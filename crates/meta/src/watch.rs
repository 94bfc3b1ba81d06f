//! Watches: the changes of a store as they are committed.

use async_trait::async_trait;

use crate::entry::{Entry, Revision};
use crate::error::WatchError;

/// What happened to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The key was put; this is what it holds now.
    Put(Entry),
    /// The key was removed: by a delete, or by the end of its lease.
    Delete {
        /// The key.
        key: String,
    },
}

/// One key's change in one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub revision: Revision,
    /// What happened.
    pub kind: ChangeKind,
}

impl Change {
    /// The key that changed.
    #[must_use]
    pub fn key(&self) -> &str {
        match &self.kind {
            ChangeKind::Put(entry) => &entry.key,
            ChangeKind::Delete { key } => key,
        }
    }

    /// The memory that the change takes, roughly, in bytes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Change>()
            + match &self.kind {
                ChangeKind::Put(entry) => entry.key.len() + entry.value.len(),
                ChangeKind::Delete { key } => key.len(),
            }
    }
}

/// Where a watch takes its changes from. Each backend has one.
#[async_trait]
pub trait ChangeSource: Send {
    /// As [`Watch::next`]. Must be safe to drop while it waits: nothing is lost then.
    async fn next(&mut self) -> Result<Vec<Change>, WatchError>;
}

/// The changes of a prefix, commit by commit (rule M3).
pub struct Watch {
    source: Box<dyn ChangeSource>,
}

impl Watch {
    /// A watch over `source`.
    #[must_use]
    pub fn new(source: impl ChangeSource + 'static) -> Watch {
        Watch { source: Box::new(source) }
    }

    /// Waits for the next commit that changed a watched key and gives its changes: at least one, all of one
    /// revision, in key order, one per key. May be dropped while it waits, and called again.
    ///
    /// # Errors
    /// After an error the watch is over.
    pub async fn next(&mut self) -> Result<Vec<Change>, WatchError> {
        self.source.next().await
    }
}
