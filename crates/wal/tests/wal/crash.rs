//! The power goes at every operation of the disk. A Wal on Woodpecker's local files comes back with
//! everything that it acknowledged (W2), and its state is that of the log (W6).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_catalog::{ChannelCheckpoint, Segments};
use cinclus_env::disk::{Disk, Keep, MemoryDisk};
use cinclus_env::{Env, LocalTicks};
use cinclus_log_storage::LogStorage;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_meta::{
    CommitOutcome, Config, DynMetaStore, Entry, LeaseId, MemoryMetaStore, MetaError, MetaStore, Revision,
    Txn, Watch,
};
use cinclus_types::{Advice, Checkpoint, PChannel, Term, Tick};
use cinclus_wal::{Wal, WalConfig, WalParts};

use crate::common::*;

/// Metadata that is durable at once and cannot be had without power. Each commit is an operation of the
/// disk before and after, so that a crash can come in between.
struct PoweredMeta {
    inner: MemoryMetaStore,
    disk: MemoryDisk,
}

impl PoweredMeta {
    fn is_on(&self) -> Result<(), MetaError> {
        if self.disk.is_powered() { Ok(()) } else { Err(MetaError::Unavailable("no power".to_owned())) }
    }

    async fn needs_power(&self) -> Result<(), MetaError> {
        self.disk.sync_dir(Path::new("/")).await.map_err(|error| MetaError::Unknown(error.to_string()))
    }
}

#[async_trait]
impl MetaStore for PoweredMeta {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.is_on()?;
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.is_on()?;
        self.inner.scan(prefix).await
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        self.needs_power().await?;
        let outcome = self.inner.commit(txn).await?;
        self.needs_power().await?;
        Ok(outcome)
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

pub(crate) struct Machine {
    pub(crate) env: Env,
    pub(crate) disk: MemoryDisk,
    meta: DynMetaStore,
    ticks: Arc<LocalTicks>,
    pub(crate) channel: PChannel,
    term: i64,
    pub(crate) config: WalConfig,
}

/// What the users of the Wal know.
#[derive(Default)]
struct Known {
    acked: BTreeMap<String, Tick>,
    maybe: Vec<String>,
    /// The last checkpoint that was or may be committed.
    committed: Vec<Checkpoint>,
    rows: u64,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Machine {
        let (env, disk) = Env::test_with_disk(seed);
        let lasting = Env::test(seed);
        let inner = MemoryMetaStore::new(&Config::default(), lasting.clock.clone(), &lasting.tasks);
        let meta = Arc::new(PoweredMeta { inner, disk: disk.clone() });
        let ticks = Arc::new(LocalTicks::new(lasting.clock));
        disk.set_sync_delay(Duration::from_millis(1));
        let config = WalConfig { segment_rows_max: 7, ..WalConfig::default() };
        Machine { env, disk, meta, ticks, channel: PChannel::numbered("log", 0), term: 0, config }
    }

    /// Opens everything as a process does that starts. An error is one of the power.
    pub(crate) async fn start(&mut self) -> Result<(Wal, Pump, Segments, Arc<dyn LogStorage>), String> {
        self.term += 1;
        let text = |error: &dyn std::error::Error| error.to_string();
        let mut config = LocalConfig::new("/data/wp");
        config.roll.bytes_max = 2_000;
        let storage = WoodpeckerLocal::open(config, self.env.clone(), self.meta.clone()).await;
        let storage: Arc<dyn LogStorage> = Arc::new(storage.map_err(|error| text(&error))?);
        let segments = Segments::open(self.meta.clone(), &self.env).await.map_err(|error| text(&error))?;
        let (env, ticks) = (self.env.clone(), self.ticks.clone());
        let parts = WalParts { storage: storage.clone(), segments: segments.clone(), ticks, env };
        let (channel, term) = (self.channel.clone(), Term(self.term));
        let (wal, feed) = cinclus_wal::open(parts, self.config.clone(), channel, term)
            .await
            .map_err(|error| text(&error))?;
        let pump = Pump::start(&self.env, feed);
        let ready = cinclus_env::timeout(&*self.env.clock, Duration::from_secs(60), wal.ready()).await;
        ready.map_err(|error| text(&error))?.map_err(|error| text(&error))?;
        Ok((wal, pump, segments, storage))
    }

