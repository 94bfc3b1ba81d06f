//! The catalog on a store that loses answers, refuses, and takes things up late.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_catalog::{
    CatalogChange, CatalogError, ChannelCheckpoint, Claim, Collections, DatabaseEntry, SegmentChange,
    Segments,
};
use cinclus_env::Env;
use cinclus_meta::{
    CommitOutcome, Config, DynMetaStore, Entry, LeaseId, MemoryMetaStore, MetaError, MetaStore, Revision,
    Txn, Watch, Write,
};
use cinclus_types::{
    Checkpoint, CollectionId, DatabaseId, MessageId, PChannel, PartitionId, SegmentEntry, SegmentId,
    SegmentState, Term, Tick, VChannel, VChannelEntry,
};
use parking_lot::Mutex;

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It has no effect, and its answer is lost.
    LostBefore,
    /// It has its effect, and its answer is lost.
    LostAfter,
    /// Its answer is lost; it has its effect much later.
    Late,
    /// It has no effect and its answer is lost, and somebody else's commit comes before it is sent again.
    Overtaken,
    /// It is refused.
    Refused,
}

struct Lossy {
    inner: DynMetaStore,
    fates: Mutex<Vec<Fate>>,
    late: Mutex<Vec<Txn>>,
    overtaking: Mutex<Txn>,
    scans: Mutex<usize>,
}

impl Lossy {
    fn new(env: &Env) -> Arc<Lossy> {
        let inner = Arc::new(MemoryMetaStore::new(&Config::default(), env.clock.clone(), &env.tasks));
        let (fates, late, overtaking) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Lossy { inner, fates, late, overtaking, scans: Mutex::default() })
    }

    fn next(&self, fates: &[Fate]) {
        *self.fates.lock() = fates.iter().rev().copied().collect();
    }

    /// Takes up what comes late.
    async fn catch_up(&self) -> Vec<CommitOutcome> {
        let late = std::mem::take(&mut *self.late.lock());
        let mut outcomes = Vec::new();
        for txn in late {
            outcomes.push(self.inner.commit(txn).await.unwrap());
        }
        outcomes
    }
}

#[async_trait]
impl MetaStore for Lossy {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        *self.scans.lock() += 1;
        self.inner.scan(prefix).await
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        let lost = || Err(MetaError::Unknown("lost".to_owned()));
        let fate = self.fates.lock().pop();
        match fate {
            None => self.inner.commit(txn).await,
            Some(Fate::LostBefore) => lost(),
            Some(Fate::LostAfter) => {
                self.inner.commit(txn).await?;
                lost()
            }
            Some(Fate::Late) => {
                self.late.lock().push(txn);
                lost()
            }
            Some(Fate::Overtaken) => {
                let theirs = self.overtaking.lock().clone();
                self.inner.commit(theirs).await?;
                lost()
            }
            Some(Fate::Refused) => Err(MetaError::Unavailable("refused".to_owned())),
        }
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        self.inner.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.inner.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.revoke(lease).await
    }
}

fn database(name: &str, created: u64) -> DatabaseEntry {
    DatabaseEntry {
        id: DatabaseId(7),
        name: name.to_owned(),
        properties: Default::default(),
        created: Tick(created),
    }
}

/// Puts the database, and deletes a task.
fn put(entry: DatabaseEntry) -> CatalogChange {
    CatalogChange {
        put_databases: vec![entry],
        extra: vec![Write::Delete("task".to_owned())],
        ..CatalogChange::default()
    }
}

