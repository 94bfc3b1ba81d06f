//! Leases: keys that end when their holder falls silent.

use std::fmt;
use std::time::Duration;

use cinclus_env::Clock;

use crate::error::MetaError;
use crate::store::MetaStore;

/// A lease of one store. Ids are not used again while the store is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The holder's side of a lease. It counts from the moment a grant or keep-alive was *sent* (rule M5), so it
/// is over here before the store lets anybody else have its keys.
#[derive(Clone, Copy, Debug)]
pub struct HeldLease {
    id: LeaseId,
    ttl: Duration,
    sent: Duration,
}

impl HeldLease {
    /// Asks `store` for a lease of `ttl`.
    ///
    /// # Errors
    /// What [`MetaStore::grant`] says.
    pub async fn grant(
        store: &dyn MetaStore,
        clock: &dyn Clock,
        ttl: Duration,
    ) -> Result<HeldLease, MetaError> {
        let sent = clock.monotonic();
        let id = store.grant(ttl).await?;
        Ok(HeldLease { id, ttl, sent })
    }

    /// Keeps the lease alive. If the answer is an error or never comes, the old end stays.
    ///
    /// # Errors
    /// What [`MetaStore::keep_alive`] says.
    pub async fn keep_alive(&mut self, store: &dyn MetaStore, clock: &dyn Clock) -> Result<(), MetaError> {
        // Invariant M5: the reading of before the call.
        let sent = clock.monotonic();
        store.keep_alive(self.id).await?;
        self.sent = sent;
        Ok(())
    }

    /// The lease's id, for [`Txn::put_leased`](crate::Txn::put_leased).
    #[must_use]
    pub fn id(&self) -> LeaseId {
        self.id
    }

    /// How long the store keeps the lease without hearing of it.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// When it ends for its holder, on the clock it was granted with.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.sent.saturating_add(self.ttl)
    }

    /// Whether it certainly still holds at `now`, with `margin` to spare.
    #[must_use]
    pub fn holds(&self, now: Duration, margin: Duration) -> bool {
        now.saturating_add(margin) < self.deadline()
    }
}
