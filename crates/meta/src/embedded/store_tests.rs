use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{Clock, Env, ManualClock, PanicPolicy, TaskGroup};
use proptest::prelude::*;
use redb::{Database, TableDefinition};

use super::format::{FILE_NAME, HEAD, HEAD_FORMAT};
use crate::conformance::{Harness, committed, texts};
use crate::{
    Condition, Config, DynMetaStore, EmbeddedMetaStore, MemoryMetaStore, MetaStore, OpenError, Revision, Txn,
    WatchError, conformance_tests,
};

struct Embedded {
    clock: ManualClock,
    directory: tempfile::TempDir,
}

impl Embedded {
    fn new() -> Embedded {
        Embedded { clock: ManualClock::default(), directory: tempfile::tempdir().unwrap() }
    }

    async fn try_open(&self) -> Result<EmbeddedMetaStore, OpenError> {
        let config = Config { history_bytes_max: 256 << 10, ..Config::default() };
        let env = Env {
            clock: Arc::new(self.clock.clone()),
            tasks: TaskGroup::new(PanicPolicy::Propagate),
            ..Env::os()
        };
        EmbeddedMetaStore::open(self.directory.path(), &config, &env).await
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join(FILE_NAME)
    }
}

#[async_trait]
impl Harness for Embedded {
    async fn open(&mut self) -> DynMetaStore {
        Arc::new(self.try_open().await.unwrap())
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

conformance_tests!(Embedded::new());

#[tokio::test]
async fn a_second_opener_is_refused_with_the_name_of_the_file() {
    let embedded = Embedded::new();
    let first = embedded.try_open().await.unwrap();
    let second = embedded.try_open().await.map(drop).unwrap_err();
    assert!(matches!(&second, OpenError::InUse { file, .. } if *file == embedded.file()), "{second:?}");
    let (text, me) = (second.to_string(), format!("process {}", std::process::id()));
    assert!(text.contains(FILE_NAME) && text.contains(&me), "{text}");
    drop(first);
    embedded.try_open().await.unwrap();
}

#[tokio::test]
async fn a_newer_format_is_refused_by_name() {
    let embedded = Embedded::new();
    drop(embedded.try_open().await.unwrap());
    {
        let database = Database::open(embedded.file()).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(HEAD).unwrap().insert(HEAD_FORMAT, 7).unwrap();
        write.commit().unwrap();
    }
    let refused = embedded.try_open().await.map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::NewerFormat { found: 7, known: 1, .. }), "{refused:?}");
    assert!(refused.to_string().contains("format 7"), "{refused}");
    let again = embedded.try_open().await.map(drop).unwrap_err();
    assert_eq!(again.to_string(), refused.to_string(), "refusing changes nothing");
}

#[tokio::test]
async fn a_file_of_something_else_is_refused() {
    let embedded = Embedded::new();
    std::io::Write::write_all(&mut tempfile_at(&embedded), &[7; 100_000]).unwrap();
    let refused = embedded.try_open().await.map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused:?}");

    let embedded = Embedded::new();
    {
        let database = Database::create(embedded.file()).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(TableDefinition::<u64, u64>::new("numbers")).unwrap().insert(1, 2).unwrap();
        write.commit().unwrap();
    }
    let refused = embedded.try_open().await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("another program"), "{refused}");
}

#[expect(clippy::disallowed_methods, reason = "the test makes the file that the store refuses")]
fn tempfile_at(embedded: &Embedded) -> std::fs::File {
    std::fs::File::create(embedded.file()).unwrap()
}

#[tokio::test]
async fn keys_on_leases_are_gone_when_the_store_is_opened_again() {
    let embedded = Embedded::new();
    let store = embedded.try_open().await.unwrap();
    let lease = store.grant(Duration::from_secs(3600)).await.unwrap();
    let before =
        committed(&store, Txn::new().put_leased("a", "1", lease).put_leased("b", "1", lease).put("c", "1"))
            .await;
    let last = committed(&store, Txn::new().put("b", "2")).await;
    assert!(last > before);
    drop(store);
    let store = embedded.try_open().await.unwrap();
    let (revision, entries) = store.scan("").await.unwrap();
    let keys: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!((revision, keys), (last.next(), vec!["b", "c"]));
    drop(store);
    let store = embedded.try_open().await.unwrap();
    assert_eq!(store.scan("").await.unwrap().0, last.next(), "they are deleted once");
}