const LOSSES: [&[Fate]; 6] = [
    &[Fate::LostBefore],
    &[Fate::LostAfter],
    &[Fate::Late],
    &[Fate::LostBefore, Fate::LostAfter],
    &[Fate::LostBefore, Fate::LostBefore],
    &[Fate::LostAfter, Fate::LostAfter],
];

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_made_once_with_all_that_belongs_to_it() {
    for losses in LOSSES {
        // Also one that leaves the entries as they are: what belongs to it is still to be done.
        for entry in [database("a", 2), database("a", 1)] {
            let env = Env::test(1);
            let store = Lossy::new(&env);
            let collections = Collections::open(store.clone(), &env).await.unwrap();
            collections.update(put(database("a", 1))).await.unwrap();
            store.inner.commit(Txn::new().put("task", "x")).await.unwrap();
            store.next(losses);
            collections.update(put(entry.clone())).await.unwrap();
            assert_eq!(**collections.view().database("a").unwrap(), entry, "{losses:?}");
            assert_eq!(store.get("task").await, Ok(None), "{losses:?}");
            // What the store takes up late finds that it is too late.
            let outcomes = store.catch_up().await;
            assert!(outcomes.iter().all(|outcome| matches!(outcome, CommitOutcome::Conflict(_))));
            // The view is fresh enough for the next change.
            collections.update(put(database("b", 3))).await.unwrap();
            assert!(collections.view().database("a").is_none() && collections.view().database("b").is_some());
        }
    }
}

#[tokio::test]
async fn a_change_that_stays_unknown_is_not_called_undone() {
    let env = Env::test(1);
    let store = Lossy::new(&env);
    let collections = Collections::open(store.clone(), &env).await.unwrap();
    for fates in [&[Fate::LostBefore, Fate::Refused][..], &[Fate::LostBefore; 3][..]] {
        store.next(fates);
        let error = collections.update(put(database("a", 1))).await.unwrap_err();
        assert!(matches!(error, CatalogError::Meta(MetaError::Unknown(_))), "{error}");
    }
    store.next(&[Fate::Refused]);
    let error = collections.update(put(database("a", 1))).await.unwrap_err();
    assert_eq!(error, CatalogError::Meta(MetaError::Unavailable("refused".to_owned())));
}

#[tokio::test]
async fn a_change_does_not_overwrite_what_came_in_between() {
    let env = Env::test(1);
    let store = Lossy::new(&env);
    let collections = Collections::open(store.clone(), &env).await.unwrap();
    collections.update(put(database("a", 1))).await.unwrap();
    *store.overtaking.lock() = Txn::new().put("catalog/database/7", entry_json("theirs"));
    store.next(&[Fate::Overtaken]);
    let overtaken = collections.update(put(database("mine", 2))).await;
    assert!(matches!(overtaken, Err(CatalogError::Conflict(_))), "{overtaken:?}");
    // The view is fresh then.
    assert!(collections.view().database("theirs").is_some());
    collections.update(put(database("mine", 2))).await.unwrap();
    // So it is for a change that is made by an old view.
    store.inner.commit(Txn::new().put("catalog/database/7", entry_json("late"))).await.unwrap();
    let stale = collections.update(put(database("mine", 4))).await;
    assert!(matches!(stale, Err(CatalogError::Conflict(_))), "{stale:?}");
    assert!(collections.view().database("late").is_some());
}

