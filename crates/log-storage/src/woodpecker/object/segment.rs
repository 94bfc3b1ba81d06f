//! What this process knows of one segment: which of its blocks are durable.

use parking_lot::Mutex;

use super::block::Extent;
use super::footer::Layout;

/// One segment. Shared by its writer, which adds blocks, and readers, which may find more.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    layout: Layout,
    shape: Shape,
    /// Counts the changes that gave the blocks other numbers.
    edition: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// More blocks may come.
    Open,
    /// Nothing will be added; its blocks stand in its footer, which nobody has read yet.
    InFooter,
    /// Nothing will be added, and all blocks are known.
    Finished,
}

/// What stands at an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// A block.
    Block {
        /// Its number.
        number: u64,
        /// Of which [`Segment::block`] speaks.
        edition: u64,
    },
    /// The end, as far as anybody in this process knows.
    OpenEnd {
        /// The number of the next block.
        blocks: u64,
        /// Its first entry.
        next_entry: u64,
    },
    /// The end for good.
    End,
    /// Only the footer says.
    InFooter,
}

impl Segment {
    /// A segment to which blocks may be added.
    pub(super) fn open(id: u64) -> Segment {
        Segment::new(id, Shape::Open)
    }

    /// A segment with a footer that was not read yet.
    pub(super) fn in_footer(id: u64) -> Segment {
        Segment::new(id, Shape::InFooter)
    }

    fn new(id: u64, shape: Shape) -> Segment {
        Segment { id, state: Mutex::new(State { layout: Layout::default(), shape, edition: 0 }) }
    }

    pub(super) fn view(&self, entry: u64) -> View {
        let state = self.state.lock();
        if state.shape == Shape::InFooter {
            return View::InFooter;
        }
        let blocks = &state.layout.blocks;
        let number = blocks.partition_point(|block| block.next_entry <= entry) as u64;
        let readable = state.shape == Shape::Open || entry < state.layout.end();
        if (number as usize) < blocks.len() && readable {
            View::Block { number, edition: state.edition }
        } else if state.shape == Shape::Open {
            View::OpenEnd { blocks: number, next_entry: state.layout.next_entry() }
        } else {
            View::End
        }
    }

    /// A block of that edition, whether it is a merged one, and the id behind the last readable entry.
    pub(super) fn block(&self, number: u64, edition: u64) -> Option<(Extent, bool, u64)> {
        let state = self.state.lock();
        let block = state.layout.blocks.get(number as usize)?;
        (state.edition == edition).then_some((*block, state.layout.compacted, state.layout.end()))
    }

    pub(super) fn layout(&self) -> Layout {
        self.state.lock().layout.clone()
    }

    /// Adds a block to an open segment, if it is the next one.
    pub(super) fn advance(&self, number: u64, block: Extent) {
        let mut state = self.state.lock();
        if state.shape == Shape::Open && state.layout.blocks.len() as u64 == number {
            state.layout.blocks.push(block);
            state.layout.records += 1;
        }
    }

    /// Nothing will be added any more; these are its blocks.
    pub(super) fn finish(&self, layout: Layout) {
        let mut state = self.state.lock();
        if state.layout.compacted != layout.compacted {
            state.edition += 1;
        }
        state.layout = layout;
        state.shape = Shape::Finished;
    }

    /// There is a footer which this process has not read, or not since it was changed.
    pub(super) fn look_into_footer(&self) {
        let mut state = self.state.lock();
        state.edition += 1;
        state.shape = Shape::InFooter;
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().shape == Shape::Open
    }
}