#[tokio::test]
async fn changes_of_before_the_restart_are_compacted() {
    let embedded = Embedded::new();
    let store = embedded.try_open().await.unwrap();
    let first = committed(&store, Txn::new().put("a", "1")).await;
    let second = committed(&store, Txn::new().put("a", "2")).await;
    drop(store);
    let store = embedded.try_open().await.unwrap();
    let mut behind = store.watch("", first).await.unwrap();
    assert_eq!(behind.next().await, Err(WatchError::Compacted { oldest: second }));
    let mut watch = store.watch("", second).await.unwrap();
    let third = committed(&store, Txn::new().put("a", "3")).await;
    assert_eq!(watch.next().await.unwrap()[0].revision, third);
}

#[tokio::test]
async fn transactions_that_wait_share_a_sync_and_are_judged_in_order() {
    let embedded = Embedded::new();
    let store = embedded.try_open().await.unwrap();
    // Enough to pile up behind the first sync; each on condition that the one before it was written.
    let mut waiting = Vec::new();
    for n in 0..500u32 {
        let txn = Txn::new().put(format!("k/{n:03}"), "1");
        let txn = if n == 0 { txn } else { txn.require(Condition::Exists(format!("k/{:03}", n - 1))) };
        let mut commit = Box::pin(futures::future::maybe_done(store.commit(txn)));
        let _ = futures::poll!(&mut commit);
        waiting.push(commit);
    }
    let mut revisions = Vec::new();
    for mut commit in waiting {
        commit.as_mut().await;
        revisions.extend(commit.as_mut().take_output().unwrap().unwrap().committed());
    }
    assert_eq!(revisions, (1..=500).map(Revision).collect::<Vec<_>>());
    assert_eq!(texts(&store, "k/").await.len(), 500);
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Txn),
    /// Opens the embedded store again.
    Reopen,
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "a/1", "a/2", "a/2/x", "b", "b/1", "é"]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "1", "2"]).prop_map(str::to_owned)
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        key().prop_map(Condition::Absent),
        key().prop_map(Condition::Exists),
        (key(), 0..20u64).prop_map(|(key, revision)| Condition::ModifiedAt(key, Revision(revision))),
        (key(), value()).prop_map(|(key, value)| Condition::ValueIs(key, value.into())),
    ]
}

fn txn() -> impl Strategy<Value = Txn> {
    let write = prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Txn::new().put(key, value)),
        2 => key().prop_map(|key| Txn::new().delete(key)),
        1 => prop_oneof![key(), Just(String::new())].prop_map(|prefix| Txn::new().delete_prefix(prefix)),
    ];
    let writes = prop::collection::vec(write, 0..5);
    // Most transactions have no condition: random ones seldom hold.
    let conditions = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(condition(), 1..3)];
    (conditions, writes).prop_map(|(conditions, writes)| Txn {
        conditions,
        writes: writes.into_iter().flat_map(|txn| txn.writes).collect(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![20 => txn().prop_map(Step::Commit), 1 => Just(Step::Reopen)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_embedded_answer_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let harness = Embedded::new();
            let tasks = TaskGroup::new(PanicPolicy::Propagate);
            let memory = MemoryMetaStore::new(&Config::default(), Arc::new(ManualClock::default()), &tasks);
            let mut embedded = harness.try_open().await.unwrap();
            for step in steps {
                match step {
                    Step::Commit(txn) => {
                        assert_eq!(embedded.commit(txn.clone()).await, memory.commit(txn).await);
                    }
                    Step::Reopen => {
                        drop(embedded);
                        embedded = harness.try_open().await.unwrap();
                    }
                }
                for prefix in ["", "a", "a/2", "b/", "é"] {
                    assert_eq!(embedded.scan(prefix).await, memory.scan(prefix).await);
                }
                assert_eq!(embedded.get("a/2").await, memory.get("a/2").await);
            }
            assert_eq!(replayed(&memory).await, texts(&embedded, "").await.into_iter().collect());
        });
    }
}

/// What the changes since the beginning add up to.
async fn replayed(store: &dyn MetaStore) -> BTreeMap<String, String> {
    let (revision, _) = store.scan("").await.unwrap();
    let mut watch = store.watch("", Revision(0)).await.unwrap();
    let (mut state, mut seen) = (BTreeMap::new(), Revision(0));
    while seen < revision {
        for change in watch.next().await.unwrap() {
            seen = change.revision;
            match change.kind {
                crate::ChangeKind::Put(entry) => {
                    state.insert(entry.key, String::from_utf8(entry.value.to_vec()).unwrap());
                }
                crate::ChangeKind::Delete { key } => drop(state.remove(&key)),
            }
        }
    }
    state
}
