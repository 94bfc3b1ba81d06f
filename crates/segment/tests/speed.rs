//! How fast searches, inserts and files are, beside what one core needs to sum the same bytes. Nothing here
//! fails by time: it prints. `cargo test --release -p cinclus-segment --test speed -- --ignored --nocapture`
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{Clock, Compute, OsClock};
use cinclus_rpc::SearchPlan;
use cinclus_segment::{ChunkWriter, SealedLoader, Segment, search};
use cinclus_types::{
    CollectionId, CollectionSchema, Column, ColumnData, DataType, FieldId, FieldSchema, Keys, Metric,
    PartitionId, Rows, SegmentEntry, SegmentId, SegmentState, Tick, VChannel, VChannelEntry,
};
use object_store::memory::InMemory;

const KEY: FieldId = FieldId(100);
const VECTOR: FieldId = FieldId(101);

fn floats(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn schema(dim: usize) -> Arc<CollectionSchema> {
    Arc::new(CollectionSchema {
        fields: vec![
            FieldSchema::new(KEY, "id", DataType::Int64).as_primary_key(),
            FieldSchema::new(VECTOR, "vector", DataType::FloatVector).with_param("dim", dim),
        ],
        ..CollectionSchema::default()
    })
}

fn rows(dim: usize, from: usize, count: usize) -> Rows {
    let keys = (from..from + count).map(|key| key as i64 * 7919).collect();
    let vectors = ColumnData::FloatVector { dim, data: floats(from as u64, count * dim) };
    let columns = vec![Column::new(KEY, ColumnData::Int64(keys)), Column::new(VECTOR, vectors)];
    Rows { count, columns }
}

fn segment(dim: usize, total: usize, each: usize) -> Segment {
    let segment = Segment::new(SegmentId(1), CollectionId(1), PartitionId(1), schema(dim)).unwrap();
    for from in (0..total).step_by(each) {
        segment.insert(rows(dim, from, each.min(total - from)), Tick(1 + from as u64)).unwrap();
    }
    segment
}

fn plan(dim: usize, metric: Metric, nq: usize, k: usize) -> SearchPlan {
    SearchPlan {
        field: VECTOR,
        metric,
        dim,
        queries: floats(42, nq * dim).into(),
        k,
        filter: None,
        range: None,
        beyond: None,
        output: vec![KEY],
        group_by: None,
        group_size: 1,
    }
}

/// As fast as one core can: sixteen sums side by side.
fn sum(floats: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for chunk in floats.chunks_exact(16) {
        for lane in 0..16 {
            sums[lane] += chunk[lane];
        }
    }
    sums.iter().sum()
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let clock = OsClock;
    let start = clock.monotonic();
    std::hint::black_box(work());
    clock.monotonic() - start
}

/// The median and the least.
fn middle(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[0])
}

#[test]
#[ignore = "measures"]
fn search_beside_a_plain_sum() {
    for (dim, total, each) in [(128, 100_000, 1), (128, 100_000, 10_000), (768, 20_000, 1000)] {
        let held = vec![Arc::new(segment(dim, total, each))];
        let base = floats(1, dim * total);
        for (metric, nq) in [(Metric::L2, 1), (Metric::Ip, 1), (Metric::Cosine, 1), (Metric::L2, 10)] {
            let plan = plan(dim, metric, nq, 10);
            search(&held, &[], &plan, Tick(u64::MAX - 1)).unwrap();
            let (mut sums, mut searches) = (Vec::new(), Vec::new());
            for _ in 0..21 {
                sums.push(time(|| sum(&base)));
                searches.push(time(|| search(&held, &[], &plan, Tick(u64::MAX - 1)).unwrap()));
            }
            let (sum, search) = (middle(sums), middle(searches));
            let ratio = |search: Duration, sum: Duration| search.as_secs_f64() / sum.as_secs_f64();
            println!(
                "{total} × {dim}, {each} a time, {metric:?}, nq {nq}: sum {:?}, search {:?}: {:.2} ×; least {:?}, {:?}: {:.2} ×",
                sum.0,
                search.0,
                ratio(search.0, sum.0),
                sum.1,
                search.1,
                ratio(search.1, sum.1),
            );
        }
        let raw = total * (dim * 4 + 8);
        let held = held[0].heap_bytes();
        println!(
            "  memory {held} of {raw} raw: {:.3} ×, {} B a row more",
            held as f64 / raw as f64,
            (held - raw) / total
        );
    }
}

#[test]
#[ignore = "measures"]
fn inserts_and_deletes() {
    for (dim, total, each) in
        [(128, 200_000, 1), (128, 200_000, 1000), (768, 50_000, 1000), (4, 500_000, 100)]
    {
        let batches: Vec<Rows> = (0..total).step_by(each).map(|from| rows(dim, from, each)).collect();
        let segment = Segment::new(SegmentId(1), CollectionId(1), PartitionId(1), schema(dim)).unwrap();
        let mut tick = 0;
        let inserted = time(|| {
            for rows in batches {
                tick += 1;
                segment.insert(rows, Tick(tick)).unwrap();
            }
        });
        let keys = Keys::Int64((0..total as i64).step_by(10).map(|key| key * 7919).collect());
        let deleted = time(|| segment.delete(&keys, Tick(u64::MAX - 1)));
        let mb = (total * (dim * 4 + 8)) as f64 / 1e6;
        let (held, raw) = (segment.heap_bytes(), total * (dim * 4 + 8));
        println!(
            "{total} × {dim}, {each} a time: {inserted:?} = {:.0} MB/s, {} ns a row; {} deletes {} ns each; {} B a row more",
            mb / inserted.as_secs_f64(),
            inserted.as_nanos() / total as u128,
            keys.len(),
            deleted.as_nanos() / keys.len() as u128,
            (held - raw) / total,
        );
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn chunks_to_and_from_memory() {
    let clock = OsClock;
    for (dim, total, each) in [(128, 100_000, 1), (768, 60_000, 1000)] {
        let segment = segment(dim, total, each);
        let store: Arc<dyn object_store::ObjectStore> = Arc::new(InMemory::new());
        let writer = ChunkWriter::new(store.clone(), Compute::inline());
        let start = clock.monotonic();
        let chunks = writer.write("chunk", vec![segment.unpersisted().unwrap()]).await.unwrap();
        let written = clock.monotonic() - start;
        let raw = (total * (dim * 4 + 8)) as f64;
        let bytes = chunks[0].bytes as f64;
        let entry = SegmentEntry {
            id: SegmentId(1),
            collection: CollectionId(1),
            partition: PartitionId(1),
            vchannel: VChannel::new("log_0_1v0"),
            state: SegmentState::Sealed,
            chunks,
            created: Tick(0),
            sealed: Tick(0),
        };
        let start = clock.monotonic();
        let loader = SealedLoader::new(store, Compute::inline());
        let loaded = loader.load(&entry, &VChannelEntry::default(), schema(dim)).await.unwrap();
        let read = clock.monotonic() - start;
        assert_eq!(loaded.rows(), segment.rows());
        println!(
            "{total} × {dim}: {:.3} × raw; written at {:.2} core-s/GB, loaded at {:.2} core-s/GB",
            bytes / raw,
            written.as_secs_f64() / raw * 1e9,
            read.as_secs_f64() / raw * 1e9,
        );
    }
}
