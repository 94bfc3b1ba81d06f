//! What a segment refuses, and what readers see while it changes.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cinclus_env::Compute;
use cinclus_rpc::{QueryPlan, SearchPlan};
use cinclus_segment::{RowTicks, Segment, query, search};
use cinclus_types::{
    CollectionId, CollectionSchema, Column, ColumnData, DataType, FieldId, FieldSchema, Key, Keys, Metric,
    PartitionId, Rows, SegmentId, Tick,
};
use futures::executor::block_on;

const KEY: FieldId = FieldId(100);
const VECTOR: FieldId = FieldId(101);
const COLOUR: FieldId = FieldId(102);
const DIM: usize = 3;

fn schema() -> Arc<CollectionSchema> {
    Arc::new(CollectionSchema {
        fields: vec![
            FieldSchema::new(KEY, "id", DataType::Int64).as_primary_key(),
            FieldSchema::new(VECTOR, "vector", DataType::FloatVector).with_param("dim", DIM),
            FieldSchema::new(COLOUR, "colour", DataType::Int64),
        ],
        ..CollectionSchema::default()
    })
}

fn plan(query: &[f32], k: usize) -> SearchPlan {
    SearchPlan {
        field: VECTOR,
        metric: Metric::L2,
        dim: DIM,
        queries: query.into(),
        k,
        filter: None,
        range: None,
        beyond: None,
        output: vec![KEY],
        group_by: None,
        group_size: 1,
    }
}

#[test]
fn rows_that_do_not_fit_are_refused_and_change_nothing() {
    let segment = Segment::new(SegmentId(1), CollectionId(1), PartitionId(1), schema()).unwrap();
    let keys = || Column::new(KEY, ColumnData::Int64(vec![1, 2]));
    let colours = Column::new(COLOUR, ColumnData::Int64(vec![1]));
    let refused = [
        Rows { count: 1, columns: vec![colours.clone()] },
        Rows { count: 2, columns: vec![keys(), colours] },
        Rows { count: 2, columns: vec![Column::new(KEY, ColumnData::Int32(vec![1, 2]))] },
    ];
    for rows in refused {
        assert!(segment.insert(rows, Tick(1)).is_err());
    }
    let two_of_three = RowTicks::Each(vec![Tick(1)]);
    assert!(segment.insert_ticks(Rows { count: 2, columns: vec![keys()] }, two_of_three).is_err());
    assert_eq!((segment.rows(), segment.newest(&Key::Int64(1), Tick(9))), (0, None));
}

/// One writer and several readers at once. Invariant Q1: at each published tick a reader sees exactly the
/// rows of the model, however far the writer has gone on.
#[test]
fn readers_beside_the_writer_see_each_published_tick_whole() {
    const STEPS: u64 = 3000;
    let segment = Arc::new(Segment::new(SegmentId(1), CollectionId(1), PartitionId(1), schema()).unwrap());
    let published = Arc::new(AtomicU64::new(0));
    let compute = Compute::threads(4);
    // Step t inserts the keys t and −t and deletes the key t − 10: 2t rows less t − 10 are visible.
    let visible = |t: u64| 2 * t - t.saturating_sub(10);
    let writer = compute.run({
        let (segment, published) = (segment.clone(), published.clone());
        move || {
            for t in 1..=STEPS {
                let keys = vec![t as i64, -(t as i64)];
                let vectors = ColumnData::FloatVector { dim: DIM, data: vec![t as f32; 2 * DIM] };
                let columns = vec![
                    Column::new(KEY, ColumnData::Int64(keys)),
                    Column::new(VECTOR, vectors),
                    Column::new(COLOUR, ColumnData::Int64(vec![1, 2])),
                ];
                segment.insert(Rows { count: 2, columns }, Tick(t)).unwrap();
                if t > 10 {
                    segment.delete(&Keys::Int64(vec![t as i64 - 10]), Tick(t));
                }
                published.store(t, Ordering::Release);
            }
        }
    });
    let reader = |number: u64| {
        let (segments, published) = (vec![segment.clone()], published.clone());
        compute.run(move || {
            let mut reads = 0;
            loop {
                let newest = published.load(Ordering::Acquire);
                // Also older snapshots.
                let at = newest.saturating_sub(number * 40);
                let count = QueryPlan { filter: None, limit: None, count_only: true, output: vec![] };
                assert_eq!(query(&segments, &[], &count, Tick(at)).unwrap().count, visible(at));
                assert_eq!(segments[0].newest(&Key::Int64(1), Tick(at)).is_some(), (1..=10).contains(&at));
                if at > 0 {
                    let query = vec![at as f32; DIM];
                    let hits = search(&segments, &[], &plan(&query, 2), Tick(at)).unwrap();
                    assert_eq!(hits.keys, [Key::Int64(-(at as i64)), Key::Int64(at as i64)]);
                }
                reads += 1;
                if newest == STEPS {
                    return reads;
                }
            }
        })
    };
    let readers = futures::future::join_all((0..3).map(reader));
    let (_, reads) = block_on(futures::future::join(writer, readers));
    assert!(reads.iter().all(|&reads: &u64| reads > 0));
}
