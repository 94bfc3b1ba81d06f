//! Searches and queries over segments.

use std::sync::Arc;

use cinclus_rpc::{Hits, QueryAnswer, QueryPlan, SearchPlan};
use cinclus_types::{Keys, PartitionId, Tick};

use super::answer::answer;
use super::bounds::Bounds;
use super::groups::BestOfGroups;
use super::members::Members;
use super::scan::Scan;
use super::top::{Candidate, Collector, Place, Top};
use crate::growing::KeyRef;
use crate::{Segment, SegmentError};

/// The best hits of each query among the rows that are visible at `at` in the segments of these partitions
/// (none named: all). Each key is answered once, by its newest visible row, or not at all if that one does
/// not match. Best first, equal scores by key. The field that is grouped by is answered also if it was not
/// asked for.
///
/// # Errors
/// If the plan does not fit the schema of the segments.
pub fn search(
    segments: &[Arc<Segment>],
    partitions: &[PartitionId],
    plan: &SearchPlan,
    at: Tick,
) -> Result<Hits, SegmentError> {
    if plan.dim == 0 || !plan.queries.len().is_multiple_of(plan.dim) {
        return Err(SegmentError::BrokenQueries { floats: plan.queries.len(), dim: plan.dim });
    }
    let members = Members::new(segments, partitions, at);
    let scan = Scan::new(&members, plan);
    let best = match plan.group_by {
        None => collect(&scan, (0..plan.nq()).map(|_| Top::new(plan.k)).collect())?,
        Some(_) => grouped(&scan, plan)?,
    };
    hits(&members, plan, best)
}

/// The rows that are visible at `at` and match, in the segments of these partitions (none named: all), by
/// ascending key. Each key is answered once, by its newest visible row, or not at all if that one does not
/// match; `count_only` counts every visible row that matches.
///
/// # Errors
/// If the plan does not fit the schema of the segments.
pub fn query(
    segments: &[Arc<Segment>],
    partitions: &[PartitionId],
    plan: &QueryPlan,
    at: Tick,
) -> Result<QueryAnswer, SegmentError> {
    answer(&Members::new(segments, partitions, at), plan)
}

/// The tick of the newest row of each key that is visible at `at` in the segments of these partitions (none
/// named: all), whatever its other values.
#[must_use]
pub fn newest(
    segments: &[Arc<Segment>],
    partitions: &[PartitionId],
    keys: &Keys,
    at: Tick,
) -> Vec<Option<Tick>> {
    let asked = |segment: &&Arc<Segment>| partitions.is_empty() || partitions.contains(&segment.partition());
    let segments: Vec<&Arc<Segment>> = segments.iter().filter(asked).collect();
    let newest_of = |row| {
        let key = KeyRef::nth(keys, row);
        segments.iter().filter_map(|segment| segment.newest_row(key, at)).map(|(_, tick)| tick).max()
    };
    (0..keys.len()).map(newest_of).collect()
}

fn collect<C: Collector>(
    scan: &Scan<'_>,
    mut collectors: Vec<C>,
) -> Result<Vec<Vec<Candidate>>, SegmentError> {
    scan.run(&mut collectors)?;
    Ok(collectors.into_iter().map(Collector::finish).collect())
}

fn grouped(scan: &Scan<'_>, plan: &SearchPlan) -> Result<Vec<Vec<Candidate>>, SegmentError> {
    let mut best: Vec<_> = (0..plan.nq()).map(|_| BestOfGroups::new(plan.k)).collect();
    scan.run(&mut best)?;
    if plan.group_size <= 1 {
        return Ok(best.into_iter().map(Collector::finish).collect());
    }
    collect(scan, best.into_iter().map(|best| best.into_members(plan.group_size)).collect())
}

fn hits(members: &Members<'_>, plan: &SearchPlan, best: Vec<Vec<Candidate>>) -> Result<Hits, SegmentError> {
    let mut fields = plan.output.clone();
    fields.extend(plan.group_by.filter(|field| !plan.output.contains(field)));
    let bounds = Bounds::of(plan);
    let mut hits = Hits { counts: best.iter().map(Vec::len).collect(), ..Hits::default() };
    let mut places: Vec<Place> = Vec::new();
    for candidate in best.into_iter().flatten() {
        hits.keys.push(candidate.key);
        hits.scores.push(bounds.score(candidate.rank));
        hits.ticks.push(candidate.tick);
        places.push(candidate.place);
    }
    hits.rows = members.fetch(&places, &fields)?;
    Ok(hits)
}
