//! The process ends before and after every effect on object storage, catalog and log, or the power goes at
//! every operation of the disk: what was acknowledged is there, what was under way is there or not, and nothing
//! else (W2, W6, W7).

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use cinclus_env::disk::{Keep, MemoryDisk};
use cinclus_rpc::Freshness;
use cinclus_segment::files::{read_chunk, read_deletes};
use cinclus_types::{PartitionId, Tick};

use crate::model::Model;
use crate::shard::Shard;
use crate::world::{Life, World};

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
        let tick = life.appended(batch).await;
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
    async fn check(&mut self, life: &Life, at: &str) {
        let (tick, rows) = life.rows(&self.shard, Freshness::Strong).await;
        if let Some(op) = self.under_way.take().filter(|_| rows != self.model.rows(tick)) {
            self.happened(&op, tick);
        }
        assert_eq!(rows, self.model.rows(tick), "{at}, {}", self.shard.vchannel);
        assert_eq!(life.count(&self.shard, Freshness::Strong).await, self.model.count(tick), "{at}");
        for &before in &self.snapshots {
            let (_, rows) = life.rows(&self.shard, Freshness::Snapshot(before)).await;
            assert_eq!(rows, self.model.rows(before), "{at}, {} at {before}", self.shard.vchannel);
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

fn small_chunks(mut world: World) -> World {
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

/// Every object that the catalog names has the rows and deletes that it says.
async fn check_files(life: &Life, known: &[Known], at: &str) {
    let (objects, compute) = (&life.objects, &life.env.compute);
    for Known { shard, .. } in known {
        let schema = life.collections.view().collection(shard.collection).unwrap().schema().clone();
        let view = life.segments.view(&shard.vchannel);
        for chunk in view.segments.values().flat_map(|segment| &segment.chunks) {
            let (rows, _) =
                read_chunk(objects, compute, chunk, &schema).await.unwrap_or_else(|e| panic!("{at}: {e}"));
            assert_eq!(rows.count as u64, chunk.rows, "{at}: {}", chunk.object);
        }
        for file in &view.vchannel.delete_files {
            let deletes = read_deletes(objects, compute, file).await.unwrap_or_else(|e| panic!("{at}: {e}"));
            assert_eq!(deletes.ticks.len() as u64, file.rows, "{at}: {}", file.object);
        }
    }
}

/// A life that something ends, and what the lives after it see. `end` comes after each life; `stop` says
/// before the script when it is to be stopped, and what that is called.
fn run(world: &World, end: impl Fn(&World), stop: impl FnOnce(&World) -> String) {
    let mut known = [1, 2].map(|id| Known::of(Shard::new(&world.channels[0], id)));
    world.live(async |life: Life| {
        for known in &known {
            life.create(&known.shard).await;
        }
    });
    end(world);
    let at = &stop(world);
    let dim = world.dim;
    world.live_until_stopped(async |life: Life| script(&life, &mut known, dim).await);
    end(world);
    world.live(async |life: Life| {
        check_files(&life, &known, at).await;
        for known in &mut known {
            known.check(&life, at).await;
        }
        let more = Op::Insert(0, rows(300..310, 7));
        known[0].append(&life, dim, more).await;
        life.flush(&known[0].shard).await;
        known[1].append(&life, dim, Op::Delete(None, vec![0, 11])).await;
    });
    end(world);
    world.live(async |life: Life| {
        for known in &mut known {
            known.check(&life, at).await;
        }
        life.persist(&known[1].shard).await;
        life.pause(Duration::from_secs(1_300)).await;
        life.node.sweep().await.unwrap();
        // Everything that is named is there, and nothing else.
        assert_eq!(BTreeSet::from_iter(world.objects()), named(&life, &known), "{at}");
        for known in &mut known {
            known.check(&life, at).await;
        }
    });
}

#[test]
fn a_crash_at_any_effect_loses_nothing_and_leaves_no_object() {
    let run = |stop_at: Option<u64>| {
        let world = small_chunks(World::new(7, 1));
        let moments = Cell::new(None);
        let end = |world: &World| {
            // The first life ends before anything is counted.
            moments.set(moments.get().map(|counted: u64| counted.max(world.effects.moments())));
            world.effects.begin(None);
        };
        run(&world, end, |world| {
            world.effects.begin(stop_at);
            moments.set(Some(0));
            format!("stopped at {stop_at:?}")
        });
        moments.get().unwrap()
    };
    let moments = run(None);
    assert!(moments > 40, "the script has too few effects: {moments}");
    for stop_at in 1..=moments {
        run(Some(stop_at));
    }
}

/// The power goes in the middle of an operation of the script; answers how many there are.
fn run_on_disk(seed: u64, stop_at: Option<u64>, keep: Keep) -> u64 {
    let world = small_chunks(World::on_disk(seed, 1));
    let disk: &MemoryDisk = world.disk.as_ref().unwrap();
    let (begun, operations) = (Cell::new(None), Cell::new(0));
    let end = |world: &World| {
        world.effects.begin(None);
        if let Some(begun) = begun.take() {
            operations.set(disk.operations() - begun);
        }
        disk.crash(keep);
    };
    let stop = |_: &World| {
        begun.set(Some(disk.operations()));
        stop_at.inspect(|at| disk.crash_at(disk.operations() + at));
        format!("the power went at {stop_at:?}, keeping {keep:?}, seed {seed}")
    };
    run(&world, end, stop);
    operations.get()
}

#[test]
fn a_power_cut_at_any_operation_of_the_disk_loses_nothing_and_leaves_no_object() {
    let operations = run_on_disk(1, None, Keep::Nothing);
    assert!(operations > 100, "the script has too few operations: {operations}");
    for at in 1..=operations {
        let other = if at.is_multiple_of(2) { Keep::Random } else { Keep::Everything };
        for keep in [Keep::Nothing, other] {
            run_on_disk(at, Some(at), keep);
        }
    }
}
