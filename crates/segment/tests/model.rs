//! Random inserts, deletes and reads against a model of a few lines.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_env::Compute;
use cinclus_rpc::{QueryPlan, RangeBounds, SearchPlan};
use cinclus_segment::{Segment, newest, query, query_on, search, search_on};
use cinclus_types::{
    CollectionId, CollectionSchema, Column, ColumnData, DataType, FieldId, FieldSchema, Key, Keys, Metric,
    PartitionId, Rows, SegmentId, Tick,
};
use futures::executor::block_on;
use proptest::prelude::*;

const KEY: FieldId = FieldId(100);
const VECTOR: FieldId = FieldId(101);
const COLOUR: FieldId = FieldId(102);
const DIM: usize = 3;

/// What the model knows of a row.
#[derive(Clone, Debug)]
struct Row {
    segment: usize,
    key: i64,
    tick: u64,
    deleted_at: u64,
    vector: [f32; DIM],
    colour: i64,
}

/// What a filter should do.
type Matches<'a> = &'a dyn Fn(&Row) -> bool;

#[derive(Clone, Debug)]
enum Step {
    Insert {
        segment: usize,
        keys: Vec<i64>,
        seed: u8,
    },
    Delete {
        keys: Vec<i64>,
    },
    /// A delete and an insert at one tick.
    Upsert {
        segment: usize,
        keys: Vec<i64>,
        seed: u8,
    },
    /// So many rows at once that they become a block.
    Load {
        segment: usize,
        rows: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let keys = || prop::collection::vec(0..25_i64, 1..8);
    let step = prop_oneof![
        6 => (0..3_usize, keys(), any::<u8>()).prop_map(|(segment, keys, seed)| Step::Insert { segment, keys, seed }),
        4 => keys().prop_map(|keys| Step::Delete { keys }),
        4 => (0..3_usize, keys(), any::<u8>()).prop_map(|(segment, keys, seed)| Step::Upsert { segment, keys, seed }),
        1 => (0..3_usize, 1024..1300_usize).prop_map(|(segment, rows)| Step::Load { segment, rows }),
    ];
    prop::collection::vec(step, 1..20)
}

fn schema(text_keys: bool) -> Arc<CollectionSchema> {
    let key_type = if text_keys { DataType::VarChar } else { DataType::Int64 };
    Arc::new(CollectionSchema {
        fields: vec![
            FieldSchema::new(KEY, "id", key_type).as_primary_key(),
            FieldSchema::new(VECTOR, "vector", DataType::FloatVector).with_param("dim", DIM),
            FieldSchema::new(COLOUR, "colour", DataType::Int64),
        ],
        ..CollectionSchema::default()
    })
}

struct World {
    compute: Compute,
    text_keys: bool,
    segments: Vec<Arc<Segment>>,
    rows: Vec<Row>,
    tick: u64,
    next_key: i64,
}

impl World {
    fn new(text_keys: bool) -> World {
        let segment = |n: i64| {
            Segment::new(SegmentId(n), CollectionId(1), PartitionId(n % 2), schema(text_keys)).unwrap()
        };
        let segments = (0..3).map(|n| Arc::new(segment(n))).collect();
        World {
            compute: Compute::threads(3),
            text_keys,
            segments,
            rows: Vec::new(),
            tick: 10,
            next_key: 1000,
        }
    }

    fn key(&self, key: i64) -> Key {
        if self.text_keys { Key::VarChar(format!("key {key:08}").into()) } else { Key::Int64(key) }
    }

    fn keys(&self, keys: &[i64]) -> Keys {
        if self.text_keys {
            Keys::VarChar(keys.iter().map(|key| format!("key {key:08}")).collect())
        } else {
            Keys::Int64(keys.to_vec())
        }
    }

