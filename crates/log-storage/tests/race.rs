//! Two owners take a log from each other while both append at full speed, on every backend without a server.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::Env;
use cinclus_env::disk::OsDisk;
use cinclus_log_storage::conformance::race::{Race, ownership_moves_while_both_append};
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_log_storage::{DynLogStorage, FaultPlan, FaultyLogStorage, MemoryLogStorage};
use cinclus_meta::MemoryMetaStore;

const RACE: Race = Race { moves: 1_000, window: 64 };

/// Owners of one process: a log that only one process can reach has no others.
async fn race(storage: DynLogStorage, race: Race, env: &Env) -> usize {
    let owners = [storage.clone(), storage.clone()];
    ownership_moves_while_both_append(owners, storage, race, env, || {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ownership_of_a_log_in_memory_moves_a_thousand_times() {
    let acked = race(Arc::new(MemoryLogStorage::new()), RACE, &Env::test(1)).await;
    assert!(acked > 10_000, "{acked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ownership_of_a_log_whose_acks_are_slow_moves_a_thousand_times() {
    let env = Env::test(1);
    let faulty = FaultyLogStorage::new(Arc::new(MemoryLogStorage::new()), &env);
    faulty.set_plan(FaultPlan { ack_delay_max: Duration::from_micros(300), ..FaultPlan::default() });
    let acked = race(Arc::new(faulty), Race { window: 8, ..RACE }, &env).await;
    assert!(acked > 1_000, "{acked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ownership_of_local_files_moves_a_thousand_times() {
    let dir = tempfile::tempdir().unwrap();
    let mut env = Env::test(1);
    env.disk = Arc::new(OsDisk::new());
    let mut config = LocalConfig::new(dir.path().join("wp"));
    config.roll = RollPolicy { bytes_max: 20_000, age_max: Duration::from_secs(600) };
    let meta = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
    let storage = WoodpeckerLocal::open(config, env.clone(), Arc::new(meta)).await.unwrap();
    let acked = race(Arc::new(storage), RACE, &env).await;
    assert!(acked > 10_000, "{acked}");
}

#[tokio::test(start_paused = true)]
async fn ownership_of_files_on_a_slow_disk_moves_a_thousand_times() {
    let machine = support::Machine::new(1, 2_000);
    machine.disk.set_sync_delay(Duration::from_millis(1));
    let storage = machine.start().await.unwrap();
    let acked = race(storage, Race { window: 16, ..RACE }, &machine.env).await;
    assert!(acked > 1_000, "{acked}");
}
