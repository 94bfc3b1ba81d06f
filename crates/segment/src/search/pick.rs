//! Which rows of a block are read.

use std::borrow::Cow;

use cinclus_expr::Expr;
use cinclus_types::{CollectionSchema, Column, Tick};

use super::kernel::Picked;
use crate::SegmentError;
use crate::filter::evaluate;
use crate::growing::{Block, filled};

/// The rows of a block that a request reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// All: none was looked at.
    All(usize),
    /// These.
    Some(Vec<u32>),
}

impl Pick {
    pub(super) fn picked(&self) -> Picked<'_> {
        match self {
            Pick::All(count) => Picked::Run(0, *count),
            Pick::Some(rows) => Picked::Rows(rows),
        }
    }

    /// Only those that `keep` keeps.
    pub(super) fn filtered(self, keep: impl Fn(usize) -> bool) -> Pick {
        match self {
            Pick::All(count) => Pick::Some((0..count as u32).filter(|&row| keep(row as usize)).collect()),
            Pick::Some(mut rows) => {
                rows.retain(|&row| keep(row as usize));
                Pick::Some(rows)
            }
        }
    }
}

/// The rows of a block that are visible at `at` and match the filter.
pub(super) fn pick(
    block: &Block,
    schema: &CollectionSchema,
    filter: Option<&Expr>,
    at: Tick,
) -> Result<Pick, SegmentError> {
    let visible = if block.all_visible(at) {
        Pick::All(block.len())
    } else if block.span().0 > at {
        return Ok(Pick::Some(Vec::new()));
    } else {
        Pick::All(block.len()).filtered(|row| block.is_visible(row, at))
    };
    match filter {
        None | Some(Expr::Const(true)) => Ok(visible),
        Some(Expr::Const(false)) => Ok(Pick::Some(Vec::new())),
        Some(_) if visible.picked().len() == 0 => Ok(visible),
        Some(filter) => matching(filter, block, schema, visible),
    }
}

fn matching(
    filter: &Expr,
    block: &Block,
    schema: &CollectionSchema,
    visible: Pick,
) -> Result<Pick, SegmentError> {
    let columns = filter.fields().into_iter().map(|field| filled(block, field, schema));
    let columns = columns.collect::<Result<Vec<Cow<'_, Column>>, SegmentError>>()?;
    let mask = evaluate(filter, &columns, 0..block.len());
    Ok(match visible {
        Pick::All(count) if mask.count() == count => Pick::All(count),
        Pick::All(_) => Pick::Some(mask.matching().map(|row| row as u32).collect()),
        Pick::Some(_) => visible.filtered(|row| mask.matches(row)),
    })
}
