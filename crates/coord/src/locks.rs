//! Locks on names, so that two changes of one collection or database come one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_env::mutated;
use cinclus_types::message::{ResourceDomain, ResourceKey};
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// What a lock is on; locks are taken in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// All databases.
    Cluster,
    /// A database and all in it.
    Database(String),
    /// A collection or an alias of a database.
    Name(String, String),
}

/// A lock that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Want {
    /// On what.
    pub resource: Resource,
    /// Alone, or beside other sharers.
    pub exclusive: bool,
}

impl Want {
    /// As it is written into messages and tasks.
    #[must_use]
    pub fn to_key(&self) -> ResourceKey {
        let (domain, key) = match &self.resource {
            Resource::Cluster => (ResourceDomain::Cluster, String::new()),
            Resource::Database(name) => (ResourceDomain::Database, name.clone()),
            Resource::Name(database, name) => (ResourceDomain::Collection, format!("{database}:{name}")),
        };
        ResourceKey { domain, key, shared: !self.exclusive }
    }

    /// As it was written. What this release does not know is taken as the cluster.
    #[must_use]
    pub fn of_key(key: &ResourceKey) -> Want {
        let resource = match (key.domain, key.key.split_once(':')) {
            (ResourceDomain::Database, _) => Resource::Database(key.key.clone()),
            (ResourceDomain::Collection, Some((database, name))) => {
                Resource::Name(database.to_owned(), name.to_owned())
            }
            (ResourceDomain::Cluster | ResourceDomain::Privilege | ResourceDomain::Collection, _) => {
                Resource::Cluster
            }
        };
        Want { resource, exclusive: !key.shared }
    }
}

enum Held {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Exclusive { _guard: OwnedRwLockWriteGuard<()> },
}

/// All locks of the coordinator.
#[derive(Clone, Default)]
pub struct ResourceLocks {
    locks: Arc<Mutex<BTreeMap<Resource, Arc<RwLock<()>>>>>,
}

/// Locks that are held; dropping them lets go.
pub struct HeldLocks {
    _held: Vec<Held>,
}

impl ResourceLocks {
    /// Waits for all the wanted locks, in one global order so that nobody waits for ever.
    pub async fn acquire(&self, mut wants: Vec<Want>) -> HeldLocks {
        wants.sort_by(|a, b| a.resource.cmp(&b.resource).then(b.exclusive.cmp(&a.exclusive)));
        wants.dedup_by(|later, kept| later.resource == kept.resource);
        let mut held = Vec::with_capacity(wants.len());
        if mutated("LocksExcludeNobody") {
            wants.clear();
        }
        for want in wants {
            let lock = self.lock(want.resource);
            held.push(if want.exclusive {
                Held::Exclusive { _guard: lock.write_owned().await }
            } else {
                Held::Shared { _guard: lock.read_owned().await }
            });
        }
        HeldLocks { _held: held }
    }

    fn lock(&self, resource: Resource) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock();
        // A lock that only the table holds is free: the table does not grow with every name ever used.
        if locks.len() >= 1024 {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        locks.entry(resource).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(name: &str, exclusive: bool) -> Want {
        Want { resource: Resource::Name("default".to_owned(), name.to_owned()), exclusive }
    }

    #[tokio::test]
    async fn sharers_share_and_an_owner_waits() {
        let locks = ResourceLocks::default();
        let first = locks.acquire(vec![want("a", false)]).await;
        let _second = locks.acquire(vec![want("a", false), want("b", true)]).await;
        let mut owner = Box::pin(locks.acquire(vec![want("a", true)]));
        assert!(futures::poll!(&mut owner).is_pending());
        drop((first, _second));
        owner.await;
    }

    #[test]
    fn a_lock_is_read_back_from_its_key() {
        let database = Want { resource: Resource::Database("d".to_owned()), exclusive: false };
        let cluster = Want { resource: Resource::Cluster, exclusive: true };
        for want in [want("a", true), database, cluster] {
            assert_eq!(Want::of_key(&want.to_key()), want);
        }
    }

    #[tokio::test]
    async fn names_that_nobody_holds_are_forgotten() {
        let locks = ResourceLocks::default();
        let held = locks.acquire(vec![want("kept", true)]).await;
        for index in 0..5_000 {
            locks.acquire(vec![want(&index.to_string(), true)]).await;
        }
        assert!(locks.locks.lock().len() <= 1024);
        assert!(futures::poll!(Box::pin(locks.acquire(vec![want("kept", true)]))).is_pending());
        drop(held);
    }

    #[tokio::test]
    async fn the_stronger_of_two_wishes_counts() {
        let locks = ResourceLocks::default();
        let _held = locks.acquire(vec![want("a", false), want("a", true)]).await;
        assert!(futures::poll!(Box::pin(locks.acquire(vec![want("a", false)]))).is_pending());
    }
}
