//! One answer out of the answers of all shards, and the part of it that is wanted.

use std::collections::BTreeMap;

use cinclus_rpc::{Hits, SearchAnswer, SearchPlan, merge_hits};
use cinclus_types::{FieldId, Key, Rows, Tick};

/// Which part of the merged hits is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Hits (or groups) to skip.
    pub offset: usize,
    /// Hits (or groups) for each query.
    pub limit: usize,
    /// The field of groups and how many hits each has.
    pub groups: Option<(FieldId, usize)>,
}

/// Hits of several queries, best first within each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// Hits of each query.
    pub counts: Vec<usize>,
    /// Their keys, one query behind another.
    pub keys: Vec<Key>,
    /// Their scores.
    pub scores: Vec<f32>,
    /// Their output fields.
    pub rows: Rows,
    /// The tick that every shard had reached.
    pub at: Tick,
}

/// Merges the hits of all shards and cuts out the page.
#[must_use]
pub fn merge(mut answers: Vec<SearchAnswer>, plan: &SearchPlan, page: &Page) -> Merged {
    let at = answers.iter().map(|answer| answer.at).min().unwrap_or_default();
    let mut hits = if let [only] = answers.as_mut_slice() {
        std::mem::take(&mut only.hits)
    } else {
        let sources: Vec<Hits> = answers.into_iter().map(|answer| answer.hits).collect();
        merge_hits(&sources, plan)
    };
    // Where nothing is found a shard need not say so query by query.
    hits.counts.resize(plan.nq(), 0);
    cut(hits, at, page)
}

fn cut(hits: Hits, at: Tick, page: &Page) -> Merged {
    let whole = page.offset == 0 && hits.counts.iter().all(|count| *count <= page.limit);
    if whole && page.groups.is_none() {
        return Merged { counts: hits.counts, keys: hits.keys, scores: hits.scores, rows: hits.rows, at };
    }
    let groups = page.groups.map(|(field, size)| (groups_of(&hits, field), size));
    let (mut counts, mut picked, mut start) = (Vec::new(), Vec::new(), 0);
    for count in &hits.counts {
        let of_query = start..start + count;
        start = of_query.end;
        let before = picked.len();
        match &groups {
            None => picked.extend(of_query.skip(page.offset).take(page.limit)),
            Some((groups, size)) => picked.extend(page_of_groups(of_query, groups, *size, page)),
        }
        counts.push(picked.len() - before);
    }
    Merged {
        counts,
        keys: picked.iter().map(|&hit| hits.keys[hit].clone()).collect(),
        scores: picked.iter().map(|&hit| hits.scores[hit]).collect(),
        rows: hits.rows.take(&picked),
        at,
    }
}

/// The hits of the best groups, each group in one piece.
fn page_of_groups(
    hits: std::ops::Range<usize>,
    groups: &[String],
    size: usize,
    page: &Page,
) -> impl Iterator<Item = usize> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut taken: Vec<Vec<usize>> = Vec::new();
    for hit in hits {
        let place = *places.entry(groups[hit].as_str()).or_insert(taken.len());
        if place == taken.len() {
            taken.push(Vec::new());
        }
        if taken[place].len() < size {
            taken[place].push(hit);
        }
    }
    taken.into_iter().skip(page.offset).take(page.limit).flatten()
}

/// The group of each hit, as text.
fn groups_of(hits: &Hits, field: FieldId) -> Vec<String> {
    let column = hits.rows.column(field);
    let value = |row| column.map_or_else(String::new, |column| format!("{:?}", column.value(row)));
    (0..hits.keys.len()).map(value).collect()
}

/// Where each part begins if all stand one behind another.
pub(crate) fn running(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut total = 0;
    let before = |length| {
        total += length;
        total - length
    };
    lengths.map(before).collect()
}