    fn insert(&mut self, segment: usize, keys: &[i64], seed: u8) {
        let mut vectors = Vec::new();
        let mut colours = Vec::new();
        for (at, &key) in keys.iter().enumerate() {
            // Few values, so that many scores are equal.
            let value = |axis: usize| f32::from(((seed as usize + at * 5 + axis * 3) % 4) as u8) - 1.0;
            let vector: [f32; DIM] = std::array::from_fn(value);
            let colour = (key + i64::from(seed)) % 4;
            let row = Row { segment, key, tick: self.tick, deleted_at: u64::MAX, vector, colour };
            vectors.extend_from_slice(&vector);
            colours.push(colour);
            self.rows.push(row);
        }
        let keys = match self.keys(keys) {
            Keys::Int64(keys) => ColumnData::Int64(keys),
            Keys::VarChar(keys) => ColumnData::VarChar(keys),
        };
        let count = colours.len();
        let columns = vec![
            Column::new(KEY, keys),
            Column::new(VECTOR, ColumnData::FloatVector { dim: DIM, data: vectors }),
            Column::new(COLOUR, ColumnData::Int64(colours)),
        ];
        self.segments[segment].insert(Rows { count, columns }, Tick(self.tick)).unwrap();
    }

    fn delete(&mut self, keys: &[i64]) {
        for segment in &self.segments {
            segment.delete(&self.keys(keys), Tick(self.tick));
        }
        for row in self.rows.iter_mut().filter(|row| keys.contains(&row.key) && row.tick < self.tick) {
            row.deleted_at = row.deleted_at.min(self.tick);
        }
    }

    fn step(&mut self, step: &Step) {
        self.tick += 3;
        match step {
            Step::Insert { segment, keys, seed } => self.insert(*segment, keys, *seed),
            Step::Delete { keys } => self.delete(keys),
            Step::Upsert { segment, keys, seed } => {
                self.delete(keys);
                self.insert(*segment, keys, *seed);
            }
            Step::Load { segment, rows } => {
                let keys: Vec<i64> = (self.next_key..self.next_key + *rows as i64).collect();
                self.next_key += *rows as i64;
                self.insert(*segment, &keys, 7);
            }
        }
    }

    /// The rows that are visible at `at` in the partition.
    fn visible(&self, at: u64, partition: Option<i64>) -> Vec<&Row> {
        let asked = |row: &&Row| partition.is_none_or(|partition| row.segment as i64 % 2 == partition);
        self.rows.iter().filter(asked).filter(|row| row.tick <= at && row.deleted_at > at).collect()
    }

    /// Of each key the newest.
    fn newest(&self, at: u64, partition: Option<i64>) -> BTreeMap<i64, Vec<&Row>> {
        let mut newest: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
        for row in self.visible(at, partition) {
            let rows = newest.entry(row.key).or_default();
            if rows.first().is_some_and(|other| other.tick < row.tick) {
                rows.clear();
            }
            rows.push(row);
        }
        newest
    }

    fn check(&self, at: u64, partition: Option<i64>) {
        let partitions: Vec<PartitionId> = partition.map(PartitionId).into_iter().collect();
        let newest_rows = self.newest(at, partition);
        let plan = QueryPlan { filter: None, limit: None, count_only: true, output: vec![] };
        let answer = query(&self.segments, &partitions, &plan, Tick(at)).unwrap();
        assert_eq!(answer.count, self.visible(at, partition).len() as u64);

        for limit in [None, Some(5)] {
            let plan = QueryPlan {
                filter: None,
                limit,
                count_only: false,
                output: vec![FieldId::TIMESTAMP, VECTOR, KEY],
            };
            let answer = query(&self.segments, &partitions, &plan, Tick(at)).unwrap();
            let take = limit.unwrap_or(usize::MAX);
            let expected: Vec<Key> = newest_rows.keys().take(take).map(|&key| self.key(key)).collect();
            assert_eq!(answer.keys, expected);
            for (row, versions) in newest_rows.values().take(take).enumerate() {
                assert_eq!(answer.ticks[row], Tick(versions[0].tick));
                assert_eq!(answer.rows.columns[2].data.key(row).unwrap(), self.key(versions[0].key));
                let ColumnData::FloatVector { data, .. } = &answer.rows.columns[1].data else { panic!() };
                assert!(versions.iter().any(|version| version.vector == data[row * DIM..][..DIM]));
                assert_eq!(
                    answer.rows.columns[0].data.value(row),
                    cinclus_types::Value::Int(versions[0].tick as i64)
                );
            }
        }
        let keys: Vec<i64> = (0..30).collect();
        let expected: Vec<Option<Tick>> =
            keys.iter().map(|key| newest_rows.get(key).map(|rows| Tick(rows[0].tick))).collect();
        assert_eq!(newest(&self.segments, &partitions, &self.keys(&keys), Tick(at)), expected);
    }

