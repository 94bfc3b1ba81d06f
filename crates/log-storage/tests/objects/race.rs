//! Two processes take a log from each other while both append at full speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cinclus_env::{PanicPolicy, TaskGroup};
use cinclus_log_storage::conformance::channel;
use cinclus_log_storage::{DynLogStorage, LogError, StoredRecord};
use cinclus_types::MessageId;
use parking_lot::Mutex;

use crate::store::Plan;
use crate::world::{History, World, insist, seen_by};

/// One process: takes the log, appends until it is fenced, and takes it again.
struct Owner {
    storage: DynLogStorage,
    moves: Arc<AtomicU64>,
    moves_max: u64,
    /// Only one process opens at a time, so that the order of the writers is known.
    opening: Arc<tokio::sync::Mutex<()>>,
    history: Arc<Mutex<History>>,
    /// Appends that wait for their acks at once.
    window: u64,
}

impl Owner {
    async fn run(self) {
        loop {
            let opening = self.opening.lock().await;
            let writer_number = self.moves.fetch_add(1, Ordering::SeqCst);
            if writer_number >= self.moves_max {
                return;
            }
            let mut writer = insist(&self.storage, writer_number as i64).await;
            drop(opening);
            let mut number = 0;
            'owned: loop {
                if self.moves.load(Ordering::SeqCst) > self.moves_max {
                    return;
                }
                let mut waiting = Vec::new();
                for _ in 0..self.window {
                    waiting.push((number, writer.append(History::record(writer_number, number))));
                    number += 1;
                }
                for (number, ack) in waiting {
                    match ack.await {
                        Ok(ids) => {
                            let text = History::text(writer_number, number);
                            assert_eq!(self.history.lock().acked.insert(ids[0], text), None);
                        }
                        Err(LogError::Fenced | LogError::Unavailable(_)) => break 'owned,
                        Err(error) => panic!("{error}"),
                    }
                }
                tokio::task::yield_now().await;
            }
        }
    }
}

/// A third process that follows the log all the time.
async fn follow(storage: DynLogStorage, done: Arc<AtomicBool>) -> Vec<StoredRecord> {
    let mut all: Vec<StoredRecord> = Vec::new();
    let mut reader = loop {
        match storage.read(&channel(), MessageId::EARLIEST).await {
            Ok(reader) => break reader,
            Err(error) => assert!(matches!(error, LogError::NotFound(_)), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    loop {
        let was_done = done.load(Ordering::SeqCst);
        match reader.next_batch().await {
            Ok(batch) if batch.is_empty() && was_done => return all,
            Ok(batch) if batch.is_empty() => tokio::time::sleep(Duration::from_millis(5)).await,
            Ok(batch) => all.extend(batch),
            Err(error) => assert!(matches!(error, LogError::Unavailable(_)), "{error}"),
        }
    }
}

async fn race(world: World, moves: u64, window: u64, plan: Plan) -> usize {
    let tasks = TaskGroup::new(PanicPolicy::Propagate);
    // Only the fence objects stop an owner.
    world.meta.mute();
    let count = Arc::new(AtomicU64::new(0));
    let (history, opening, done) = (Arc::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
    let mut owners = Vec::new();
    for seed in [10, 11] {
        let owner = Owner {
            storage: world.process(seed).await,
            moves: count.clone(),
            moves_max: moves,
            opening: Arc::clone(&opening),
            history: Arc::clone(&history),
            window,
        };
        owners.push(owner);
    }
    let follower = world.process(12).await;
    world.store.set(plan);
    let follower = tasks.spawn("follower", follow(follower, done.clone()));
    let owners: Vec<_> = owners.into_iter().map(|owner| tasks.spawn("owner", owner.run())).collect();
    for owner in owners {
        owner.join().await;
    }
    tasks.check();
    world.store.set(Plan::default());
    let last = world.process(13).await;
    let writer = insist(&last, moves as i64).await;
    done.store(true, Ordering::SeqCst);
    let followed = follower.join().await;
    tasks.check();
    let found = seen_by(&world, 14, MessageId::EARLIEST).await;
    let history = history.lock();
    history.check(MessageId::EARLIEST, &found);
    assert!(followed.unwrap() == found, "the follower saw something else than the log holds");
    drop(writer);
    history.acked.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ownership_moves_a_thousand_times_between_two_that_append_at_full_speed() {
    let world = World::new(1, |config| {
        config.block_bytes_max = 200;
        config.roll.bytes_max = 20_000;
        config.compact_bytes_max = 5_000;
    });
    let acked = race(world, 1_000, 64, Plan::default()).await;
    assert!(acked > 10_000, "{acked}");
}

#[tokio::test(start_paused = true)]
async fn ownership_moves_on_a_slow_storage_that_loses_answers() {
    for seed in 0..3 {
        let world = World::new(seed, |config| {
            config.block_bytes_max = 200;
            config.roll.bytes_max = 2_000;
            config.compact_bytes_max = 1_000;
            config.tries = 30;
        });
        let plan = Plan {
            put_before: 0.05,
            put_after: 0.1,
            read: 0.05,
            delay_min: Duration::from_millis(1),
            delay_max: Duration::from_millis(20),
            list_delay: Duration::from_millis(30),
            ..Plan::default()
        };
        let acked = race(world, 200, 40, plan).await;
        assert!(acked > 1_000, "seed {seed}: {acked}");
    }
}