/// The rows of all parts, one behind another.
#[must_use]
pub fn concat(parts: impl Iterator<Item = Rows>) -> Rows {
    let mut all: Option<Rows> = None;
    for part in parts.filter(|part| part.count > 0) {
        match &mut all {
            None => all = Some(part),
            Some(all) => {
                all.count += part.count;
                for (column, more) in all.columns.iter_mut().zip(&part.columns) {
                    column.append(more);
                }
            }
        }
    }
    all.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cinclus_types::{Column, ColumnData, Metric};

    use super::*;

    /// Hits of one query: key, score, group; the group is the row's only column.
    fn answer(at: u64, hits: &[(i64, f32, i64)]) -> SearchAnswer {
        let groups = ColumnData::Int64(hits.iter().map(|hit| hit.2).collect());
        SearchAnswer {
            at: Tick(at),
            hits: Hits {
                counts: vec![hits.len()],
                keys: hits.iter().map(|hit| Key::Int64(hit.0)).collect(),
                scores: hits.iter().map(|hit| hit.1).collect(),
                ticks: vec![Tick(1); hits.len()],
                rows: Rows { count: hits.len(), columns: vec![Column::new(FieldId(100), groups)] },
            },
        }
    }

    fn plan(greater: bool, page: &Page) -> SearchPlan {
        SearchPlan {
            field: FieldId(101),
            metric: if greater { Metric::Ip } else { Metric::L2 },
            dim: 1,
            queries: Arc::from([0.0]),
            k: page.limit + page.offset,
            filter: None,
            range: None,
            beyond: None,
            output: vec![FieldId(100)],
            group_by: page.groups.map(|(field, _)| field),
            group_size: page.groups.map_or(1, |(_, size)| size),
        }
    }

    fn check(answers: Vec<SearchAnswer>, greater: bool, page: &Page, expected: &[(i64, f32, i64)]) {
        let merged = merge(answers, &plan(greater, page), page);
        let column = merged.rows.column(FieldId(100)).map(|column| column.data.clone());
        let groups = match column {
            Some(ColumnData::Int64(values)) => values,
            _ => Vec::new(),
        };
        let number = |key: &Key| match key {
            Key::Int64(key) => *key,
            Key::VarChar(_) => unreachable!(),
        };
        let found: Vec<(i64, f32, i64)> = (0..merged.keys.len())
            .map(|at| (number(&merged.keys[at]), merged.scores[at], groups[at]))
            .collect();
        assert_eq!((found.as_slice(), merged.counts), (expected, vec![expected.len()]));
    }

    fn page(offset: usize, limit: usize) -> Page {
        Page { offset, limit, groups: None }
    }

    #[test]
    fn hits_of_shards_are_merged_best_first() {
        let shards =
            || vec![answer(5, &[(1, 0.1, 10), (2, 0.3, 20)]), answer(4, &[(3, 0.2, 30), (4, 0.3, 40)])];
        check(shards(), false, &page(0, 3), &[(1, 0.1, 10), (3, 0.2, 30), (2, 0.3, 20)]);
        check(shards(), false, &page(1, 2), &[(3, 0.2, 30), (2, 0.3, 20)]);
        check(shards(), true, &page(0, 1), &[(2, 0.3, 20)]);
        check(vec![answer(1, &[]), answer(1, &[(9, 1.0, 1)])], true, &page(0, 5), &[(9, 1.0, 1)]);
        check(vec![SearchAnswer::default()], true, &page(0, 5), &[]);
        assert_eq!(merge(shards(), &plan(true, &page(0, 1)), &page(0, 1)).at, Tick(4));
    }

    #[test]
    fn groups_stay_together_and_offset_skips_groups() {
        let shards = || {
            vec![answer(1, &[(1, 0.9, 7), (2, 0.8, 8), (3, 0.7, 7)]), answer(1, &[(4, 0.6, 7), (5, 0.5, 9)])]
        };
        let groups = |offset, limit, size| Page { offset, limit, groups: Some((FieldId(100), size)) };
        check(shards(), true, &groups(0, 2, 1), &[(1, 0.9, 7), (2, 0.8, 8)]);
        check(shards(), true, &groups(0, 1, 2), &[(1, 0.9, 7), (3, 0.7, 7)]);
        check(shards(), true, &groups(1, 2, 2), &[(2, 0.8, 8), (5, 0.5, 9)]);
    }
}