    /// The power goes and comes back.
    async fn crash(&mut self, keep: Keep) {
        let clock = self.env.clock.clone();
        let _ = self.env.tasks.join(&*clock, Duration::from_secs(60)).await;
        self.disk.crash(keep);
        let disk = self.env.disk.clone();
        self.env = Env::test(self.env.random.u64());
        self.env.disk = disk;
    }
}

async fn work(machine: &mut Machine, known: &mut Known) -> Result<(), String> {
    let shard = machine.channel.shard(cinclus_types::CollectionId(7), 0);
    let (wal, pump, segments, _) = machine.start().await?;
    let text = |error: &dyn std::error::Error| error.to_string();
    wal.append(vec![keyed(create_collection(&shard, 7), "create")]).await.map_err(|error| text(&error))?;
    for round in 0..6 {
        let names: Vec<Vec<String>> = (0..3)
            .map(|at| (0..=at).map(|part| format!("{} {round} {at} {part}", machine.term)).collect())
            .collect();
        let appends =
            names.iter().map(|rows| wal.append(rows.iter().map(|row| insert(&shard, 7, row)).collect()));
        let outcomes = futures::future::join_all(appends).await;
        let mut failed = None;
        for (rows, outcome) in names.into_iter().zip(outcomes) {
            match outcome {
                Ok(appended) => known.acked.extend(rows.into_iter().map(|row| (row, appended.tick))),
                Err(error) => {
                    if error.advice() == Advice::Unknown {
                        known.maybe.extend(rows);
                    }
                    failed = Some(error.to_string());
                }
            }
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        if round % 2 == 1 {
            let (_, cut) = pump.state().await;
            let checkpoint = ChannelCheckpoint {
                term: Term(machine.term),
                checkpoint: cut.checkpoint,
                truncate_below: cut.checkpoint.resume,
                state: cut.state,
            };
            known.committed.push(cut.checkpoint);
            segments.commit(wal.claim(), checkpoint, Vec::new()).await.map_err(|error| text(&error))?;
            wal.truncate(cut.checkpoint.resume).await.map_err(|error| text(&error))?;
        }
    }
    Ok(())
}

/// Opens after a crash and checks what came back.
async fn check(machine: &mut Machine, known: &mut Known, when: &str) -> Result<(), String> {
    let (wal, pump, segments, storage) = machine.start().await?;
    let saved = segments.checkpoint(&machine.channel).await.map_err(|error| error.to_string())?;
    let from = saved.map(|saved| saved.checkpoint).unwrap_or_default();
    assert!(from == Checkpoint::default() || known.committed.contains(&from), "{when}: {from:?}");
    let (state, _) = pump.state().await;
    let delivered: BTreeMap<String, Tick> = pump
        .messages()
        .into_iter()
        .filter(|(_, message)| message.kind().is_dml())
        .map(|(tick, message)| (text(&message), Tick(tick)))
        .collect();
    for (row, tick) in known.acked.iter().filter(|(_, tick)| **tick > from.tick) {
        assert_eq!(delivered.get(row), Some(tick), "{when}: {row} was acknowledged");
    }
    for row in delivered.keys() {
        assert!(known.acked.contains_key(row) || known.maybe.contains(row), "{when}: {row} out of nowhere");
    }
    let survived = known.maybe.iter().filter_map(|row| delivered.get(row).map(|tick| (row.clone(), *tick)));
    known.acked.extend(survived.collect::<Vec<_>>());
    known.maybe.clear();
    let rows = state.growing().values().map(|segment| segment.rows).sum::<u64>()
        + state.seals().values().map(|seal| seal.rows).sum::<u64>();
    assert_eq!(rows, known.acked.len() as u64, "{when}: W6, the state counts each row once");
    known.rows = rows;
    drop((wal, storage));
    Ok(())
}

async fn operations(seed: u64) -> u64 {
    let mut machine = Machine::new(seed);
    work(&mut machine, &mut Known::default()).await.unwrap();
    machine.disk.operations()
}

async fn crash_everywhere(seed: u64, keep: Keep) {
    let operations = operations(seed).await;
    assert!(operations > 60, "{operations} operations are no workload");
    for n in 1..=operations {
        let (mut machine, mut known) = (Machine::new(seed), Known::default());
        machine.disk.crash_at(n);
        let _ = work(&mut machine, &mut known).await;
        machine.crash(keep).await;
        let when = format!("seed {seed}, {keep:?}, operation {n}");
        check(&mut machine, &mut known, &when).await.unwrap();
        machine.crash(Keep::Nothing).await;
        // And it goes on: a second life, and a look at both.
        work(&mut machine, &mut known).await.unwrap();
        machine.crash(keep).await;
        check(&mut machine, &mut known, &format!("{when}, second life")).await.unwrap();
        assert!(known.rows >= 36);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_acknowledged_is_lost_when_only_synced_bytes_survive() {
    crash_everywhere(1, Keep::Nothing).await;
}

#[tokio::test(start_paused = true)]
async fn what_survived_unacknowledged_is_in_the_state_once() {
    crash_everywhere(2, Keep::Everything).await;
}

#[tokio::test(start_paused = true)]
async fn torn_writes_change_nothing() {
    crash_everywhere(3, Keep::Random).await;
}
