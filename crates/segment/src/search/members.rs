//! The segments that a request reads.

use std::sync::Arc;

use cinclus_types::{CollectionSchema, FieldId, PartitionId, Rows, Tick};

use super::top::Place;
use crate::growing::{KeyRef, View};
use crate::{Segment, SegmentError};

/// The segments of the asked partitions, each as it stood when the request came.
pub(super) struct Members {
    list: Vec<Member>,
    /// Any segment, also one without rows: it knows the columns.
    any: Option<Arc<Segment>>,
    at: Tick,
}

/// One segment of them.
pub(super) struct Member {
    pub(super) segment: Arc<Segment>,
    pub(super) view: View,
    pub(super) schema: Arc<CollectionSchema>,
    /// Where a newer row of a key of this segment could be: in other segments, or in itself.
    rivals: Vec<u32>,
}

impl Members {
    pub(super) fn new(segments: &[Arc<Segment>], partitions: &[PartitionId], at: Tick) -> Members {
        let asked =
            |segment: &&Arc<Segment>| partitions.is_empty() || partitions.contains(&segment.partition());
        let mut list: Vec<Member> = Vec::new();
        let mut any = None;
        for segment in segments.iter().filter(asked) {
            any = any.or_else(|| Some(segment.clone()));
            let (view, schema) = segment.view_and_schema();
            if view.rows() > 0 {
                list.push(Member { segment: segment.clone(), view, schema, rivals: Vec::new() });
            }
        }
        let spans: Vec<_> = list.iter().map(|member| member.segment.key_span()).collect();
        for (mine, span) in spans.iter().enumerate() {
            let overlaps = |theirs: &usize| {
                if *theirs == mine {
                    return list[mine].segment.has_repeats();
                }
                match (span, &spans[*theirs]) {
                    (Some(mine), Some(theirs)) => mine.0 <= theirs.1 && theirs.0 <= mine.1,
                    (None, _) | (_, None) => true,
                }
            };
            let rivals = (0..spans.len()).filter(overlaps).map(|rival| rival as u32).collect();
            list[mine].rivals = rivals;
        }
        Members { list, any, at }
    }

    pub(super) fn at(&self) -> Tick {
        self.at
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Member)> {
        (0..).zip(&self.list)
    }

    pub(super) fn member(&self, number: u32) -> &Member {
        &self.list[number as usize]
    }

    /// Whether no newer row of its key is visible. Of rows with the same tick the last is the newest, so that
    /// of each key exactly one visible row is.
    pub(super) fn is_newest(&self, place: Place, tick: Tick, key: KeyRef<'_>) -> bool {
        let rivals = &self.list[place.member as usize].rivals;
        rivals.iter().all(|&member| {
            let newest = self.list[member as usize].segment.newest_row(key, self.at);
            newest.is_none_or(|(row, other)| (other, member, row) <= (tick, place.member, place.row))
        })
    }

    /// The newest visible row of a key.
    pub(super) fn newest(&self, key: KeyRef<'_>) -> Option<(Tick, Place)> {
        let in_member = |(member, at): (u32, &Member)| {
            at.segment.newest_row(key, self.at).map(|(row, tick)| (tick, Place { member, row }))
        };
        self.iter().filter_map(in_member).max()
    }

    /// The values of rows from all members, in this order.
    pub(super) fn fetch(&self, places: &[Place], fields: &[FieldId]) -> Result<Rows, SegmentError> {
        if let (Some(any), true) = (&self.any, places.is_empty()) {
            return any.fetch(&[], fields);
        }
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&at| places[at].member);
        let mut joined: Option<Rows> = None;
        for (member, at) in self.iter() {
            let from = order.partition_point(|&at| places[at].member < member);
            let to = order.partition_point(|&at| places[at].member <= member);
            if from == to {
                continue;
            }
            let rows: Vec<u32> = order[from..to].iter().map(|&at| places[at].row).collect();
            let part = at.segment.fetch(&rows, fields)?;
            match &mut joined {
                None => joined = Some(part),
                Some(joined) => {
                    joined.count += part.count;
                    joined.columns.iter_mut().zip(&part.columns).for_each(|(mine, more)| mine.append(more));
                }
            }
        }
        let joined = joined.unwrap_or_default();
        if order.is_sorted() {
            return Ok(joined);
        }
        let mut back = vec![0; order.len()];
        for (sorted, &at) in order.iter().enumerate() {
            back[at] = sorted;
        }
        Ok(joined.take(&back))
    }
}
