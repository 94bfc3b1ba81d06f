//! The process ends before and after every effect on object storage, catalog and log: what was acknowledged
//! is there, what was under way is there or not, and nothing else (W2, W6, W7).

use std::collections::BTreeSet;
use std::time::Duration;

use cinclus_rpc::Freshness;
use cinclus_types::{PartitionId, Tick};

use crate::model::Model;
use crate::world::{Life, Shard, World};

#[derive(Clone, Debug)]
enum Op {
    Insert(i64, Vec<(i64, i64)>),
    Delete(Option<i64>, Vec<i64>),
    Upsert(i64, Vec<(i64, i64)>),
    DropPartition(i64),
    Truncate,
}

/// What is known of a shard, and what may have happened beside it.
struct Known {
    shard: Shard,
    model: Model,
    under_way: Option<Op>,
    snapshots: Vec<Tick>,
}

impl Known {
    fn of(shard: Shard) -> Known {
        Known { shard, model: Model::default(), under_way: None, snapshots: Vec::new() }
    }

    fn partition(&self, index: i64) -> PartitionId {
        self.shard.partition(index)
    }

    async fn append(&mut self, life: &Life, dim: usize, op: Op) {
        let shard = &self.shard;
        let batch = match &op {
            Op::Insert(partition, rows) => vec![shard.insert(dim, self.partition(*partition), rows)],
            Op::Delete(scope, keys) => vec![shard.delete(scope.map(|index| self.partition(index)), keys)],
            Op::Upsert(partition, rows) => {
                let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
                vec![shard.delete(None, &keys), shard.insert(dim, self.partition(*partition), rows)]
            }
            Op::DropPartition(index) => vec![shard.drop_partition(self.partition(*index))],
            Op::Truncate => vec![shard.truncate()],
        };
        self.under_way = Some(op.clone());
        let tick = life.append(batch).await.unwrap().tick;
        self.under_way = None;
        self.happened(&op, tick);
    }

    fn happened(&mut self, op: &Op, tick: Tick) {
        match op {
            Op::Insert(partition, rows) => self.model.insert(self.shard.partition(*partition), rows, tick),
            Op::Delete(scope, keys) => {
                self.model.delete(scope.map(|index| self.shard.partition(index)), keys, tick);
            }
            Op::Upsert(partition, rows) => {
                let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
                self.model.delete(None, &keys, tick);
                self.model.insert(self.shard.partition(*partition), rows, tick);
            }
            Op::DropPartition(index) => {
                self.model.drop_rows(Some(self.shard.partition(*index)));
                self.snapshots.clear();
            }
            Op::Truncate => {
                self.model.drop_rows(None);
                self.snapshots.clear();
            }
        }
    }

    /// Compares with the model; what was under way has happened or not.
    async fn check(&mut self, life: &Life, at: u64) {
        let (tick, rows) = life.rows(&self.shard, Freshness::Strong).await;
        if let Some(op) = self.under_way.take().filter(|_| rows != self.model.rows(tick)) {
            self.happened(&op, tick);
        }
        assert_eq!(rows, self.model.rows(tick), "stopped at {at}, {}", self.shard.vchannel);
        assert_eq!(
            life.count(&self.shard, Freshness::Strong).await,
            self.model.count(tick),
            "stopped at {at}"
        );
        for &before in &self.snapshots {
            let (_, rows) = life.rows(&self.shard, Freshness::Snapshot(before)).await;
            assert_eq!(rows, self.model.rows(before), "stopped at {at}, {} at {before}", self.shard.vchannel);
        }
        self.snapshots.push(tick);
    }
}

fn rows(keys: std::ops::Range<i64>, value: i64) -> Vec<(i64, i64)> {
    keys.map(|key| (key, value)).collect()
}

/// Puts every kind of effect between writes of every kind.
async fn script(life: &Life, known: &mut [Known; 2], dim: usize) {
    let [first, second] = known;
    first.append(life, dim, Op::Insert(0, rows(0..20, 1))).await;
    second.append(life, dim, Op::Insert(1, rows(0..5, 1))).await;
    life.persist(&first.shard).await;
    first.append(life, dim, Op::Insert(1, rows(20..30, 2))).await;
    first.append(life, dim, Op::Delete(None, vec![1, 2, 21])).await;
    life.flush(&first.shard).await;
    first.append(life, dim, Op::Upsert(0, rows(3..6, 3))).await;
    first.append(life, dim, Op::Delete(Some(0), vec![7, 22])).await;
    life.persist(&second.shard).await;
    second.append(life, dim, Op::Insert(0, rows(10..200, 4))).await;
    life.flush(&second.shard).await;
    second.append(life, dim, Op::Truncate).await;
    second.append(life, dim, Op::Insert(0, rows(0..4, 5))).await;
    life.persist(&second.shard).await;
    first.append(life, dim, Op::DropPartition(1)).await;
    first.append(life, dim, Op::Insert(0, rows(40..44, 6))).await;
    life.persist(&first.shard).await;
    life.pause(Duration::from_secs(1_300)).await;
}

fn world() -> World {
    let mut world = World::new(7, 1);
    world.config.chunk_bytes_min = 2 << 10;
    world
}

/// The objects that the catalog names.
fn named(life: &Life, known: &[Known]) -> BTreeSet<String> {
    let chunks = life.segments.all();
    let chunks = chunks.iter().flat_map(|segment| segment.chunks.iter().map(|chunk| chunk.object.clone()));
    let views = known.iter().map(|known| life.segments.view(&known.shard.vchannel));
    let deletes = views.flat_map(|view| view.vchannel.delete_files.clone()).map(|file| file.object);
    chunks.chain(deletes).collect()
}

/// One run that ends at the given moment, and what the lives after it see.
fn run(stop_at: Option<u64>) -> u64 {
    let world = world();
    let shards = [1, 2].map(|id| Shard::new(&world.channels[0], id));
    let mut known = shards.map(Known::of);
    world.live(async |life: Life| {
        for known in &known {
            life.create(&known.shard).await;
        }
    });
    world.effects.begin(stop_at);
    let at = stop_at.unwrap_or_default();
    let dim = world.dim;
    world.live_until_stopped(async |life: Life| script(&life, &mut known, dim).await);
    let moments = world.effects.moments();
    world.effects.begin(None);
    world.live(async |life: Life| {
        for known in &mut known {
            known.check(&life, at).await;
        }
        let more = Op::Insert(0, rows(300..310, 7));
        known[0].append(&life, dim, more).await;
        life.flush(&known[0].shard).await;
        known[1].append(&life, dim, Op::Delete(None, vec![0, 11])).await;
    });
    world.live(async |life: Life| {
        for known in &mut known {
            known.check(&life, at).await;
        }
        life.persist(&known[1].shard).await;
        life.pause(Duration::from_secs(1_300)).await;
        life.node.sweep().await.unwrap();
        // Everything that is named is there, and nothing else.
        assert_eq!(BTreeSet::from_iter(world.objects()), named(&life, &known), "stopped at {at}");
        for known in &mut known {
            known.check(&life, at).await;
        }
    });
    moments
}

#[test]
fn a_crash_at_any_effect_loses_nothing_and_leaves_no_object() {
    let moments = run(None);
    assert!(moments > 40, "the script has too few effects: {moments}");
    for stop_at in 1..=moments {
        run(Some(stop_at));
    }
}
