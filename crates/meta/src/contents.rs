//! What a store that lives in memory holds.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::entry::{Entry, Revision};
use crate::error::MetaError;
use crate::history::History;
use crate::lease::LeaseId;
use crate::plan::{self, Fate, Fates, State};
use crate::sweep::Leases;

/// All entries at one revision.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) revision: Revision,
    pub(crate) entries: BTreeMap<String, Entry>,
}

impl State for Contents {
    fn entry(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        Ok(self.entries.get(key).cloned())
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, MetaError> {
        Ok(self.under(prefix).map(|entry| entry.key.clone()).collect())
    }
}

impl Contents {
    /// The entries whose keys start with `prefix`, in the order of their keys.
    pub(crate) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Entry> {
        let from = self.entries.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map(|(_, entry)| entry).take_while(move |entry| entry.key.starts_with(prefix))
    }

    /// Makes the entries what commit `revision` makes of them.
    pub(crate) fn apply(&mut self, revision: Revision, fates: &Fates) {
        self.revision = revision;
        for (key, fate) in fates {
            match fate {
                Fate::Put(entry, _) => self.entries.insert(key.clone(), entry.clone()),
                Fate::Delete => self.entries.remove(key),
            };
        }
    }
}

/// Tells of a commit that is durable and can be read: first the leases, then the watches.
pub(crate) fn publish(revision: Revision, fates: Fates, leases: &Leases, history: &History) {
    leases.with(|table, _| {
        for (key, fate) in &fates {
            match fate {
                Fate::Put(_, lease) => table.hang(key, *lease),
                Fate::Delete => table.hang(key, None),
            }
        }
    });
    history.publish(revision, plan::changes(fates, revision));
}

/// Ends what is to end; the deletes of the keys that hung on it.
pub(crate) fn ended(leases: &Leases, lease: Option<LeaseId>) -> Fates {
    leases.with(|table, now| {
        table.expire(now);
        if let Some(lease) = lease {
            table.end(lease);
        }
        table.orphans().map(|key| (key.clone(), Fate::Delete)).collect()
    })
}
