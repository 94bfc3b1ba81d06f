//! What every [`MetaStore`](crate::MetaStore) must do: public functions named after the rules M1–M5, and one
//! macro, [`conformance_tests!`](crate::conformance_tests), that runs them all on a backend.
//!
//! M2 (a lost answer is `Unknown`) needs a backend that loses answers and is tested where one can be made.

mod leases;
mod transactions;
mod watches;

use std::time::Duration;

use async_trait::async_trait;

pub use leases::*;
pub use transactions::*;
pub use watches::*;

use crate::entry::{Entry, Revision};
use crate::store::{DynMetaStore, MetaStore};
use crate::txn::{CommitOutcome, Txn};

/// A backend under test.
#[async_trait]
pub trait Harness: Send {
    /// A store. Each further call comes after the last store was dropped and opens the same data again, as
    /// far as the backend outlives its store.
    async fn open(&mut self) -> DynMetaStore;

    /// Lets the store's time pass.
    async fn advance(&self, span: Duration);

    /// The clock that [`Harness::advance`] moves.
    fn clock(&self) -> &dyn cinclus_env::Clock;

    /// The life of the leases that are tested.
    fn ttl(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// How long before the end of a lease a test looks whether it is still there: nothing to speak of, unless
    /// the clock runs by itself.
    fn margin(&self) -> Duration {
        Duration::from_millis(1)
    }

    /// Makes the store forget the changes up to now.
    async fn forget_changes(&self, store: &dyn MetaStore);
}

/// Commits what must not conflict.
pub(crate) async fn committed(store: &dyn MetaStore, txn: Txn) -> Revision {
    let outcome = store.commit(txn).await.expect("the store takes a transaction");
    outcome.committed().unwrap_or_else(|| panic!("unexpected {outcome:?}"))
}

/// Commits what must conflict, and gives the failed conditions.
pub(crate) async fn conflict(store: &dyn MetaStore, txn: Txn) -> Vec<usize> {
    match store.commit(txn).await.expect("the store takes a transaction") {
        CommitOutcome::Conflict(failed) => failed,
        committed @ CommitOutcome::Committed(_) => panic!("unexpected {committed:?}"),
    }
}

pub(crate) async fn get(store: &dyn MetaStore, key: &str) -> Option<Entry> {
    store.get(key).await.expect("the store can be read")
}

/// The keys and values under a prefix, as text.
pub(crate) async fn texts(store: &dyn MetaStore, prefix: &str) -> Vec<(String, String)> {
    let (_, entries) = store.scan(prefix).await.expect("the store can be scanned");
    let text = |entry: Entry| (entry.key, String::from_utf8_lossy(&entry.value).into_owned());
    entries.into_iter().map(text).collect()
}

/// Makes a test of every conformance function for the backend that the expression gives:
/// `conformance_tests!(MyHarness::new());`
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::conformance_tests!(@each $harness;
            m1_a_commit_that_returned_is_there_when_the_store_is_opened_again
            m1_conditions_and_writes_hold_at_one_revision
            m1_revisions_only_grow_also_over_deletes
            m1_a_conflict_names_every_failed_condition_and_writes_nothing
            m1_writes_take_effect_in_order
            m1_a_transaction_that_changes_nothing_makes_no_revision
            m1_an_empty_key_is_refused
            m3_a_watch_gives_every_change_once_in_order
            m3_a_watch_goes_on_where_a_scan_ends
            m3_a_watch_that_is_too_far_behind_is_told_so
            m3_a_watch_may_be_dropped_while_it_waits_and_asked_again
            m3_watches_beside_writers_see_what_a_scan_sees
            m4_a_scan_is_one_revision_in_key_order
            m5_a_lease_that_falls_silent_ends_with_its_keys
            m5_the_holder_knows_first
            m5_a_key_put_without_its_lease_stays
            m5_a_revoked_lease_ends_at_once
            m5_an_ended_lease_takes_no_keys
        );
    };
    (@each $harness:expr; $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::conformance::$name(&mut $harness).await;
            }
        )*
    };
}
