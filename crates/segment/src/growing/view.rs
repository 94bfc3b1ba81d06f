//! What a reader holds.

use std::sync::Arc;

use cinclus_types::{Rows, Tick};

use super::block::{BLOCK_BYTES, BLOCK_ROWS};
use super::{Block, RowTicks};

/// The rows of a segment at one moment: shared pointers, no copy. Inserts that come later are not in it;
/// deletes that come later may show, but only to a reader whose tick is not below theirs.
#[derive(Clone, Debug)]
pub(crate) struct View {
    closed: Arc<Vec<Arc<Block>>>,
    tail: Arc<Block>,
}

/// Rows on their way in, made ready before readers are held up.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// As many as a block: they become one, their vectors are moved.
    Block(Arc<Block>),
    /// To be copied into the tail.
    Few(Rows, RowTicks),
}

impl Arrival {
    /// Rows of which the first gets the number `first`.
    pub(crate) fn new(first: u32, rows: Rows, ticks: RowTicks) -> Arrival {
        if rows.count >= BLOCK_ROWS || rows.heap_bytes() >= BLOCK_BYTES {
            Arrival::Block(Arc::new(Block::new(first, rows, ticks).closed()))
        } else {
            Arrival::Few(rows, ticks)
        }
    }
}

impl View {
    pub(crate) fn empty() -> View {
        View { closed: Arc::default(), tail: Arc::new(Block::empty(0)) }
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> u32 {
        self.tail.first() + self.tail.len() as u32
    }

    /// All blocks that have rows, in order.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        let tail = (self.tail.len() > 0).then_some(&self.tail);
        self.closed.iter().chain(tail)
    }

    /// The block that holds a row, and the place of the row in it.
    ///
    /// # Panics
    /// If there is no such row.
    pub(crate) fn locate(&self, row: u32) -> (&Arc<Block>, usize) {
        let block = if row >= self.tail.first() {
            &self.tail
        } else {
            &self.closed[self.closed.partition_point(|block| block.first() <= row) - 1]
        };
        let at = (row - block.first()) as usize;
        assert!(at < block.len(), "row {row} of {}", self.rows());
        (block, at)
    }

    /// How many rows are visible at `at`.
    pub(crate) fn visible_count(&self, at: Tick) -> u64 {
        let count = |block: &Arc<Block>| {
            if block.all_visible(at) {
                return block.len() as u64;
            }
            (0..block.len()).filter(|&row| block.is_visible(row, at)).count() as u64
        };
        self.blocks().map(count).sum()
    }

    /// Adds rows behind all others.
    pub(crate) fn insert(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Block(block) => {
                self.close_tail();
                let next = block.first() + block.len() as u32;
                Arc::make_mut(&mut self.closed).push(block);
                self.tail = Arc::new(Block::empty(next));
            }
            Arrival::Few(rows, ticks) => {
                let bytes = self.tail.rows().heap_bytes() + rows.heap_bytes();
                if !self.tail.takes(&rows) || bytes > BLOCK_BYTES {
                    self.close_tail();
                }
                match Arc::get_mut(&mut self.tail) {
                    Some(tail) => tail.append(rows, &ticks),
                    None => {
                        let mut tail = self.tail.copied();
                        tail.append(rows, &ticks);
                        self.tail = Arc::new(tail);
                    }
                }
            }
        }
    }

    fn close_tail(&mut self) {
        if self.tail.len() == 0 {
            return;
        }
        let next = Arc::new(Block::empty(self.rows()));
        let tail = std::mem::replace(&mut self.tail, next);
        let tail = Arc::try_unwrap(tail).unwrap_or_else(|held| held.copied());
        Arc::make_mut(&mut self.closed).push(Arc::new(tail.closed()));
    }
}
