//! Random operations against the model, over several lives (W2, W4, W5, W6, Q1, Q2).

use std::collections::BTreeMap;
use std::time::Duration;

use cinclus_env::Random;
use cinclus_rpc::{Freshness, ReadError};
use cinclus_types::{PartitionId, Tick};

use crate::model::Model;
use crate::shard::Shard;
use crate::world::{Life, World};

/// What a test knows of a shard.
struct Known {
    shard: Shard,
    model: Model,
    loaded: bool,
    /// Ticks that were read at, and may be read at again.
    snapshots: Vec<Tick>,
}

struct Run {
    random: Random,
    known: Vec<Known>,
    dim: usize,
    value: i64,
}

impl Run {
    fn below(&self, bound: u64) -> u64 {
        self.random.range(0..bound)
    }

    fn keys(&self, most: u64) -> Vec<i64> {
        let mut keys: Vec<i64> = (0..=self.below(most)).map(|_| self.below(120) as i64).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn new_rows(&mut self) -> Vec<(i64, i64)> {
        let keys = self.keys(12);
        self.value += 1;
        keys.into_iter().map(|key| (key, self.value)).collect()
    }

    fn partition(&self, shard: &Shard) -> PartitionId {
        shard.partition(self.below(2) as i64)
    }

    async fn step(&mut self, life: &Life) {
        let at = self.below(self.known.len() as u64) as usize;
        let shard = self.known[at].shard.clone();
        let partition = self.partition(&shard);
        match self.below(20) {
            0..=5 => {
                let rows = self.new_rows();
                let tick = life.insert(&shard, partition, &rows).await;
                self.known[at].model.insert(partition, &rows, tick);
            }
            6..=8 => {
                let scope = (self.below(3) == 0).then_some(partition);
                let keys = self.keys(8);
                let tick = life.append(vec![shard.delete(scope, &keys)]).await.unwrap().tick;
                self.known[at].model.delete(scope, &keys, tick);
            }
            9..=11 => self.transaction(life, at, partition).await,
            12 => {
                life.flush(&shard).await;
            }
            13 => life.persist(&shard).await,
            14 => life.pause(Duration::from_millis(self.below(2_000))).await,
            15 => self.change_load(life, at).await,
            16 if self.below(6) == 0 => {
                life.append(vec![shard.truncate()]).await.unwrap();
                self.known[at].model.drop_rows(None);
                self.known[at].snapshots.clear();
            }
            _ => self.check(life, at).await,
        }
    }

    /// An upsert of some rows and a delete of others, visible together.
    async fn transaction(&mut self, life: &Life, at: usize, partition: PartitionId) {
        let (rows, gone) = (self.new_rows(), self.keys(4));
        let known = &mut self.known[at];
        let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let batch = vec![
            known.shard.delete(None, &keys),
            known.shard.insert(self.dim, partition, &rows),
            known.shard.delete(None, &gone),
        ];
        let tick = life.append(batch).await.unwrap().tick;
        known.model.delete(None, &keys, tick);
        known.model.delete(None, &gone, tick);
        known.model.insert(partition, &rows, tick);
    }

    async fn change_load(&mut self, life: &Life, at: usize) {
        let known = &mut self.known[at];
        known.loaded = !known.loaded;
        life.put(&known.shard, known.loaded).await;
        if !known.loaded {
            let plan = cinclus_rpc::QueryPlan { filter: None, limit: None, count_only: true, output: vec![] };
            let answer = life.try_query(&known.shard, Freshness::Strong, plan).await;
            assert_eq!(answer, Err(ReadError::NotLoaded(known.shard.collection)));
        }
    }

    async fn check(&mut self, life: &Life, at: usize) {
        let old = self.below(8) as usize;
        let known = &mut self.known[at];
        if !known.loaded {
            return;
        }
        let (tick, rows) = life.rows(&known.shard, Freshness::Strong).await;
        assert_eq!(rows, known.model.rows(tick), "{} at {tick}", known.shard.vchannel);
        assert_eq!(life.count(&known.shard, Freshness::Snapshot(tick)).await, known.model.count(tick));
        if let Some(&before) = known.snapshots.get(old) {
            let (at, rows) = life.rows(&known.shard, Freshness::Snapshot(before)).await;
            assert_eq!((at, rows), (before, known.model.rows(before)), "{}", known.shard.vchannel);
        }
        known.snapshots.push(tick);
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed, 2);
    world.config.recovery_log_bytes_max = 48 << 10;
    world.config.chunk_bytes_min = 300;
    world.config.wal.segment_rows_max = 30;
    let shards = (1..=4_usize).map(|id| Shard::new(&world.channels[id % 2], id as i64));
    let known =
        shards.map(|shard| Known { shard, model: Model::default(), loaded: true, snapshots: Vec::new() });
    let mut run = Run { random: Random::seeded(seed), known: known.collect(), dim: world.dim, value: 0 };
    for number in 0..5 {
        world.live(async |life: Life| {
            if number == 0 {
                for known in &run.known {
                    life.create(&known.shard).await;
                }
            }
            for at in 0..run.known.len() {
                run.check(&life, at).await;
            }
            for _ in 0..60 {
                run.step(&life).await;
            }
            for at in 0..run.known.len() {
                run.check(&life, at).await;
            }
        });
    }
    let objects: BTreeMap<&str, usize> =
        BTreeMap::from_iter(["segments/", "tails/", "deletes/"].map(|folder| {
            (folder, world.objects().iter().filter(|object| object.starts_with(folder)).count())
        }));
    assert!(objects.values().all(|count| *count > 0), "seed {seed} wrote too little: {objects:?}");
}

#[test]
fn random_operations_over_several_lives_read_as_the_model() {
    for seed in 0..12 {
        run(seed);
    }
}
