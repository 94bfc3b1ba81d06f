//! The leases of a store that lives in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lease::LeaseId;

/// Which leases live, until when, and which keys hang on them. Times are what the store's clock reads.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    granted: u64,
    leases: BTreeMap<LeaseId, Lease>,
    /// The lease of each leased key.
    owners: BTreeMap<String, LeaseId>,
    /// Keys of ended leases, not yet deleted.
    orphans: BTreeSet<String>,
}

#[derive(Debug)]
struct Lease {
    ttl: Duration,
    deadline: Duration,
    keys: BTreeSet<String>,
}

impl LeaseTable {
    pub(crate) fn grant(&mut self, now: Duration, ttl: Duration) -> LeaseId {
        self.granted += 1;
        let lease = LeaseId(self.granted);
        let deadline = now.saturating_add(ttl);
        self.leases.insert(lease, Lease { ttl, deadline, keys: BTreeSet::new() });
        lease
    }

    /// Whether the lease has been kept alive; false if it has ended.
    pub(crate) fn keep_alive(&mut self, now: Duration, lease: LeaseId) -> bool {
        match self.leases.get_mut(&lease) {
            Some(lease) if now < lease.deadline => {
                // Invariant M5: the store counts from its answer, which is later than the holder's sending.
                lease.deadline = now.saturating_add(lease.ttl);
                true
            }
            Some(_) | None => false,
        }
    }

    pub(crate) fn is_live(&self, now: Duration, lease: LeaseId) -> bool {
        self.leases.get(&lease).is_some_and(|lease| now < lease.deadline)
    }

    /// The earliest end of a lease, or `None` without leases.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.leases.values().map(|lease| lease.deadline).min()
    }

    /// Ends every lease whose time is over. Its keys are [`orphans`](LeaseTable::orphans) from now on.
    pub(crate) fn expire(&mut self, now: Duration) {
        let over: Vec<LeaseId> =
            self.leases.iter().filter(|(_, lease)| lease.deadline <= now).map(|(id, _)| *id).collect();
        for lease in over {
            self.end(lease);
        }
    }

    /// Ends a lease; false if it has ended before.
    pub(crate) fn end(&mut self, lease: LeaseId) -> bool {
        let Some(ended) = self.leases.remove(&lease) else { return false };
        for key in ended.keys {
            self.owners.remove(&key);
            self.orphans.insert(key);
        }
        true
    }

    /// The keys to delete because their leases have ended. They stay here until [`LeaseTable::hang`] hears
    /// that they were deleted or put anew, so that a deletion that fails is tried again.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = &String> {
        self.orphans.iter()
    }

    pub(crate) fn has_orphans(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// Notes that `key` was written, on `lease` or without one.
    pub(crate) fn hang(&mut self, key: &str, lease: Option<LeaseId>) {
        self.orphans.remove(key);
        if let Some(before) = self.owners.remove(key)
            && let Some(before) = self.leases.get_mut(&before)
        {
            before.keys.remove(key);
        }
        let Some(id) = lease else { return };
        match self.leases.get_mut(&id) {
            Some(lease) => {
                lease.keys.insert(key.to_owned());
                self.owners.insert(key.to_owned(), id);
            }
            // The lease ended while its key was being made durable.
            None => {
                self.orphans.insert(key.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn orphans(table: &LeaseTable) -> Vec<&str> {
        table.orphans().map(String::as_str).collect()
    }

    #[test]
    fn a_lease_ends_its_whole_time_after_the_last_keep_alive() {
        let mut table = LeaseTable::default();
        let lease = table.grant(at(0), TTL);
        assert!(table.keep_alive(at(9), lease));
        assert_eq!(table.next_deadline(), Some(at(19)));
        assert!(table.is_live(at(18), lease));
        assert!(!table.is_live(at(19), lease));
        assert!(!table.keep_alive(at(19), lease), "an ended lease does not come back");
    }

    #[test]
    fn the_keys_of_an_ended_lease_are_orphans_until_they_are_written() {
        let mut table = LeaseTable::default();
        let lease = table.grant(at(0), TTL);
        for key in ["a", "b", "c"] {
            table.hang(key, Some(lease));
        }
        table.hang("b", None);
        table.expire(at(10));
        assert_eq!(orphans(&table), ["a", "c"]);
        let other = table.grant(at(10), TTL);
        table.hang("a", Some(other));
        table.hang("c", None);
        assert_eq!(orphans(&table), [""; 0]);
        table.end(other);
        assert_eq!(orphans(&table), ["a"]);
    }

    #[test]
    fn a_key_put_on_a_lease_that_has_just_ended_is_an_orphan() {
        let mut table = LeaseTable::default();
        let lease = table.grant(at(0), TTL);
        table.end(lease);
        table.hang("a", Some(lease));
        assert_eq!(orphans(&table), ["a"]);
    }
}
