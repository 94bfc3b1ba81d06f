//! One pass over the vectors.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use cinclus_env::Cancelled;
use cinclus_rpc::SearchPlan;
use cinclus_types::{Column, ColumnData, FieldId, Metric};

use super::bounds::Bounds;
use super::groups::GroupKey;
use super::kernel::{self, Measure, Picked};
use super::members::{Member, Members};
use super::pick::{Pick, pick};
use super::top::{Candidate, Collector, Place};
use crate::SegmentError;
use crate::growing::{Block, filled};

/// Rows that are measured together: their vectors stay in the cache of a core for all queries.
const STRIP_BYTES: usize = 128 << 10;
/// Queries whose scores are kept together.
const QUERIES: usize = 64;
/// Bytes that are read, once for each query, in about a millisecond.
const SLICE_BYTES: usize = 8 << 20;
/// A search of no more rows, …
const SMALL_ROWS: usize = 4096;
/// … and no more floats for all queries together, is done where it was asked for.
const SMALL_FLOATS: usize = 512 << 10;
/// Scores that are passed over together if none is good enough.
const SKIP: usize = 32;

/// A search that is being done.
pub(super) struct Scan {
    members: Members,
    plan: SearchPlan,
    bounds: Bounds,
    /// For COSINE the norm of each query, else empty.
    norms: Vec<f32>,
    /// All blocks, and whose they are.
    blocks: Vec<(u32, Arc<Block>)>,
}

/// A block, whose it is, and the vectors of the searched field.
struct Part<'a> {
    member: u32,
    key_field: FieldId,
    block: &'a Block,
    vectors: &'a [f32],
    groups: Option<Cow<'a, Column>>,
}

impl Scan {
    pub(super) fn new(members: Members, plan: SearchPlan) -> Scan {
        let norms = match plan.metric {
            Metric::Cosine => kernel::norms(&plan.queries, plan.dim).into_vec(),
            Metric::L2 | Metric::Ip => Vec::new(),
        };
        let of = |(number, member): (u32, &Member)| {
            member.view.blocks().map(|block| (number, block.clone())).collect::<Vec<_>>()
        };
        let blocks = members.iter().flat_map(of).collect();
        Scan { bounds: Bounds::of(&plan), members, plan, norms, blocks }
    }

    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    pub(super) fn plan(&self) -> &SearchPlan {
        &self.plan
    }

    /// All blocks, in slices of about a millisecond of work.
    pub(super) fn slices(&self) -> Vec<Range<usize>> {
        let (mut slices, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (at, (_, block)) in self.blocks.iter().enumerate() {
            bytes += block.len() * self.plan.dim * self.plan.nq() * size_of::<f32>();
            if bytes >= SLICE_BYTES {
                slices.push(start..at + 1);
                (start, bytes) = (at + 1, 0);
            }
        }
        if start < self.blocks.len() {
            slices.push(start..self.blocks.len());
        }
        slices
    }

    /// Whether the whole search takes less than handing it to another thread.
    pub(super) fn is_small(&self) -> bool {
        let rows: usize = self.blocks.iter().map(|(_, block)| block.len()).sum();
        rows <= SMALL_ROWS && rows * self.plan.dim * self.plan.nq() <= SMALL_FLOATS
    }

    /// Shows every row of these blocks that can be answered to the collector of each query.
    pub(super) fn run(
        &self,
        blocks: Range<usize>,
        collectors: &mut [impl Collector],
        others: &Cancelled,
    ) -> Result<(), SegmentError> {
        let mut scores = Vec::new();
        for (number, block) in &self.blocks[blocks] {
            others.give_way();
            let member = self.members.member(*number);
            if let Some((part, picked)) = self.part(*number, member, block)? {
                self.block(&part, picked.picked(), collectors, &mut scores)?;
            }
        }
        Ok(())
    }

    /// As [`Scan::run`], over all blocks.
    pub(super) fn run_all(
        &self,
        collectors: &mut [impl Collector],
        others: &Cancelled,
    ) -> Result<(), SegmentError> {
        self.run(0..self.blocks.len(), collectors, others)
    }

    fn part<'b>(
        &self,
        number: u32,
        member: &'b Member,
        block: &'b Block,
    ) -> Result<Option<(Part<'b>, Pick)>, SegmentError> {
        let field = self.plan.field;
        // Rows that are older than the field have no vector.
        let Some(column) = block.column(field) else { return Ok(None) };
        let ColumnData::FloatVector { dim, data } = &column.data else {
            return Err(SegmentError::NotAVector(field));
        };
        if *dim != self.plan.dim {
            return Err(SegmentError::WrongDimension { field, expected: *dim, found: self.plan.dim });
        }
        let mut picked = pick(block, &member.schema, self.plan.filter.as_deref(), self.members.at())?;
        if column.valid.is_some() {
            picked = picked.filtered(|row| column.is_valid(row));
        }
        let groups = match self.plan.group_by {
            Some(field) => Some(filled(block, field, &member.schema)?),
            None => None,
        };
        let key_field = member.segment.key_field();
        Ok(Some((Part { member: number, key_field, block, vectors: data, groups }, picked)))
    }