fn entry_json(name: &str) -> String {
    format!(r#"{{"v":1,"entry":{{"id":7,"name":"{name}","properties":{{}},"created":9}}}}"#)
}

#[tokio::test]
async fn a_delete_of_what_others_changed_is_refused() {
    let env = Env::test(1);
    let store = Lossy::new(&env);
    let collections = Collections::open(store.clone(), &env).await.unwrap();
    collections.update(put(database("a", 1))).await.unwrap();
    let delete = || CatalogChange { delete_databases: vec![DatabaseId(7)], ..CatalogChange::default() };
    store.inner.commit(Txn::new().put("catalog/database/7", entry_json("theirs"))).await.unwrap();
    assert!(matches!(collections.update(delete()).await, Err(CatalogError::Conflict(_))));
    collections.update(delete()).await.unwrap();
    assert!(collections.view().database("theirs").is_none());
    // Nothing is there any more: a success that no watch tells of.
    collections.update(delete()).await.unwrap();
}

#[tokio::test]
async fn names_that_change_hands_in_one_commit_are_all_found() {
    let env = Env::test(1);
    let store = Lossy::new(&env);
    let collections = Collections::open(store, &env).await.unwrap();
    let named = |id: i64, name: &str| DatabaseEntry { id: DatabaseId(id), ..database(name, 1) };
    let put =
        |entries: Vec<DatabaseEntry>| CatalogChange { put_databases: entries, ..CatalogChange::default() };
    collections.update(put(vec![named(5, "a"), named(7, "b")])).await.unwrap();
    collections.update(put(vec![named(5, "b"), named(7, "c")])).await.unwrap();
    let view = collections.view();
    assert_eq!(view.database("b").map(|entry| entry.id), Some(DatabaseId(5)));
    assert_eq!(view.database("c").map(|entry| entry.id), Some(DatabaseId(7)));
    assert!(view.database("a").is_none());
}

fn log() -> PChannel {
    PChannel::new("log_0")
}

fn shard() -> VChannel {
    log().shard(CollectionId(7), 0)
}

fn record(tick: u64) -> ChannelCheckpoint {
    ChannelCheckpoint {
        term: Term(1),
        checkpoint: Checkpoint { resume: MessageId::from_parts(0, 1, tick), tick: Tick(tick) },
        truncate_below: MessageId::from_parts(0, 1, 0),
        state: "state".into(),
    }
}

fn note(tick: u64) -> SegmentChange {
    SegmentChange::VChannel(shard(), VChannelEntry { persisted_tick: Tick(tick), ..VChannelEntry::default() })
}

fn segment(id: i64) -> SegmentEntry {
    SegmentEntry {
        id: SegmentId(id),
        collection: CollectionId(7),
        partition: PartitionId(8),
        vchannel: shard(),
        state: SegmentState::Growing,
        chunks: vec![],
        created: Tick(5),
        sealed: Tick::ZERO,
    }
}

async fn segments(env: &Env) -> (Arc<Lossy>, Segments, Claim) {
    let store = Lossy::new(env);
    let segments = Segments::open(store.clone(), env).await.unwrap();
    let claim = segments.claim(&log(), Term(1)).await.unwrap();
    segments.commit(&claim, record(1), vec![note(1)]).await.unwrap();
    (store, segments, claim)
}

#[tokio::test]
async fn a_checkpoint_whose_answer_is_lost_is_committed_once() {
    for losses in LOSSES {
        let env = Env::test(1);
        let (store, segments, claim) = segments(&env).await;
        store.next(losses);
        segments.commit(&claim, record(2), vec![note(2)]).await.unwrap();
        assert_eq!(segments.view(&shard()).vchannel.persisted_tick, Tick(2), "{losses:?}");
        assert_eq!(segments.checkpoint(&log()).await.unwrap(), Some(record(2)), "{losses:?}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_taken_up_late_undoes_no_later_one() {
    let env = Env::test(1);
    let (store, segments, claim) = segments(&env).await;
    store.next(&[Fate::Late, Fate::Refused]);
    let error = segments.commit(&claim, record(2), vec![note(2)]).await.unwrap_err();
    assert!(matches!(error, CatalogError::Meta(MetaError::Unknown(_))), "{error}");
    segments.commit(&claim, record(3), vec![note(3)]).await.unwrap();
    // Invariant W6: what the log was truncated by stays.
    assert!(matches!(store.catch_up().await[..], [CommitOutcome::Conflict(_)]));
    assert_eq!(segments.checkpoint(&log()).await.unwrap(), Some(record(3)));
    assert_eq!(segments.view(&shard()).vchannel.persisted_tick, Tick(3));
}

#[tokio::test]
async fn a_commit_that_another_of_the_same_owner_overtook_is_refused() {
    let env = Env::test(1);
    let (store, segments, claim) = segments(&env).await;
    *store.overtaking.lock() = Txn::new().put("wal/log_0/checkpoint", "another");
    store.next(&[Fate::Overtaken]);
    let overtaken = segments.commit(&claim, record(2), vec![note(2)]).await;
    assert!(matches!(overtaken, Err(CatalogError::Conflict(_))), "{overtaken:?}");
    assert_eq!(segments.view(&shard()).vchannel.persisted_tick, Tick(1));
}

#[tokio::test]
async fn a_commit_that_a_later_term_overtook_is_fenced() {
    let env = Env::test(1);
    let (store, segments, claim) = segments(&env).await;
    *store.overtaking.lock() = Txn::new().put("wal/log_0/term", "2");
    store.next(&[Fate::Overtaken]);
    let fenced = Err(CatalogError::Fenced { channel: log(), term: Term(1) });
    assert_eq!(segments.commit(&claim, record(2), vec![note(2)]).await, fenced);
}

#[tokio::test]
async fn whoever_opens_a_log_again_under_the_same_term_reads_a_checkpoint_that_stays() {
    let env = Env::test(1);
    let (store, segments, claim) = segments(&env).await;
    let again = segments.claim(&log(), Term(1)).await.unwrap();
    // Invariant W6. What the first opening sends late would change segments behind the checkpoint that was read.
    let fenced = Err(CatalogError::Fenced { channel: log(), term: Term(1) });
    assert_eq!(segments.commit(&claim, record(2), vec![note(2)]).await, fenced);
    segments.commit(&again, record(3), vec![note(3)]).await.unwrap();
    store.next(&[Fate::Late, Fate::Refused]);
    assert!(segments.commit(&again, record(4), vec![note(4)]).await.is_err());
    let third = segments.claim(&log(), Term(1)).await.unwrap();
    assert!(matches!(store.catch_up().await[..], [CommitOutcome::Conflict(_)]));
    assert_eq!(segments.checkpoint(&log()).await.unwrap(), Some(record(3)));
    segments.commit(&third, record(5), vec![note(5)]).await.unwrap();
    assert_eq!(segments.view(&shard()).vchannel.persisted_tick, Tick(5));
}

#[tokio::test]
async fn commits_do_not_read_everything_again() {
    let env = Env::test(1);
    let (store, segments, claim) = segments(&env).await;
    let before = *store.scans.lock();
    for tick in 2..50 {
        let changes = vec![SegmentChange::Put(segment(tick as i64)), note(tick)];
        segments.commit(&claim, record(tick), changes).await.unwrap();
        assert_eq!(segments.view(&shard()).vchannel.persisted_tick, Tick(tick));
    }
    assert_eq!(*store.scans.lock(), before);
    assert_eq!(segments.all().len(), 48);
}

#[tokio::test]
async fn a_view_is_up_to_date_after_deletes_of_any_kind() {
    let env = Env::test(1);
    let (_, segments, claim) = segments(&env).await;
    let put = |id| SegmentChange::Put(segment(id));
    let gone = |id| SegmentChange::Delete(shard(), SegmentId(id));
    let drop_all = || SegmentChange::DropVChannel(shard());
    let steps: Vec<(Vec<SegmentChange>, usize)> = vec![
        (vec![put(1), put(2)], 2),
        (vec![gone(3)], 2),
        (vec![gone(1)], 1),
        (vec![put(4), gone(4)], 1),
        (vec![put(5), gone(2)], 1),
        (vec![], 1),
        (vec![drop_all()], 0),
        (vec![drop_all()], 0),
        (vec![put(6), note(9), drop_all()], 0),
    ];
    for (at, (changes, left)) in steps.into_iter().enumerate() {
        segments.commit(&claim, record(at as u64 + 2), changes.clone()).await.unwrap();
        assert_eq!(segments.all().len(), left, "{changes:?}");
    }
}

#[tokio::test]
async fn a_claim_whose_answers_get_lost_ends_and_is_made_by_the_next() {
    let env = Env::test(7);
    let (meta, segments, _) = segments(&env).await;
    let channel = PChannel::new("log_1");
    for fates in [&[Fate::LostBefore][..], &[Fate::LostAfter], &[Fate::LostBefore, Fate::LostAfter]] {
        meta.next(fates);
        segments.claim(&channel, Term(5)).await.unwrap();
    }
    meta.next(&[Fate::LostBefore; 100]);
    let claimed = segments.claim(&channel, Term(6)).await;
    assert!(matches!(claimed, Err(CatalogError::Meta(MetaError::Unknown(_)))), "{claimed:?}");
    assert!(meta.fates.lock().len() > 90, "it is not sent again and again");
    meta.next(&[]);
    segments.claim(&channel, Term(6)).await.unwrap();
    assert!(matches!(segments.claim(&channel, Term(5)).await, Err(CatalogError::Fenced { .. })));
}
