//! One answer out of the answers of many shards.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use cinclus_rpc::SearchAnswer;
use cinclus_types::{FieldId, Key, Rows, Tick};
use rustc_hash::FxHashSet;

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

/// A hit and where its row is.
struct Candidate<'a> {
    key: &'a Key,
    score: f32,
    row: usize,
}

/// Orders scores best first.
pub fn best_first(greater_is_better: bool) -> impl Fn(f32, f32) -> Ordering {
    move |a, b| if greater_is_better { b.total_cmp(&a) } else { a.total_cmp(&b) }
}

/// Merges the hits of all shards for `queries` queries. At the same score the lesser key comes first.
#[must_use]
pub fn merge(answers: Vec<SearchAnswer>, queries: usize, greater_is_better: bool, page: &Page) -> Merged {
    let order = best_first(greater_is_better);
    let mut merged =
        Merged { at: answers.iter().map(|a| a.at).min().unwrap_or_default(), ..Merged::default() };
    let bases = running(answers.iter().map(|answer| answer.hits.keys.len()));
    let starts: Vec<Vec<usize>> =
        answers.iter().map(|answer| running(answer.hits.counts.iter().copied())).collect();
    let groups = page.groups.map(|(field, size)| (groups_of(&answers, field), size));
    let mut rows = Vec::new();
    for query in 0..queries {
        let mut candidates = Vec::new();
        for (shard, answer) in answers.iter().enumerate() {
            let (Some(count), Some(start)) = (answer.hits.counts.get(query), starts[shard].get(query)) else {
                continue;
            };
            candidates.extend((*start..start + count).map(|at| Candidate {
                key: &answer.hits.keys[at],
                score: answer.hits.scores[at],
                row: bases[shard] + at,
            }));
        }
        candidates.sort_unstable_by(|a, b| order(a.score, b.score).then_with(|| a.key.cmp(b.key)));
        let mut seen = FxHashSet::default();
        candidates.retain(|hit| seen.insert(hit.key));
        let picked = match &groups {
            None => page_of(candidates, page),
            Some((groups, size)) => page_of_groups(candidates, groups, *size, page),
        };
        merged.counts.push(picked.len());
        for hit in picked {
            merged.keys.push(hit.key.clone());
            merged.scores.push(hit.score);
            rows.push(hit.row);
        }
    }
    merged.rows = concat(answers.into_iter().map(|answer| answer.hits.rows)).take(&rows);
    merged
}

fn page_of<'a>(hits: Vec<Candidate<'a>>, page: &Page) -> Vec<Candidate<'a>> {
    hits.into_iter().skip(page.offset).take(page.limit).collect()
}

/// The hits of the best groups, each group in one piece.
fn page_of_groups<'a>(
    hits: Vec<Candidate<'a>>,
    groups: &[String],
    size: usize,
    page: &Page,
) -> Vec<Candidate<'a>> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut taken: Vec<Vec<Candidate<'a>>> = Vec::new();
    for hit in hits {
        let place = *places.entry(groups[hit.row].as_str()).or_insert(taken.len());
        if place == taken.len() {
            taken.push(Vec::new());
        }
        if taken[place].len() < size {
            taken[place].push(hit);
        }
    }
    taken.into_iter().skip(page.offset).take(page.limit).flatten().collect()
}

/// The group of each row, as text.
fn groups_of(answers: &[SearchAnswer], field: FieldId) -> Vec<String> {
    let mut groups = Vec::new();
    for answer in answers {
        let column = answer.hits.rows.column(field);
        let value = |row| column.map_or_else(String::new, |column| format!("{:?}", column.value(row)));
        groups.extend((0..answer.hits.keys.len()).map(value));
    }
    groups
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
    use cinclus_rpc::Hits;
    use cinclus_types::{Column, ColumnData};

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

    fn check(answers: Vec<SearchAnswer>, greater: bool, page: &Page, expected: &[(i64, f32, i64)]) {
        let merged = merge(answers, 1, greater, page);
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
        check(vec![], true, &page(0, 5), &[]);
        assert_eq!(merge(shards(), 1, true, &page(0, 1)).at, Tick(4));
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
