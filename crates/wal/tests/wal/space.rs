//! A storage that gets full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cinclus_log_storage::{LogError, LogReader, LogStorage, LogWriter, MemoryLogStorage, OpenOptions};
use cinclus_rpc::AppendError;
use cinclus_types::{MessageId, PChannel};
use cinclus_wal::WalConfig;

use crate::common::*;
use crate::crash::Machine;

/// A storage that says how much room it has.
struct Bounded {
    inner: MemoryLogStorage,
    free: Arc<AtomicU64>,
}

#[async_trait]
impl LogStorage for Bounded {
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError> {
        self.inner.open_writer(channel, options).await
    }

    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError> {
        self.inner.read(channel, from).await
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        self.inner.truncate(channel, upto).await
    }

    async fn earliest(&self, channel: &PChannel) -> Result<MessageId, LogError> {
        self.inner.earliest(channel).await
    }

    async fn channels(&self) -> Result<Vec<PChannel>, LogError> {
        self.inner.channels().await
    }

    async fn available_bytes(&self) -> Result<Option<u64>, LogError> {
        Ok(Some(self.free.load(Ordering::Relaxed)))
    }
}

#[tokio::test(start_paused = true)]
async fn appends_stop_at_the_reserve_and_go_on_when_there_is_room_again() {
    let free = Arc::new(AtomicU64::new(100 << 20));
    let world = World::on(50, Arc::new(Bounded { inner: MemoryLogStorage::new(), free: free.clone() })).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    free.store((64 << 20) + 10, Ordering::Relaxed);
    pause(&world.env, Duration::from_secs(1)).await;
    let stored = world.log().await.len();
    let refused = wal.append(vec![insert(&shard, 7, "x")]).await.unwrap_err();
    assert!(matches!(refused, AppendError::OutOfSpace { available: 10, .. }), "{refused}");
    assert_eq!(world.log().await.len(), stored, "nothing was stamped");
    assert!(wal.store_time_tick().await.is_ok(), "reads are proven from the reserve");
    free.store(100 << 20, Ordering::Relaxed);
    pause(&world.env, Duration::from_millis(200)).await;
    wal.append(vec![insert(&shard, 7, "x")]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_admitted_between_two_looks_counts() {
    let free = Arc::new(AtomicU64::new((64 << 20) + 10_000));
    let world = World::on(51, Arc::new(Bounded { inner: MemoryLogStorage::new(), free })).await;
    let (wal, _pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let payload = "x".repeat(1_000);
    let appends = (0..20).map(|_| wal.append(vec![insert(&shard, 7, &payload)]));
    let outcomes = futures::future::join_all(appends).await;
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((5..=6).contains(&stored), "{stored} of 20 fit");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_others_fill_stops_appends_until_there_is_room() {
    let mut machine = Machine::new(52);
    machine.config.space_reserve_bytes = 40_000;
    machine.disk.set_capacity_bytes(10_000_000);
    let (wal, pump, _segments, _storage) = machine.start().await.unwrap();
    let shard = machine.channel.shard(cinclus_types::CollectionId(7), 0);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    let payload = "x".repeat(2_000);
    wal.append(vec![insert(&shard, 7, &payload)]).await.unwrap();
    // Not seen by the last look at the disk: the storage itself finds it full.
    machine.disk.set_capacity_bytes(0);
    let frontier = wal.frontier();
    let mut errors = Vec::new();
    for _ in 0..20 {
        errors.push(wal.append(vec![insert(&shard, 7, &payload)]).await.unwrap_err());
        pause(&machine.env, Duration::from_millis(100)).await;
    }
    let first = &errors[0];
    assert!(matches!(first, AppendError::Unknown(_) | AppendError::OutOfSpace { .. }), "{first}");
    let last = errors.last().unwrap();
    assert!(matches!(last, AppendError::OutOfSpace { .. }), "{last}");
    assert!(wal.frontier() >= frontier, "reads go on at the published frontier");
    machine.disk.set_capacity_bytes(10_000_000);
    let started = machine.env.clock.monotonic();
    while wal.append(vec![insert(&shard, 7, "again")]).await.is_err() {
        pause(&machine.env, Duration::from_millis(20)).await;
    }
    let took = machine.env.clock.monotonic() - started;
    assert!(took < Duration::from_secs(2), "appends came back after {took:?}");
    pump.state().await;
    assert_eq!(pump.payloads().last().unwrap(), "again");
}
