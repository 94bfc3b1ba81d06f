//! Judging a transaction: whether its conditions hold, and what it changes. Shared by the stores of this
//! process, so that they cannot differ.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::entry::{Entry, Revision};
use crate::error::MetaError;
use crate::lease::LeaseId;
use crate::txn::{Condition, Txn, Write};
use crate::watch::{Change, ChangeKind};

/// The state that a transaction is judged against.
pub(crate) trait State {
    fn entry(&self, key: &str) -> Result<Option<Entry>, MetaError>;
    fn keys(&self, prefix: &str) -> Result<Vec<String>, MetaError>;
}

/// What becomes of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Put(Entry, Option<LeaseId>),
    Delete,
}

/// The net effect of a transaction: each key once.
pub(crate) type Fates = BTreeMap<String, Fate>;

/// The judgement of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Write(Fates),
    Conflict(Vec<usize>),
}

/// What can be said of a transaction without looking at the state.
pub(crate) fn check(txn: &Txn) -> Result<(), MetaError> {
    let empty = |key: &str| key.is_empty();
    let bad_write = txn.writes.iter().any(|write| match write {
        Write::Put { key, .. } | Write::Delete(key) => empty(key),
        Write::DeletePrefix(_) => false,
    });
    if bad_write || txn.conditions.iter().any(|condition| empty(condition.key())) {
        return Err(MetaError::Invalid("a metadata key must not be empty".into()));
    }
    Ok(())
}

/// The leases that a transaction hangs keys on.
pub(crate) fn leases(txn: &Txn) -> impl Iterator<Item = LeaseId> {
    txn.writes.iter().filter_map(|write| match write {
        Write::Put { lease, .. } => *lease,
        Write::Delete(_) | Write::DeletePrefix(_) => None,
    })
}

/// Judges `txn` against `state`; its writes would be commit `revision`.
pub(crate) fn plan(txn: Txn, revision: Revision, state: &impl State) -> Result<Plan, MetaError> {
    let mut failed = Vec::new();
    for (index, condition) in txn.conditions.iter().enumerate() {
        if !holds(condition, state)? {
            failed.push(index);
        }
    }
    if !failed.is_empty() {
        return Ok(Plan::Conflict(failed));
    }
    let mut fates = Fates::new();
    for write in txn.writes {
        match write {
            Write::Put { key, value, lease } => put(&mut fates, (key, value, lease), revision, state)?,
            Write::Delete(key) => delete(&mut fates, key, state)?,
            Write::DeletePrefix(prefix) => {
                let planned = fates.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
                let mut doomed: Vec<String> = planned.map(|(key, _)| key.clone()).collect();
                doomed.extend(state.keys(&prefix)?);
                for key in doomed {
                    delete(&mut fates, key, state)?;
                }
            }
        }
    }
    Ok(Plan::Write(fates))
}

fn holds(condition: &Condition, state: &impl State) -> Result<bool, MetaError> {
    let entry = state.entry(condition.key())?;
    Ok(match condition {
        Condition::Absent(_) => entry.is_none(),
        Condition::Exists(_) => entry.is_some(),
        Condition::ModifiedAt(_, revision) => entry.is_some_and(|entry| entry.modified == *revision),
        Condition::ValueIs(_, value) => entry.is_some_and(|entry| entry.value == *value),
    })
}

fn put(
    fates: &mut Fates,
    (key, value, lease): (String, Bytes, Option<LeaseId>),
    revision: Revision,
    state: &impl State,
) -> Result<(), MetaError> {
    let created = match fates.get(&key) {
        Some(Fate::Put(entry, _)) => entry.created,
        // What a transaction deletes and puts again is changed in place: no revision shows it away.
        Some(Fate::Delete) | None => state.entry(&key)?.map_or(revision, |entry| entry.created),
    };
    let entry = Entry { key: key.clone(), value, created, modified: revision };
    fates.insert(key, Fate::Put(entry, lease));
    Ok(())
}

fn delete(fates: &mut Fates, key: String, state: &impl State) -> Result<(), MetaError> {
    if state.entry(&key)?.is_some() {
        fates.insert(key, Fate::Delete);
    } else {
        fates.remove(&key);
    }
    Ok(())
}

/// The changes that a watcher is told of.
pub(crate) fn changes(fates: Fates, revision: Revision) -> Vec<Change> {
    let kinds = fates.into_iter().map(|(key, fate)| match fate {
        Fate::Put(entry, _) => ChangeKind::Put(entry),
        Fate::Delete => ChangeKind::Delete { key },
    });
    kinds.map(|kind| Change { revision, kind }).collect()
}
