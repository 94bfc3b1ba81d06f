//! A group of transactions on its way into one object.

use std::collections::BTreeMap;

use crate::contents::Contents;
use crate::entry::{Entry, Revision};
use crate::error::MetaError;
use crate::plan::{self, Fate, Fates, Plan, State};
use crate::txn::{CommitOutcome, Txn};

/// What the transactions of a group make of the contents, before any of it is durable.
pub(super) struct Staged<'a> {
    contents: &'a Contents,
    changed: BTreeMap<String, Fate>,
    pub(super) commits: Vec<(Revision, Fates)>,
}

impl<'a> Staged<'a> {
    pub(super) fn new(contents: &'a Contents) -> Staged<'a> {
        Staged { contents, changed: BTreeMap::new(), commits: Vec::new() }
    }

    fn revision(&self) -> Revision {
        self.commits.last().map_or(self.contents.revision, |(revision, _)| *revision)
    }

    /// Judges the next transaction of the group after those before it.
    pub(super) fn judge(&mut self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        let next = self.revision().next();
        match plan::plan(txn, next, self)? {
            Plan::Conflict(failed) => Ok(CommitOutcome::Conflict(failed)),
            Plan::Write(fates) if fates.is_empty() => Ok(CommitOutcome::Committed(self.revision())),
            Plan::Write(fates) => {
                self.changed.extend(fates.iter().map(|(key, fate)| (key.clone(), fate.clone())));
                self.commits.push((next, fates));
                Ok(CommitOutcome::Committed(next))
            }
        }
    }
}

impl State for Staged<'_> {
    fn entry(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        match self.changed.get(key) {
            Some(Fate::Put(entry, _)) => Ok(Some(entry.clone())),
            Some(Fate::Delete) => Ok(None),
            None => self.contents.entry(key),
        }
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, MetaError> {
        let mut keys = self.contents.keys(prefix)?;
        keys.retain(|key| !self.changed.contains_key(key));
        let changed = self.changed.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        keys.extend(changed.filter(|(_, fate)| **fate != Fate::Delete).map(|(key, _)| key.clone()));
        Ok(keys)
    }
}
