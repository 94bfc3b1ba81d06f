//! The best hits of one query.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use cinclus_types::{Key, Tick};

use super::groups::GroupKey;

/// A row that may be answered. Orders by rank, equal ranks by key: the least is the best.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) rank: f32,
    pub(super) key: Key,
    pub(super) tick: Tick,
    pub(super) place: Place,
}

/// A row of one of the segments that are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) member: u32,
    pub(super) row: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> Ordering {
        self.rank.total_cmp(&other.rank).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the best of what it is given.
pub(super) trait Collector: Send + 'static {
    /// Nothing of a greater rank is kept any more.
    fn limit(&self) -> f32;

    /// Whether a row of this rank and group could be kept.
    fn wants(&self, rank: f32, group: &GroupKey) -> bool;

    /// Takes a row that it wants.
    fn push(&mut self, candidate: Candidate, group: GroupKey);

    /// Takes over what another one kept.
    fn merge(&mut self, other: Self);

    /// What was kept, best first.
    fn finish(self) -> Vec<Candidate>;
}

/// The best `k` rows.
#[derive(Debug)]
pub(super) struct Top {
    k: usize,
    /// The worst on top.
    heap: BinaryHeap<Candidate>,
}

impl Top {
    pub(super) fn new(k: usize) -> Top {
        Top { k, heap: BinaryHeap::new() }
    }
}

impl Collector for Top {
    #[inline]
    fn limit(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.k => worst.rank,
            _ if self.k == 0 => f32::NEG_INFINITY,
            _ => f32::INFINITY,
        }
    }

    #[inline]
    fn wants(&self, rank: f32, _group: &GroupKey) -> bool {
        rank <= self.limit()
    }

    fn push(&mut self, candidate: Candidate, _group: GroupKey) {
        if self.heap.len() < self.k {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    fn merge(&mut self, other: Top) {
        for candidate in other.heap {
            if self.wants(candidate.rank, &GroupKey::Null) {
                self.push(candidate, GroupKey::Null);
            }
        }
    }

    fn finish(self) -> Vec<Candidate> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_ordered_by_key_also_at_the_end_of_the_list() {
        let mut top = Top::new(2);
        for (rank, key) in [(1.0, 9), (0.5, 7), (1.0, 3), (2.0, 1), (1.0, 4)] {
            if top.wants(rank, &GroupKey::Null) {
                let place = Place { member: 0, row: key as u32 };
                top.push(Candidate { rank, key: Key::Int64(key), tick: Tick(1), place }, GroupKey::Null);
            }
        }
        assert_eq!(top.limit(), 1.0);
        let keys: Vec<Key> = top.finish().into_iter().map(|candidate| candidate.key).collect();
        assert_eq!(keys, [Key::Int64(7), Key::Int64(3)]);
        assert!(!Top::new(0).wants(0.0, &GroupKey::Null));
    }
}
