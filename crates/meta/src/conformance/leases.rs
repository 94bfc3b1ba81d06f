//! M5: leases.

use std::time::Duration;

use super::{Harness, committed, get, texts};
use crate::error::MetaError;
use crate::lease::HeldLease;
use crate::store::MetaStore;
use crate::txn::Txn;
use crate::watch::{ChangeKind, Watch};

async fn deleted(watch: &mut Watch) -> Vec<String> {
    let changes = watch.next().await.expect("the watch goes on");
    let keys = changes.into_iter().map(|change| match change.kind {
        ChangeKind::Delete { key } => key,
        ChangeKind::Put(entry) => panic!("{} was put", entry.key),
    });
    keys.collect()
}

async fn watch_from_now(store: &dyn MetaStore) -> Watch {
    let (revision, _) = store.scan("").await.expect("a scan");
    store.watch("", revision).await.expect("a watch")
}

/// The keys of a silent lease go in one commit, after its whole time and not before.
pub async fn m5_a_lease_that_falls_silent_ends_with_its_keys(harness: &mut dyn Harness) {
    let (store, ttl) = (harness.open().await, harness.ttl());
    let lease = store.grant(ttl).await.expect("a lease");
    committed(&*store, Txn::new().put_leased("a", "1", lease).put_leased("b", "2", lease).put("c", "3"))
        .await;
    let mut watch = watch_from_now(&*store).await;
    harness.advance(ttl / 2).await;
    store.keep_alive(lease).await.expect("the lease lives");
    harness.advance(ttl - harness.margin()).await;
    assert!(futures::poll!(std::pin::pin!(watch.next())).is_pending());
    assert_eq!(texts(&*store, "").await.len(), 3, "kept alive, it has its whole time again");
    harness.advance(harness.margin()).await;
    assert_eq!(deleted(&mut watch).await, ["a", "b"]);
    assert_eq!(texts(&*store, "").await, [("c".to_owned(), "3".to_owned())]);
    assert_eq!(store.keep_alive(lease).await, Err(MetaError::LeaseGone(lease)));
}

/// For its holder a lease is over before the store gives its keys away, however long an answer takes.
pub async fn m5_the_holder_knows_first(harness: &mut dyn Harness) {
    let (store, ttl) = (harness.open().await, harness.ttl());
    let mut held = HeldLease::grant(&*store, harness.clock(), ttl).await.expect("a lease");
    committed(&*store, Txn::new().put_leased("a", "1", held.id())).await;
    for _ in 0..5 {
        harness.advance(ttl / 2).await;
        held.keep_alive(&*store, harness.clock()).await.expect("the lease lives");
    }
    let mut watch = watch_from_now(&*store).await;
    let step = ttl / 10;
    while held.holds(harness.clock().monotonic(), Duration::ZERO) {
        if get(&*store, "a").await.is_none() {
            let now = harness.clock().monotonic();
            assert!(!held.holds(now, Duration::ZERO), "the store ended a lease that its holder still holds");
        }
        assert!(!held.holds(harness.clock().monotonic(), ttl), "a margin is taken off");
        harness.advance(step).await;
    }
    assert_eq!(deleted(&mut watch).await, ["a"]);
    assert!(held.keep_alive(&*store, harness.clock()).await.is_err());
}

/// The last put of a key decides on which lease it hangs, if on any.
pub async fn m5_a_key_put_without_its_lease_stays(harness: &mut dyn Harness) {
    let (store, ttl) = (harness.open().await, harness.ttl());
    let one = store.grant(ttl).await.expect("a lease");
    let other = store.grant(ttl * 2).await.expect("a lease");
    let all = ["a", "b", "c", "d"].iter().fold(Txn::new(), |txn, key| txn.put_leased(*key, "1", one));
    committed(&*store, all).await;
    committed(&*store, Txn::new().put("a", "2").put_leased("b", "2", other).delete("c")).await;
    committed(&*store, Txn::new().put("c", "2")).await;
    let mut watch = watch_from_now(&*store).await;
    harness.advance(ttl).await;
    assert_eq!(deleted(&mut watch).await, ["d"]);
    harness.advance(ttl).await;
    assert_eq!(deleted(&mut watch).await, ["b"]);
    assert_eq!(texts(&*store, "").await.len(), 2);
}

/// Revoking deletes the keys before it returns; doing it twice is no error.
pub async fn m5_a_revoked_lease_ends_at_once(harness: &mut dyn Harness) {
    let (store, ttl) = (harness.open().await, harness.ttl());
    let lease = store.grant(ttl).await.expect("a lease");
    let other = store.grant(ttl).await.expect("a lease");
    assert_ne!(lease, other);
    committed(&*store, Txn::new().put_leased("a", "1", lease).put_leased("b", "1", other)).await;
    let mut watch = watch_from_now(&*store).await;
    store.revoke(lease).await.expect("a revoke");
    assert_eq!(texts(&*store, "").await, [("b".to_owned(), "1".to_owned())]);
    assert_eq!(deleted(&mut watch).await, ["a"]);
    assert_eq!(store.keep_alive(lease).await, Err(MetaError::LeaseGone(lease)));
    store.revoke(lease).await.expect("a second revoke changes nothing");
    store.keep_alive(other).await.expect("the other lease lives");
}

/// A put on a lease that is gone is refused as a whole; so is a lease without time.
pub async fn m5_an_ended_lease_takes_no_keys(harness: &mut dyn Harness) {
    let (store, ttl) = (harness.open().await, harness.ttl());
    let lease = store.grant(ttl).await.expect("a lease");
    committed(&*store, Txn::new().put_leased("last", "1", lease)).await;
    let mut watch = watch_from_now(&*store).await;
    harness.advance(ttl).await;
    // The store may end it later than its holder thinks (M5), but not twice.
    assert_eq!(deleted(&mut watch).await, ["last"]);
    let put = store.commit(Txn::new().put("a", "1").put_leased("b", "1", lease)).await;
    assert_eq!(put, Err(MetaError::LeaseGone(lease)));
    assert_eq!(texts(&*store, "").await, []);
    let none = store.grant(Duration::ZERO).await;
    assert!(matches!(none, Err(MetaError::Invalid(_))), "{none:?}");
}
