//! Queries: rows by filter or by key.

use std::collections::BinaryHeap;

use cinclus_rpc::{QueryAnswer, QueryPlan};
use cinclus_types::{Key, Keys, Tick};

use super::members::Members;
use super::pick::pick;
use super::top::Place;
use crate::SegmentError;
use crate::growing::KeyRef;

/// A query of no more rows, or …
const SMALL_ROWS: u64 = 1024;
/// … of no more keys, is done where it was asked for.
const SMALL_KEYS: usize = 128;

/// A row that matches. Orders by key.
type Found = (Key, Tick, Place);

/// The answer to a query over these segments.
///
/// `gone` is asked between blocks: whether nobody waits for the answer any more.
pub(super) fn answer(
    members: &Members,
    plan: &QueryPlan,
    gone: &dyn Fn() -> bool,
) -> Result<QueryAnswer, SegmentError> {
    let at = members.at();
    let key_field = members.iter().next().map(|(_, member)| member.segment.key_field());
    let keys = match (&plan.filter, key_field) {
        (Some(filter), Some(field)) => filter.primary_keys(field),
        (Some(_) | None, None) | (None, Some(_)) => None,
    };
    if plan.count_only {
        let count = match &keys {
            Some(keys) => count_keys(members, keys),
            None => count(members, plan, gone)?,
        };
        return Ok(QueryAnswer { at, count, ..QueryAnswer::default() });
    }
    let found = match &keys {
        Some(keys) => by_keys(members, keys, plan.limit),
        None => by_filter(members, plan, gone)?,
    };
    let places: Vec<Place> = found.iter().map(|(_, _, place)| *place).collect();
    let rows = members.fetch(&places, &plan.output)?;
    let (keys, ticks) = found.into_iter().map(|(key, tick, _)| (key, tick)).unzip();
    Ok(QueryAnswer { at, count: 0, keys, ticks, rows })
}

/// Whether the answer takes less than handing the query to another thread.
pub(super) fn is_small(members: &Members, plan: &QueryPlan) -> bool {
    let key_field = members.iter().next().map(|(_, member)| member.segment.key_field());
    let keys = plan.filter.as_ref().zip(key_field).and_then(|(filter, field)| filter.primary_keys(field));
    let rows: u64 = members.iter().map(|(_, member)| u64::from(member.view.rows())).sum();
    rows <= SMALL_ROWS || keys.is_some_and(|keys| keys.len() <= SMALL_KEYS)
}

/// Every visible row that matches counts, also an older one of the same key.
fn count(members: &Members, plan: &QueryPlan, gone: &dyn Fn() -> bool) -> Result<u64, SegmentError> {
    let mut count = 0;
    for (_, member) in members.iter() {
        for block in member.view.blocks() {
            if gone() {
                return Err(SegmentError::Gone);
            }
            count += pick(block, &member.schema, plan.filter.as_deref(), members.at())?.picked().len() as u64;
        }
    }
    Ok(count)
}

fn count_keys(members: &Members, keys: &Keys) -> u64 {
    let rows =
        |row| members.iter().map(move |(_, m)| m.segment.count_of(KeyRef::nth(keys, row), members.at()));
    (0..keys.len()).flat_map(rows).sum()
}

/// `keys` ascend.
fn by_keys(members: &Members, keys: &Keys, limit: Option<usize>) -> Vec<Found> {
    let newest = |row| {
        let key = KeyRef::nth(keys, row);
        members.newest(key).map(|(tick, place)| (key.to_key(), tick, place))
    };
    (0..keys.len()).filter_map(newest).take(limit.unwrap_or(usize::MAX)).collect()
}

fn by_filter(
    members: &Members,
    plan: &QueryPlan,
    gone: &dyn Fn() -> bool,
) -> Result<Vec<Found>, SegmentError> {
    let limit = plan.limit.unwrap_or(usize::MAX);
    if limit == 0 {
        return Ok(Vec::new());
    }
    // The greatest key on top.
    let mut least: BinaryHeap<Found> = BinaryHeap::new();
    for (number, member) in members.iter() {
        let key_field = member.segment.key_field();
        for block in member.view.blocks() {
            if gone() {
                return Err(SegmentError::Gone);
            }
            let picked = pick(block, &member.schema, plan.filter.as_deref(), members.at())?;
            let picked = picked.picked();
            for row in (0..picked.len()).map(|at| picked.row(at)) {
                let Some(key) = block.key(key_field, row) else { continue };
                let full = least.len() >= limit;
                if full && least.peek().is_some_and(|(greatest, ..)| KeyRef::of(greatest) < key) {
                    continue;
                }
                let (tick, place) =
                    (block.ticks().get(row), Place { member: number, row: block.first() + row as u32 });
                if members.is_newest(place, tick, key) {
                    least.push((key.to_key(), tick, place));
                    if full {
                        least.pop();
                    }
                }
            }
        }
    }
    Ok(least.into_sorted_vec())
}
