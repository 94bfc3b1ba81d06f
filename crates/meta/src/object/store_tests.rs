use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::{Clock, Env, ManualClock, PanicPolicy, Random, TaskGroup, TokioClock};
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{ObjectConfig, ObjectMetaStore};
use crate::conformance::{Harness, committed, texts};
use crate::{
    CommitOutcome, Condition, Config, DynMetaStore, MetaError, MetaStore, OpenError, Revision, Txn,
    conformance_tests,
};

fn config() -> ObjectConfig {
    let common = Config { history_bytes_max: 256 << 10, ..Config::default() };
    ObjectConfig { common, snapshot_bytes_min: 2 << 10 }
}

fn prefix() -> Path {
    Path::from("cinclus/meta")
}

struct Objects {
    clock: ManualClock,
    store: Arc<InMemory>,
}

#[async_trait]
impl Harness for Objects {
    async fn open(&mut self) -> DynMetaStore {
        let tasks = TaskGroup::new(PanicPolicy::Propagate);
        let env = Env { clock: Arc::new(self.clock.clone()), tasks, ..Env::os() };
        let store = ObjectMetaStore::open(self.store.clone(), prefix(), &config(), &env).await;
        Arc::new(store.unwrap())
    }

    async fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    async fn forget_changes(&self, store: &dyn MetaStore) {
        for _ in 0..3 {
            store.commit(Txn::new().put("large", vec![0; 256 << 10])).await.unwrap();
        }
    }
}

conformance_tests!(Objects { clock: ManualClock::default(), store: Arc::default() });

/// A storage that fails as asked.
#[derive(Debug, Default)]
struct Faulty {
    inner: InMemory,
    plan: Mutex<FaultPlan>,
    /// Creates of the same name are all accepted, the last one wins.
    unconditional: AtomicBool,
    /// The next put of a commit waits for this.
    asleep: Mutex<Option<oneshot::Receiver<()>>>,
}

#[derive(Debug, Default)]
struct FaultPlan {
    random: Option<Random>,
    /// Of creates, how many fail before and after their effect.
    before: f64,
    after: f64,
    /// Everything fails.
    away: bool,
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a faulty object storage")
    }
}

fn lost() -> Error {
    Error::Generic { store: "faulty", source: "the connection broke".into() }
}

impl Faulty {
    fn away(&self) -> Result<(), Error> {
        if self.plan.lock().away { Err(lost()) } else { Ok(()) }
    }