    /// Queries with filters: the newest row of a key must match, an older one does not stand in for it.
    fn check_filters(&self, at: u64, steps: usize) {
        let newest_rows = self.newest(at, None);
        let some_keys: Vec<i64> = (0..20).map(|n| (n * 7 + steps as i64) % 31).collect();
        let names: Vec<String> = some_keys
            .iter()
            .map(|&key| match self.key(key) {
                Key::Int64(key) => key.to_string(),
                Key::VarChar(key) => format!("\"{key}\""),
            })
            .collect();
        let by_key = format!("id in [{}]", names.join(", "));
        let filters: [(&str, Matches<'_>); 4] = [
            ("colour == 2", &|row| row.colour == 2),
            ("colour in [0, 3] and not (colour == 3)", &|row| row.colour == 0),
            (&by_key, &|row| some_keys.contains(&row.key)),
            ("colour > 9", &|_| false),
        ];
        for (text, matches) in filters {
            let filter = cinclus_expr::parse(text, &schema(self.text_keys), &BTreeMap::new()).unwrap();
            let filter = Some(Arc::new(filter));
            let count = QueryPlan { filter: filter.clone(), limit: None, count_only: true, output: vec![] };
            let expected = self.visible(at, None).into_iter().filter(|row| matches(row)).count();
            assert_eq!(
                query(&self.segments, &[], &count, Tick(at)).unwrap().count,
                expected as u64,
                "{text}"
            );
            for limit in [None, Some(3)] {
                let plan = QueryPlan { limit, count_only: false, output: vec![COLOUR], ..count.clone() };
                let answer = query(&self.segments, &[], &plan, Tick(at)).unwrap();
                let matching = newest_rows.iter().filter(|(_, rows)| matches(rows.last().unwrap()));
                let take = limit.unwrap_or(usize::MAX);
                let expected: Vec<Key> = matching.map(|(&key, _)| self.key(key)).take(take).collect();
                assert_eq!(answer.keys, expected, "{text} at {at}");
                let plan = Arc::new(plan);
                let on_pool = query_on(&self.compute, &self.segments, &[], &plan, Tick(at));
                assert_eq!(block_on(on_pool).unwrap(), answer);
            }
            let plan = SearchPlan { filter, ..plan(Metric::L2, &[0.5, 1.0, -1.0], 6) };
            let hits = search(&self.segments, &[], &plan, Tick(at)).unwrap();
            let mut ranked = World::ranked(&newest_rows, &plan, &plan.queries);
            ranked.retain(|(_, key)| matches(newest_rows[key].last().unwrap()));
            let expected: Vec<Key> = ranked.iter().take(6).map(|(_, key)| self.key(*key)).collect();
            assert_eq!(hits.keys, expected, "{text} at {at}");
        }
    }

    /// Rank (less is better) and key of what a search should answer. A key that was inserted twice at one
    /// tick may be answered by either row: such keys are left out of what is compared.
    fn ranked(newest: &BTreeMap<i64, Vec<&Row>>, plan: &SearchPlan, query: &[f32]) -> Vec<(f32, i64)> {
        let mut ranked: Vec<(f32, i64)> = Vec::new();
        for (&key, rows) in newest {
            let score = score(plan.metric, query, &rows.last().unwrap().vector);
            let better = |a: f32, b: f32| if plan.metric.greater_is_better() { a > b } else { a < b };
            let inside = plan.range.is_none_or(|range| {
                better(score, range.radius) && range.filter.is_none_or(|filter| !better(score, filter))
            });
            if inside && plan.beyond.is_none_or(|beyond| better(beyond, score)) {
                ranked.push((if plan.metric.greater_is_better() { 0.0 - score } else { score }, key));
            }
        }
        ranked.sort_by(|a, b| a.partial_cmp(b).unwrap());
        ranked
    }

    fn check_search(&self, at: u64, plan: &SearchPlan) {
        let hits = search(&self.segments, &[], plan, Tick(at)).unwrap();
        assert_eq!(hits.counts.len(), plan.nq());
        let on_pool = search_on(&self.compute, &self.segments, &[], plan, Tick(at));
        assert_eq!(block_on(on_pool).unwrap(), hits);
        let newest = self.newest(at, None);
        let mut start = 0;
        for (number, query) in plan.queries.chunks(DIM).enumerate() {
            let ranked = World::ranked(&newest, plan, query);
            let expected: Vec<(f32, i64)> = ranked.into_iter().take(plan.k).collect();
            let range = start..start + hits.counts[number];
            let keys: Vec<Key> = expected.iter().map(|(_, key)| self.key(*key)).collect();
            assert_eq!(hits.keys[range.clone()], keys, "query {number} of {plan:?} at {at}");
            for (hit, (rank, key)) in range.clone().zip(&expected) {
                let score = if plan.metric.greater_is_better() { -rank } else { *rank };
                assert!((hits.scores[hit] - score).abs() < 1e-5);
                assert_eq!(hits.ticks[hit], Tick(newest[key][0].tick));
                assert_eq!(hits.rows.columns[0].data.key(hit).unwrap(), self.key(*key));
            }
            start = range.end;
        }
        assert_eq!((start, start), (hits.keys.len(), hits.rows.count));
    }
}

fn score(metric: Metric, query: &[f32], row: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    match metric {
        Metric::L2 => query.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum(),
        Metric::Ip => dot(query, row),
        Metric::Cosine => {
            let norms = dot(query, query).sqrt() * dot(row, row).sqrt();
            if norms > 0.0 { dot(query, row) / norms } else { 0.0 }
        }
    }
}

fn plan(metric: Metric, queries: &[f32], k: usize) -> SearchPlan {
    SearchPlan {
        field: VECTOR,
        metric,
        dim: DIM,
        queries: queries.into(),
        k,
        filter: None,
        range: None,
        beyond: None,
        output: vec![KEY],
        group_by: None,
        group_size: 1,
    }
}

/// Keys of one insert, each once: which of two rows with one tick is answered is not the model's business.
fn each_once(steps: Vec<Step>) -> Vec<Step> {
    let once = |mut keys: Vec<i64>| {
        keys.sort_unstable();
        keys.dedup();
        keys
    };
    let step = |step| match step {
        Step::Insert { segment, keys, seed } => Step::Insert { segment, keys: once(keys), seed },
        Step::Upsert { segment, keys, seed } => Step::Upsert { segment, keys: once(keys), seed },
        other @ (Step::Delete { .. } | Step::Load { .. }) => other,
    };
    steps.into_iter().map(step).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_at_any_tick_show_what_the_model_shows(steps in steps(), text_keys: bool) {
        let mut world = World::new(text_keys);
        for step in &steps {
            world.step(step);
        }
        for at in [0, world.tick / 2, world.tick - 3, world.tick - 1, world.tick, u64::MAX - 1] {
            for partition in [None, Some(0), Some(1)] {
                world.check(at, partition);
            }
        }
        let total: u64 = world.segments.iter().map(|segment| segment.visible_count(Tick(world.tick))).sum();
        prop_assert_eq!(total, world.visible(world.tick, None).len() as u64);
    }

    #[test]
    fn searches_find_what_a_plain_loop_finds(steps in steps(), text_keys: bool, k in 1..12_usize) {
        let mut world = World::new(text_keys);
        let steps_taken = steps.len();
        for step in &each_once(steps) {
            world.step(step);
        }
        let queries = [1.0, 0.0, -1.0, 2.0, 2.0, 0.5, 0.0, 0.0, 0.0, -1.0, -1.0, 1.0, 0.3, 0.2, 0.1];
        for at in [world.tick / 2, world.tick] {
            world.check_filters(at, steps_taken);
            for metric in [Metric::L2, Metric::Ip, Metric::Cosine] {
                let plain = plan(metric, &queries, k);
                world.check_search(at, &plain);
                world.check_search(at, &SearchPlan { k: 5000, ..plain.clone() });
                let radius = if metric == Metric::L2 { 6.0 } else { -0.5 };
                let filter = Some(if metric == Metric::L2 { 2.0 } else { 0.7 });
                let range = Some(RangeBounds { radius, filter });
                world.check_search(at, &SearchPlan { range, ..plain.clone() });
                world.check_search(at, &SearchPlan { beyond: Some(0.25), ..plain.clone() });
            }
        }
    }

    #[test]
    fn groups_are_led_by_their_best_rows(steps in steps(), k in 1..4_usize, group_size in 1..4_usize) {
        let mut world = World::new(false);
        for step in &each_once(steps) {
            world.step(step);
        }
        let query = [1.0, 0.5, -1.0];
        let plan = SearchPlan { group_by: Some(COLOUR), group_size, ..plan(Metric::L2, &query, k) };
        let hits = search(&world.segments, &[], &plan, Tick(world.tick)).unwrap();
        let on_pool = search_on(&world.compute, &world.segments, &[], &plan, Tick(world.tick));
        prop_assert_eq!(&block_on(on_pool).unwrap(), &hits);
        let rows = world.newest(world.tick, None);
        let mut groups: BTreeMap<i64, usize> = BTreeMap::new();
        let mut leaders: Vec<i64> = Vec::new();
        let mut expected = Vec::new();
        let ranked = World::ranked(&rows, &plan, &query);
        for (_, key) in &ranked {
            let colour = rows[key].last().unwrap().colour;
            if !leaders.contains(&colour) && leaders.len() < k {
                leaders.push(colour);
            }
        }
        for (_, key) in &ranked {
            let colour = rows[key].last().unwrap().colour;
            let count = groups.entry(colour).or_default();
            if leaders.contains(&colour) && *count < group_size {
                *count += 1;
                expected.push(Key::Int64(*key));
            }
        }
        prop_assert_eq!(hits.keys, expected);
        prop_assert_eq!(hits.rows.columns.len(), 2);
    }
}

#[test]
fn an_iterator_goes_on_where_it_stopped_whatever_has_become_a_block_since() {
    let mut world = World::new(false);
    for at in 0..900 {
        world.tick += 1;
        world.insert(at % 3, &[at as i64], (at * 7) as u8);
    }
    let snapshot = world.tick;
    let plan = plan(Metric::Cosine, &[0.3, -0.8, 0.1], 1);
    let mut found = 0;
    let mut beyond = None;
    loop {
        world.tick += 1;
        world.step(&Step::Load { segment: found % 3, rows: 1024 });
        let next = SearchPlan { beyond, ..plan.clone() };
        let hits = search(&world.segments, &[], &next, Tick(snapshot)).unwrap();
        let Some(&score) = hits.scores.first() else { break };
        assert!(beyond.is_none_or(|beyond| score < beyond));
        beyond = Some(score);
        found += 1;
    }
    let mut scores: Vec<u32> = world
        .visible(snapshot, None)
        .iter()
        .map(|row| score(Metric::Cosine, &[0.3, -0.8, 0.1], &row.vector))
        .map(|score| (score * 1e4).round() as i32 as u32)
        .collect();
    scores.sort_unstable();
    scores.dedup();
    assert_eq!(found, scores.len());
}

#[test]
fn a_delete_never_hides_its_own_tick_and_the_least_delete_wins() {
    let mut world = World::new(false);
    world.tick = 20;
    world.insert(0, &[1, 2], 0);
    let segment = &world.segments[0];
    segment.delete(&Keys::Int64(vec![1]), Tick(20));
    segment.delete_each(&Keys::Int64(vec![2, 2]), &[Tick(30), Tick(25)]);
    let visible = |at: u64| segment.visible_count(Tick(at));
    assert_eq!([19, 20, 24, 25, 30].map(visible), [0, 2, 2, 1, 1]);
    assert_eq!(segment.newest(&Key::Int64(2), Tick(24)), Some(Tick(20)));
    assert_eq!(segment.newest(&Key::Int64(2), Tick(25)), None);
}

#[test]
fn a_run_of_rows_ends_at_its_tick_and_outlives_later_inserts() {
    let mut world = World::new(false);
    world.insert(0, &[1, 2], 0);
    world.tick = 11;
    world.insert(0, &[3], 0);
    world.insert(0, &(1000..2100).collect::<Vec<_>>(), 0);
    let segment = world.segments[0].clone();
    let run = segment.rows_since(1, Tick(10)).unwrap();
    assert_eq!((run.rows.clone(), run.tick_min, run.tick_max), (1..2, Tick(10), Tick(10)));
    assert_eq!(segment.rows_since(1, Tick(11)).unwrap().rows, 1..1103);
    segment.set_persisted(3);
    world.tick = 12;
    world.insert(0, &[7], 0);
    let rest = segment.unpersisted().unwrap();
    assert_eq!((rest.rows.clone(), rest.tick_min, rest.tick_max), (3..1104, Tick(11), Tick(12)));
    segment.set_persisted(1104);
    assert!(segment.unpersisted().is_none() && segment.rows_since(5, Tick(9)).is_none());
}
