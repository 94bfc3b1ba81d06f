//! The storage that fails as told fails as real ones do.

use std::sync::Arc;

use cinclus_env::Env;
use cinclus_log_storage::conformance::{batch, channel, open, read_from, texts};
use cinclus_log_storage::{
    DynLogStorage, FaultPlan, FaultyLogStorage, LogError, MemoryLogStorage, OpenOptions,
};
use cinclus_types::{Advice, MessageId, Term};

struct Fixture {
    faulty: Arc<FaultyLogStorage>,
    storage: DynLogStorage,
    inner: DynLogStorage,
}

fn fixture(seed: u64) -> Fixture {
    let inner: DynLogStorage = Arc::new(MemoryLogStorage::new());
    let faulty = Arc::new(FaultyLogStorage::new(inner.clone(), &Env::test(seed)));
    Fixture { storage: faulty.clone(), faulty, inner }
}

#[tokio::test]
async fn a_lost_answer_kills_the_writer_and_the_record_is_there() {
    let Fixture { faulty, storage, inner } = fixture(1);
    let mut writer = open(&storage, 1).await;
    writer.append(batch("acked")).await.unwrap();
    faulty.set_plan(FaultPlan { append_after: 1.0, ..FaultPlan::default() });
    let lost = writer.append(batch("lost answer")).await.unwrap_err();
    assert_eq!(lost.advice(), Advice::Unknown);
    faulty.set_plan(FaultPlan::default());
    assert!(matches!(writer.append(batch("dead")).await, Err(LogError::Unavailable(_))));
    assert_eq!(texts(&read_from(&inner, MessageId::EARLIEST).await), ["acked", "lost answer"]);
}

#[tokio::test]
async fn an_append_that_never_left_is_not_there() {
    let Fixture { faulty, storage, inner } = fixture(2);
    let mut writer = open(&storage, 1).await;
    faulty.set_plan(FaultPlan { append_before: 1.0, ..FaultPlan::default() });
    assert!(writer.append(batch("never sent")).await.is_err());
    assert!(read_from(&inner, MessageId::EARLIEST).await.is_empty());
}

#[tokio::test]
async fn an_open_whose_answer_is_lost_has_fenced() {
    let Fixture { faulty, storage, .. } = fixture(3);
    let mut writer = open(&storage, 1).await;
    faulty.set_plan(FaultPlan { open_after: 1.0, ..FaultPlan::default() });
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
    assert!(storage.open_writer(&channel(), options).await.is_err());
    assert_eq!(writer.append(batch("late")).await, Err(LogError::Fenced));
}

#[tokio::test]
async fn the_seed_decides_what_fails() {
    async fn outcomes(seed: u64) -> Vec<bool> {
        let Fixture { faulty, storage, .. } = fixture(seed);
        faulty.set_plan(FaultPlan { append_before: 0.2, append_after: 0.2, ..FaultPlan::default() });
        let mut outcomes = Vec::new();
        for term in 0..50 {
            outcomes.push(open(&storage, term).await.append(batch(term)).await.is_ok());
        }
        outcomes
    }
    let first = outcomes(4).await;
    assert_eq!(first, outcomes(4).await);
    assert_ne!(first, outcomes(5).await);
    assert!(first.contains(&true) && first.contains(&false));
}