    fn strikes(&self, which: impl Fn(&FaultPlan) -> f64) -> bool {
        let plan = self.plan.lock();
        plan.random.as_ref().is_some_and(|random| random.chance(which(&plan)))
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        path: &Path,
        object: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult, Error> {
        self.away()?;
        if self.strikes(|plan| plan.before) {
            return Err(lost());
        }
        if self.unconditional.load(Ordering::Relaxed) {
            // As a storage that looks first and writes then.
            tokio::task::yield_now().await;
            options.mode = PutMode::Overwrite;
        }
        if path.as_ref().contains("/commits/") {
            let asleep = self.asleep.lock().take();
            if let Some(asleep) = asleep {
                asleep.await.expect("it is woken");
            }
        }
        let put = self.inner.put_opts(path, object, options).await?;
        if self.strikes(|plan| plan.after) { Err(lost()) } else { Ok(put) }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>, Error> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult, Error> {
        self.away()?;
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path, Error>>,
    ) -> BoxStream<'static, Result<Path, Error>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta, Error>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult, Error> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<(), Error> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn env(seed: u64) -> Env {
    Env { clock: Arc::new(TokioClock::starting_at(0)), ..Env::test(seed) }
}

async fn open(store: &Arc<Faulty>, seed: u64) -> Result<ObjectMetaStore, OpenError> {
    ObjectMetaStore::open(store.clone(), prefix(), &config(), &env(seed)).await
}

async fn opened(store: &Arc<Faulty>, seed: u64) -> ObjectMetaStore {
    open(store, seed).await.unwrap()
}

async fn names(store: &Faulty, folder: &str) -> Vec<String> {
    use futures::TryStreamExt;
    let found: Vec<ObjectMeta> = store.inner.list(Some(&prefix().join(folder))).try_collect().await.unwrap();
    let mut names: Vec<String> =
        found.iter().map(|meta| meta.location.filename().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn an_owner_before_gets_no_answer_after_another_has_opened() {
    let store = Arc::<Faulty>::default();
    let first = opened(&store, 1).await;
    committed(&first, Txn::new().put("who", "first")).await;
    let second = opened(&store, 2).await;
    assert_eq!(texts(&second, "").await, [("who".to_owned(), "first".to_owned())]);
    let refused = first.commit(Txn::new().put("who", "first again")).await;
    assert!(
        matches!(&refused, Err(MetaError::Unavailable(reason)) if reason.contains("epoch 2")),
        "{refused:?}"
    );
    assert!(first.superseded().await.contains("epoch 2"));
    assert!(first.get("who").await.is_err() && first.grant(Duration::from_secs(1)).await.is_err());
    committed(&second, Txn::new().put("who", "second")).await;
    drop(second);
    assert_eq!(texts(&opened(&store, 3).await, "who").await, [("who".to_owned(), "second".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_owner_before_says_of_nothing_that_it_holds() {
    let store = Arc::<Faulty>::default();
    let first = opened(&store, 1).await;
    committed(&first, Txn::new().put("who", "first")).await;
    let holds = || Txn::new().require(Condition::ValueIs("who".to_owned(), "first".into()));
    committed(&first, holds()).await;
    let second = opened(&store, 2).await;
    committed(&second, Txn::new().put("who", "second")).await;
    let asked = first.commit(holds()).await;
    assert!(matches!(&asked, Err(MetaError::Unavailable(reason)) if reason.contains("epoch 2")), "{asked:?}");
    assert!(first.superseded().await.contains("epoch 2"));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_slept_through_snapshots_finds_the_barrier() {
    let store = Arc::<Faulty>::default();
    let sleeper = opened(&store, 1).await;
    committed(&sleeper, Txn::new().put("who", "sleeper")).await;
    let second = opened(&store, 2).await;
    for n in 0..200 {
        committed(&second, Txn::new().put(format!("key/{}", n % 10), vec![b'x'; 100])).await;
    }
    tokio::task::yield_now().await;
    assert!(names(&store, "commits").await.len() < 100, "old commits are gone");
    assert!(!names(&store, "commits").await.contains(&format!("{:020}", 2)), "also that before the barrier");
    let refused = sleeper.commit(Txn::new().put("who", "sleeper again")).await;
    assert!(matches!(refused, Err(MetaError::Unavailable(_))), "{refused:?}");
    assert_eq!(second.get("who").await.unwrap().unwrap().value, "sleeper");
}

#[tokio::test(start_paused = true)]
async fn whoever_sleeps_while_it_takes_over_takes_over_what_is_there_then() {
    let store = Arc::<Faulty>::default();
    let first = opened(&store, 1).await;
    committed(&first, Txn::new().put("who", "first")).await;
    let (wake, asleep) = oneshot::channel();
    *store.asleep.lock() = Some(asleep);
    let mut opening = std::pin::pin!(open(&store, 2));
    while store.asleep.lock().is_some() {
        assert!(futures::poll!(opening.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    // The name that the barrier is to have is taken, and free again.
    for n in 0..200 {
        committed(&first, Txn::new().put(format!("key/{}", n % 10), vec![b'x'; 100])).await;
    }
    tokio::task::yield_now().await;
    assert!(!names(&store, "commits").await.contains(&format!("{:020}", 3)), "old commits are gone");
    wake.send(()).unwrap();
    let second = opening.await.unwrap();
    assert_eq!(texts(&second, "key/").await.len(), 10);
    let refused = first.commit(Txn::new().put("who", "first again")).await;
    assert!(matches!(refused, Err(MetaError::Unavailable(_))), "{refused:?}");
    committed(&second, Txn::new().put("who", "second")).await;
    drop(second);
    assert_eq!(texts(&opened(&store, 3).await, "who").await, [("who".to_owned(), "second".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn commits_that_wait_together_share_an_object_and_judge_each_other() {
    let store = Arc::<Faulty>::default();
    let meta = opened(&store, 1).await;
    let create = |value: &'static str| meta.commit(Txn::new().require_absent("key").put("key", value));
    let remove =
        meta.commit(Txn::new().require(Condition::ValueIs("key".into(), "one".into())).delete("key"));
    let (one, two, three, four) = tokio::join!(create("one"), create("two"), remove, create("three"));
    assert_eq!(one.unwrap(), CommitOutcome::Committed(Revision(1)));
    assert_eq!(two.unwrap(), CommitOutcome::Conflict(vec![0]));
    assert_eq!(three.unwrap(), CommitOutcome::Committed(Revision(2)));
    assert_eq!(four.unwrap(), CommitOutcome::Committed(Revision(3)));
    // The barrier, at most one object for the first to come, and one for all others.
    assert!(names(&store, "commits").await.len() <= 3);
    drop(meta);
    let meta = opened(&store, 2).await;
    assert_eq!(meta.get("key").await.unwrap().unwrap().created, Revision(3));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_settled_before_the_next() {
    for (before, after) in [(0.3, 0.0), (0.0, 0.3), (0.3, 0.3), (0.7, 0.2)] {
        for seed in 0..20 {
            let store = Arc::<Faulty>::default();
            let meta = opened(&store, seed).await;
            *store.plan.lock() = FaultPlan { random: Some(Random::seeded(seed)), before, after, away: false };
            let (mut done, mut unknown) = (0_u64, 0);
            while done < 30 {
                match meta.commit(Txn::new().put("n", (done + 1).to_string())).await {
                    Ok(outcome) => {
                        done += 1;
                        assert_eq!(outcome, CommitOutcome::Committed(Revision(done)));
                    }
                    Err(MetaError::Unknown(_)) => {
                        unknown += 1;
                        // Whoever asks next hears of it, when it is settled.
                        while meta.commit(Txn::new()).await.is_err() {}
                        done = meta.scan("").await.unwrap().0.0;
                    }
                    Err(MetaError::Unavailable(_)) => {}
                    Err(other) => panic!("{other:?}"),
                }
                assert!(unknown < 1000, "no end");
            }
            *store.plan.lock() = FaultPlan::default();
            drop(meta);
            let meta = opened(&store, 100 + seed).await;
            assert_eq!(meta.scan("").await.unwrap().0, Revision(30), "{before} {after} {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_storage_is_away_reads_go_on_and_commits_are_unknown_once() {
    let store = Arc::<Faulty>::default();
    let meta = opened(&store, 1).await;
    committed(&meta, Txn::new().put("key", "1")).await;
    store.plan.lock().away = true;
    assert!(matches!(meta.commit(Txn::new().put("key", "2")).await, Err(MetaError::Unknown(_))));
    assert!(matches!(meta.commit(Txn::new().put("key", "3")).await, Err(MetaError::Unavailable(_))));
    assert_eq!(meta.get("key").await.unwrap().unwrap().value, "1");
    let mut watch = meta.watch("", Revision(1)).await.unwrap();
    store.plan.lock().away = false;
    let next = committed(&meta, Txn::new().put("key", "4")).await;
    assert_eq!(next, Revision(3), "the commit whose answer was lost is there, the refused one is not");
    assert_eq!(watch.next().await.unwrap()[0].revision, Revision(2), "and watchers hear of it");
}

#[tokio::test]
async fn two_owners_that_fight_lose_nothing_that_was_answered() {
    for seed in 0..20 {
        let store = Arc::<Faulty>::default();
        let random = Random::seeded(seed);
        let mut answered: BTreeMap<String, String> = BTreeMap::new();
        let mut owners: Vec<ObjectMetaStore> = Vec::new();
        for round in 0..30 {
            if owners.len() < 2 || random.chance(0.3) {
                owners.push(opened(&store, seed * 1000 + round).await);
            }
            let from = owners.len() - 2.min(owners.len());
            for (index, owner) in owners.iter().enumerate().skip(from) {
                let key = format!("{round}/{index}");
                if owner.commit(Txn::new().put(&key, &*key.clone().into_bytes().leak())).await.is_ok() {
                    answered.insert(key.clone(), key);
                }
            }
        }
        let last = opened(&store, seed * 1000 + 999).await;
        let there: BTreeMap<String, String> = texts(&last, "").await.into_iter().collect();
        assert_eq!(there, answered, "seed {seed}");
        assert!(answered.len() >= 30);
    }
}

#[tokio::test(start_paused = true)]
async fn leases_end_with_their_process() {
    let store = Arc::<Faulty>::default();
    let meta = opened(&store, 1).await;
    let lease = meta.grant(Duration::from_secs(60)).await.unwrap();
    committed(&meta, Txn::new().put("stays", "1").put_leased("goes", "1", lease)).await;
    for n in 0..100 {
        committed(&meta, Txn::new().put("other", format!("{n:0>100}"))).await;
    }
    drop(meta);
    let meta = opened(&store, 2).await;
    assert_eq!((meta.get("goes").await.unwrap(), meta.get("stays").await.unwrap().is_some()), (None, true));
    assert_eq!(meta.scan("").await.unwrap().0, Revision(102), "their end is a commit");
}

#[tokio::test]
async fn a_storage_that_accepts_one_name_twice_is_refused() {
    let store = Arc::<Faulty>::default();
    store.unconditional.store(true, Ordering::Relaxed);
    let refused = open(&store, 1).await.map(drop).unwrap_err();
    assert!(matches!(&refused, OpenError::Unconditional { .. }), "{refused:?}");
    assert!(refused.to_string().contains("4 were accepted"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_or_missing_object_is_refused_by_name() {
    let path = |number: u64| prefix().join("commits").join(format!("{number:020}"));
    let filled = async || {
        let store = Arc::<Faulty>::default();
        let meta = opened(&store, 1).await;
        for n in 0..5 {
            committed(&meta, Txn::new().put("key", n.to_string())).await;
        }
        drop(meta);
        store
    };
    let store = filled().await;
    store.inner.put(&path(3), Bytes::from_static(b"CNCMnothing of ours").into()).await.unwrap();
    let refused = open(&store, 2).await.map(drop).unwrap_err();
    assert!(matches!(&refused, OpenError::NewerFormat { .. } | OpenError::Corrupt { .. }), "{refused:?}");
    assert!(refused.to_string().contains(path(3).as_ref()), "{refused}");
    let store = filled().await;
    store.inner.delete(&path(3)).await.unwrap();
    let refused = open(&store, 2).await.map(drop).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Corrupt { file, .. } if file.ends_with(format!("{:020}", 3))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_process_that_ends_is_not_held_up_by_those_who_still_have_the_store() {
    let tasks = TaskGroup::new(PanicPolicy::Propagate);
    let env = Env { tasks: tasks.clone(), ..Env::os() };
    let objects = Arc::new(InMemory::new());
    let store = ObjectMetaStore::open(objects.clone(), prefix(), &config(), &env).await.unwrap();
    store.commit(Txn::new().put("a", "1")).await.unwrap();
    let end = tasks.join(&*env.clock, Duration::from_secs(10));
    // One that comes together with the end is done or refused, and nothing in between.
    let (late, ended) = tokio::join!(store.commit(Txn::new().put("b", "2")), end);
    ended.expect("no task hangs on");
    let refused = store.commit(Txn::new().put("c", "3")).await.unwrap_err();
    assert!(matches!(refused, MetaError::Unavailable(_)), "{refused}");
    let env = Env { tasks: TaskGroup::new(PanicPolicy::Propagate), ..Env::os() };
    let again = ObjectMetaStore::open(objects, prefix(), &config(), &env).await.unwrap();
    assert_eq!(again.get("b").await.unwrap().is_some(), late.is_ok());
    assert!(again.get("a").await.unwrap().is_some() && again.get("c").await.unwrap().is_none());
}
