//! Merging answers: of segments into a shard's, of shards into a collection's.
//!
//! A key is answered once, by its newest row among those given.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use cinclus_types::{Key, Metric, Rows, Tick, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{Hits, QueryAnswer, QueryPlan, SearchPlan};

/// Where a hit comes from: which source, which row of it.
#[derive(Clone, Copy)]
struct Place {
    source: usize,
    row: usize,
}

/// Merges hits of the same queries from several sources: the best `plan.k` of each query, best first.
#[must_use]
pub fn merge_hits(sources: &[Hits], plan: &SearchPlan) -> Hits {
    if let [only] = sources {
        return only.clone();
    }
    let mut starts = vec![0; sources.len()];
    let mut picked: Vec<Place> = Vec::new();
    let mut counts = Vec::with_capacity(plan.nq());
    for query in 0..plan.nq() {
        let mut places = Vec::new();
        for (source, hits) in sources.iter().enumerate() {
            let count = hits.counts.get(query).copied().unwrap_or(0);
            places.extend((starts[source]..starts[source] + count).map(|row| Place { source, row }));
            starts[source] += count;
        }
        let before = picked.len();
        picked.extend(best(sources, places, plan));
        counts.push(picked.len() - before);
    }
    let row = |place: &Place| (&sources[place.source], place.row);
    Hits {
        counts,
        keys: picked.iter().map(|p| row(p).0.keys[p.row].clone()).collect(),
        scores: picked.iter().map(|p| row(p).0.scores[p.row]).collect(),
        ticks: picked.iter().map(|p| row(p).0.ticks[p.row]).collect(),
        rows: gather(sources.iter().map(|hits| &hits.rows), &picked),
    }
}

/// The hits that `keep` lets through, by their place over all queries; of each query at most `limit`.
#[must_use]
pub fn keep_hits(hits: &Hits, limit: usize, mut keep: impl FnMut(usize) -> bool) -> Hits {
    let (mut start, mut kept, mut counts) = (0, Vec::new(), Vec::with_capacity(hits.counts.len()));
    for count in &hits.counts {
        let before = kept.len();
        kept.extend((start..start + count).filter(|&index| keep(index)).take(limit));
        counts.push(kept.len() - before);
        start += count;
    }
    Hits {
        counts,
        keys: kept.iter().map(|&index| hits.keys[index].clone()).collect(),
        scores: kept.iter().map(|&index| hits.scores[index]).collect(),
        ticks: kept.iter().map(|&index| hits.ticks[index]).collect(),
        rows: hits.rows.take(&kept),
    }
}

/// The rows that `keep` lets through, by their place; at most `limit`.
#[must_use]
pub fn keep_rows(answer: &QueryAnswer, limit: usize, keep: impl FnMut(&usize) -> bool) -> QueryAnswer {
    let kept: Vec<usize> = (0..answer.keys.len()).filter(keep).take(limit).collect();
    QueryAnswer {
        at: answer.at,
        count: answer.count,
        keys: kept.iter().map(|&index| answer.keys[index].clone()).collect(),
        ticks: kept.iter().map(|&index| answer.ticks[index]).collect(),
        rows: answer.rows.take(&kept),
    }
}

/// The order of hits: better scores first, equal scores by key.
#[must_use]
pub fn compare_hits(metric: Metric, a: (f32, &Key), b: (f32, &Key)) -> Ordering {
    let by_score = if metric.greater_is_better() { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) };
    by_score.then_with(|| a.1.cmp(b.1))
}

fn best(sources: &[Hits], mut places: Vec<Place>, plan: &SearchPlan) -> Vec<Place> {
    let key = |place: &Place| &sources[place.source].keys[place.row];
    let score = |place: &Place| sources[place.source].scores[place.row];
    let tick = |place: &Place| sources[place.source].ticks[place.row];
    let mut newest: FxHashMap<&Key, Tick> = FxHashMap::default();
    for place in &places {
        let entry = newest.entry(key(place)).or_default();
        *entry = (*entry).max(tick(place));
    }
    places.retain(|place| newest.get(key(place)) == Some(&tick(place)));
    places.sort_by(|a, b| compare_hits(plan.metric, (score(a), key(a)), (score(b), key(b))));
    let mut seen: FxHashSet<&Key> = FxHashSet::default();
    places.retain(|place| seen.insert(key(place)));
    match plan.group_by {
        None => places.truncate(plan.k),
        Some(field) => {
            let mut groups: BTreeMap<String, usize> = BTreeMap::new();
            places.retain(|place| {
                let column = sources[place.source].rows.column(field);
                let value = column.map_or(Value::Null, |column| column.value(place.row));
                take_of_group(&mut groups, &value, plan)
            });
        }
    }
    places
}

/// Whether a hit with this group value still belongs to the answer: at most `k` groups, each of at most
/// `group_size` hits.
pub fn take_of_group(groups: &mut BTreeMap<String, usize>, value: &Value, plan: &SearchPlan) -> bool {
    let name = format!("{value:?}");
    let full = groups.len() >= plan.k;
    match groups.get_mut(&name) {
        Some(count) if *count >= plan.group_size.max(1) => false,
        Some(count) => {
            *count += 1;
            true
        }
        None if full => false,
        None => {
            groups.insert(name, 1);
            true
        }
    }
}