    fn block(
        &self,
        part: &Part<'_>,
        picked: Picked<'_>,
        collectors: &mut [impl Collector],
        scores: &mut Vec<f32>,
    ) -> Result<(), SegmentError> {
        let dim = self.plan.dim;
        // Whole tiles of four rows.
        let strip = (STRIP_BYTES / (dim * 4)).max(1).next_multiple_of(4);
        let measure = match self.plan.metric {
            Metric::L2 => Measure::Squares,
            Metric::Ip | Metric::Cosine => Measure::Dot,
        };
        let mut from = 0;
        while from < picked.len() {
            let count = strip.min(picked.len() - from);
            let rows = match picked {
                Picked::Run(first, _) => Picked::Run(first + from, count),
                Picked::Rows(rows) => Picked::Rows(&rows[from..from + count]),
            };
            let groups = self.plan.queries.chunks(QUERIES * dim).zip(collectors.chunks_mut(QUERIES));
            for (number, (queries, collectors)) in groups.enumerate() {
                scores.resize(collectors.len() * count, 0.0);
                kernel::measure(measure, dim, queries, part.vectors, rows, scores);
                for (at, (line, collector)) in scores.chunks_exact_mut(count).zip(collectors).enumerate() {
                    self.finish_scores(part, rows, number * QUERIES + at, line);
                    self.offer(part, rows, line, collector)?;
                }
            }
            from += count;
        }
        Ok(())
    }

    /// Makes cosines of inner products. What has no direction is at a right angle to everything.
    fn finish_scores(&self, part: &Part<'_>, rows: Picked<'_>, query: usize, scores: &mut [f32]) {
        let Some(&norm) = self.norms.get(query) else { return };
        let norms = part.block.norms(self.plan.field).unwrap_or_default();
        for (at, score) in scores.iter_mut().enumerate() {
            let product = norm * norms[rows.row(at)];
            *score = if product > 0.0 { *score / product } else { 0.0 };
        }
    }

    fn offer(
        &self,
        part: &Part<'_>,
        rows: Picked<'_>,
        scores: &[f32],
        collector: &mut impl Collector,
    ) -> Result<(), SegmentError> {
        let mut limit = collector.limit();
        for (number, strip) in scores.chunks(SKIP).enumerate() {
            // Once the best are found nearly nothing gets further than this line.
            if !strip.iter().fold(false, |any, &score| any | (self.bounds.rank(score) <= limit)) {
                continue;
            }
            for (at, &score) in strip.iter().enumerate() {
                if self.bounds.rank(score) <= limit && self.bounds.admit(score) {
                    self.consider(part, rows.row(number * SKIP + at), score, collector)?;
                    limit = collector.limit();
                }
            }
        }
        Ok(())
    }

    fn consider(
        &self,
        part: &Part<'_>,
        row: usize,
        score: f32,
        collector: &mut impl Collector,
    ) -> Result<(), SegmentError> {
        let rank = self.bounds.rank(score);
        let group = match &part.groups {
            Some(column) => GroupKey::of(column, row)?,
            None => GroupKey::Null,
        };
        if !collector.wants(rank, &group) {
            return Ok(());
        }
        let Some(key) = part.block.key(part.key_field, row) else { return Ok(()) };
        let place = Place { member: part.member, row: part.block.first() + row as u32 };
        let tick = part.block.ticks().get(row);
        if self.members.is_newest(place, tick, key) {
            collector.push(Candidate { rank, key: key.to_key(), tick, place }, group);
        }
        Ok(())
    }
}
