//! Searches and queries over segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cinclus_env::{Cancelled, Compute};
use cinclus_rpc::{Hits, QueryAnswer, QueryPlan, SearchPlan};
use cinclus_types::{Keys, PartitionId, Tick};

use super::answer::{answer, is_small};
use super::bounds::Bounds;
use super::groups::{BestOfGroups, MembersOfGroups};
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
    search_at_once(&scan(segments, partitions, plan, at)?, &Cancelled::default())
}

fn search_at_once(scan: &Scan, others: &Cancelled) -> Result<Hits, SegmentError> {
    let plan = scan.plan();
    let best = match plan.group_by {
        None => ranked(collect(scan, tops(plan), others)?),
        Some(_) => {
            let best = collect(scan, groups(plan), others)?;
            if plan.group_size <= 1 {
                ranked(best)
            } else {
                ranked(collect(scan, members_of(&best, plan), others)?)
            }
        }
    };
    hits(scan, best)
}

/// As [`search`], on the compute pool: in slices of about a millisecond, on all its threads, and no further
/// when the caller has gone. What is small is done at once, one slice in one piece.
///
/// # Errors
/// As [`search`].
pub async fn search_on(
    compute: &Compute,
    segments: &[Arc<Segment>],
    partitions: &[PartitionId],
    plan: &SearchPlan,
    at: Tick,
) -> Result<Hits, SegmentError> {
    let scan = scan(segments, partitions, plan, at)?;
    if scan.is_small() {
        return search_at_once(&scan, &Cancelled::default());
    }
    if scan.slices().len() == 1 {
        return compute.run_cancellable(move |others| search_at_once(&scan, others)).await;
    }
    let scan = Arc::new(scan);
    let best = match plan.group_by {
        None => ranked(collect_on(compute, &scan, || tops(plan)).await?),
        Some(_) => {
            let best = collect_on(compute, &scan, || groups(plan)).await?;
            if plan.group_size <= 1 {
                ranked(best)
            } else {
                ranked(collect_on(compute, &scan, || members_of(&best, plan)).await?)
            }
        }
    };
    compute.run(move || hits(&scan, best)).await
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
    answer(&Members::new(segments, partitions, at), plan, &|| false)
}

/// As [`query`], on the compute pool, and no further when the caller has gone. What is small is done at once.
///
/// # Errors
/// As [`query`].
pub async fn query_on(
    compute: &Compute,
    segments: &[Arc<Segment>],
    partitions: &[PartitionId],
    plan: &Arc<QueryPlan>,
    at: Tick,
) -> Result<QueryAnswer, SegmentError> {
    let members = Members::new(segments, partitions, at);
    if is_small(&members, plan) {
        return answer(&members, plan, &|| false);
    }
    let plan = plan.clone();
    compute.run_cancellable(move |cancelled| answer(&members, &plan, &|| cancelled.get())).await
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

fn scan(
    segments: &[Arc<Segment>],
    partitions: &[PartitionId],
    plan: &SearchPlan,
    at: Tick,
) -> Result<Scan, SegmentError> {
    if plan.dim == 0 || !plan.queries.len().is_multiple_of(plan.dim) {
        return Err(SegmentError::BrokenQueries { floats: plan.queries.len(), dim: plan.dim });
    }
    Ok(Scan::new(Members::new(segments, partitions, at), plan.clone()))
}

fn tops(plan: &SearchPlan) -> Vec<Top> {
    (0..plan.nq()).map(|_| Top::new(plan.k)).collect()
}

fn groups(plan: &SearchPlan) -> Vec<BestOfGroups> {
    (0..plan.nq()).map(|_| BestOfGroups::new(plan.k)).collect()
}

fn members_of(best: &[BestOfGroups], plan: &SearchPlan) -> Vec<MembersOfGroups> {
    best.iter().map(|best| best.members(plan.group_size)).collect()
}

fn ranked(collectors: Vec<impl Collector>) -> Vec<Vec<Candidate>> {
    collectors.into_iter().map(Collector::finish).collect()
}

fn collect<C: Collector>(
    scan: &Scan,
    mut collectors: Vec<C>,
    others: &Cancelled,
) -> Result<Vec<C>, SegmentError> {
    scan.run_all(&mut collectors, others)?;
    Ok(collectors)
}

/// Each thread of the pool takes slices as long as there are any, into collectors of its own.
async fn collect_on<C: Collector>(
    compute: &Compute,
    scan: &Arc<Scan>,
    collectors: impl Fn() -> Vec<C>,
) -> Result<Vec<C>, SegmentError> {
    let slices = scan.slices();
    let next = AtomicUsize::new(0);
    let lane = || async {
        let mut collectors = collectors();
        while let Some(slice) = slices.get(next.fetch_add(1, Ordering::Relaxed)).cloned() {
            let scan = scan.clone();
            let work = move |others: &Cancelled| (scan.run(slice, &mut collectors, others), collectors);
            let (outcome, back) = compute.run_cancellable(work).await;
            outcome?;
            collectors = back;
        }
        Ok(collectors)
    };
    let lanes = compute.parallelism().min(slices.len()).max(1);
    let lanes = futures::future::try_join_all((0..lanes).map(|_| lane()).collect::<Vec<_>>()).await?;
    let mut lanes = lanes.into_iter();
    let mut all = lanes.next().unwrap_or_default();
    for lane in lanes {
        all.iter_mut().zip(lane).for_each(|(mine, theirs)| mine.merge(theirs));
    }
    Ok(all)
}

fn hits(scan: &Scan, best: Vec<Vec<Candidate>>) -> Result<Hits, SegmentError> {
    let plan = scan.plan();
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
    hits.rows = scan.members().fetch(&places, &fields)?;
    Ok(hits)
}
