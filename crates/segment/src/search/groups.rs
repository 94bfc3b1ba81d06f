//! The best groups of one query.

use std::collections::BTreeMap;

use cinclus_types::{Column, ColumnData};

use super::top::{Candidate, Collector, Top};
use crate::SegmentError;

/// The value of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GroupKey {
    /// No value; also of rows that are not grouped.
    Null,
    Bool(bool),
    Int(i64),
    Text(Box<[u8]>),
}

impl GroupKey {
    /// The group of a row.
    pub(super) fn of(column: &Column, row: usize) -> Result<GroupKey, SegmentError> {
        if !column.is_valid(row) {
            return Ok(GroupKey::Null);
        }
        match &column.data {
            ColumnData::Bool(values) => Ok(GroupKey::Bool(values[row])),
            ColumnData::Int8(values) => Ok(GroupKey::Int(values[row].into())),
            ColumnData::Int16(values) => Ok(GroupKey::Int(values[row].into())),
            ColumnData::Int32(values) => Ok(GroupKey::Int(values[row].into())),
            ColumnData::Int64(values) => Ok(GroupKey::Int(values[row])),
            ColumnData::VarChar(texts) => Ok(GroupKey::Text(texts.get(row).into())),
            ColumnData::Float(_)
            | ColumnData::Double(_)
            | ColumnData::Json(_)
            | ColumnData::Array(_)
            | ColumnData::FloatVector { .. } => Err(SegmentError::NotAGroup(column.field)),
        }
    }
}

/// The best row of each of the best `k` groups.
///
/// A group that fell out of the best `k` comes back only by a row that is better than the one it had, so
/// nothing is lost by forgetting it.
#[derive(Debug)]
pub(super) struct BestOfGroups {
    k: usize,
    best: BTreeMap<GroupKey, Candidate>,
    order: BTreeMap<Candidate, GroupKey>,
}

impl BestOfGroups {
    pub(super) fn new(k: usize) -> BestOfGroups {
        BestOfGroups { k, best: BTreeMap::new(), order: BTreeMap::new() }
    }

    /// Collects up to `size` rows of each of these groups in a second pass.
    pub(super) fn members(&self, size: usize) -> MembersOfGroups {
        MembersOfGroups { groups: self.best.keys().map(|group| (group.clone(), Top::new(size))).collect() }
    }
}

impl Collector for BestOfGroups {
    fn limit(&self) -> f32 {
        match self.order.last_key_value() {
            Some((worst, _)) if self.order.len() >= self.k => worst.rank,
            Some(_) => f32::INFINITY,
            None if self.k == 0 => f32::NEG_INFINITY,
            None => f32::INFINITY,
        }
    }

    fn wants(&self, rank: f32, group: &GroupKey) -> bool {
        rank <= self.best.get(group).map_or(self.limit(), |best| best.rank)
    }

    fn push(&mut self, candidate: Candidate, group: GroupKey) {
        if let Some(best) = self.best.get(&group) {
            if *best <= candidate {
                return;
            }
            self.order.remove(best);
        }
        self.order.insert(candidate.clone(), group.clone());
        self.best.insert(group, candidate);
        if self.order.len() > self.k
            && let Some((_, group)) = self.order.pop_last()
        {
            self.best.remove(&group);
        }
    }

    fn merge(&mut self, other: BestOfGroups) {
        for (candidate, group) in other.order {
            if self.wants(candidate.rank, &group) {
                self.push(candidate, group);
            }
        }
    }

    fn finish(self) -> Vec<Candidate> {
        self.order.into_keys().collect()
    }
}

/// The best rows of each of some groups.
#[derive(Debug)]
pub(super) struct MembersOfGroups {
    groups: BTreeMap<GroupKey, Top>,
}

impl Collector for MembersOfGroups {
    fn limit(&self) -> f32 {
        if self.groups.is_empty() { f32::NEG_INFINITY } else { f32::INFINITY }
    }

    fn wants(&self, rank: f32, group: &GroupKey) -> bool {
        self.groups.get(group).is_some_and(|top| top.wants(rank, group))
    }

    fn push(&mut self, candidate: Candidate, group: GroupKey) {
        if let Some(top) = self.groups.get_mut(&group) {
            top.push(candidate, group);
        }
    }

    fn merge(&mut self, other: MembersOfGroups) {
        for (group, top) in other.groups {
            if let Some(mine) = self.groups.get_mut(&group) {
                mine.merge(top);
            }
        }
    }

    fn finish(self) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = self.groups.into_values().flat_map(Top::finish).collect();
        all.sort_unstable();
        all
    }
}