/// Merges rows from several sources in ascending key order, at most `plan.limit`.
#[must_use]
pub fn merge_answers(sources: &[QueryAnswer], plan: &QueryPlan) -> QueryAnswer {
    let at = sources.iter().map(|answer| answer.at).max().unwrap_or_default();
    let count = sources.iter().map(|answer| answer.count).sum();
    let mut newest: BTreeMap<&Key, Place> = BTreeMap::new();
    for (source, answer) in sources.iter().enumerate() {
        for (row, key) in answer.keys.iter().enumerate() {
            let place = newest.entry(key).or_insert(Place { source, row });
            if answer.ticks[row] > sources[place.source].ticks[place.row] {
                *place = Place { source, row };
            }
        }
    }
    let picked: Vec<Place> = newest.into_values().take(plan.limit.unwrap_or(usize::MAX)).collect();
    QueryAnswer {
        at,
        count,
        keys: picked.iter().map(|p| sources[p.source].keys[p.row].clone()).collect(),
        ticks: picked.iter().map(|p| sources[p.source].ticks[p.row]).collect(),
        rows: gather(sources.iter().map(|answer| &answer.rows), &picked),
    }
}

/// The rows of `places`, in that order.
fn gather<'a>(sources: impl Iterator<Item = &'a Rows>, places: &[Place]) -> Rows {
    let sources: Vec<&Rows> = sources.collect();
    // Each source is taken from once; `order` then says where each of its rows goes.
    let mut joined = Rows::default();
    let mut position = vec![0; places.len()];
    for (index, rows) in sources.iter().enumerate() {
        let wanted: Vec<usize> = (0..places.len()).filter(|&i| places[i].source == index).collect();
        if wanted.is_empty() {
            continue;
        }
        let taken = rows.take(&wanted.iter().map(|&i| places[i].row).collect::<Vec<_>>());
        for (offset, &i) in wanted.iter().enumerate() {
            position[i] = joined.count + offset;
        }
        join(&mut joined, taken);
    }
    if places.is_empty() {
        // No row at all: the shape of the columns is that of any source.
        return sources.first().map(|rows| rows.take(&[])).unwrap_or_default();
    }
    joined.take(&position)
}

fn join(rows: &mut Rows, more: Rows) {
    if rows.count == 0 {
        *rows = more;
        return;
    }
    rows.count += more.count;
    for column in &mut rows.columns {
        if let Some(other) = more.column(column.field) {
            column.append(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cinclus_types::{Column, ColumnData, FieldId};

    use super::*;

    fn plan(k: usize) -> SearchPlan {
        SearchPlan {
            field: FieldId(101),
            metric: Metric::L2,
            dim: 1,
            queries: Arc::from([0.0]),
            k,
            filter: None,
            range: None,
            beyond: None,
            output: vec![FieldId(102)],
            group_by: None,
            group_size: 1,
        }
    }

    fn hits(rows: &[(i64, f32, u64)]) -> Hits {
        let column = Column::new(FieldId(102), ColumnData::Int64(rows.iter().map(|r| r.0 * 10).collect()));
        Hits {
            counts: vec![rows.len()],
            keys: rows.iter().map(|r| Key::Int64(r.0)).collect(),
            scores: rows.iter().map(|r| r.1).collect(),
            ticks: rows.iter().map(|r| Tick(r.2)).collect(),
            rows: Rows { count: rows.len(), columns: vec![column] },
        }
    }

    #[test]
    fn a_key_is_answered_by_its_newest_row_even_if_an_older_one_is_nearer() {
        let merged =
            merge_hits(&[hits(&[(1, 0.1, 5), (2, 0.2, 5)]), hits(&[(3, 0.15, 5), (1, 0.9, 7)])], &plan(3));
        assert_eq!(merged.keys, [Key::Int64(3), Key::Int64(2), Key::Int64(1)]);
        assert_eq!(merged.rows.columns[0].data, ColumnData::Int64(vec![30, 20, 10]));
        assert_eq!((merged.counts, merged.scores[2]), (vec![3], 0.9));
    }

    #[test]
    fn a_group_has_no_more_than_its_size() {
        let grouped = SearchPlan { group_by: Some(FieldId(102)), ..plan(2) };
        let twice = |key| Hits { keys: vec![Key::Int64(key)], ..hits(&[(1, 0.5, 1)]) };
        let merged = merge_hits(&[twice(7), twice(8)], &grouped);
        assert_eq!(merged.keys, [Key::Int64(7)]);
    }

    #[test]
    fn queries_merge_in_key_order() {
        let answer = |keys: &[i64], tick: u64| QueryAnswer {
            at: Tick(tick),
            count: keys.len() as u64,
            keys: keys.iter().map(|&k| Key::Int64(k)).collect(),
            ticks: vec![Tick(tick); keys.len()],
            rows: Rows {
                count: keys.len(),
                columns: vec![Column::new(FieldId(100), ColumnData::Int64(vec![tick as i64; keys.len()]))],
            },
        };
        let plan = QueryPlan { filter: None, limit: Some(3), count_only: false, output: vec![] };
        let merged = merge_answers(&[answer(&[1, 4, 9], 1), answer(&[2, 4], 2)], &plan);
        assert_eq!(merged.keys, [Key::Int64(1), Key::Int64(2), Key::Int64(4)]);
        assert_eq!(merged.rows.columns[0].data, ColumnData::Int64(vec![1, 2, 2]));
        assert_eq!((merged.at, merged.count), (Tick(2), 5));
    }
}
