//! Deletes that are not in delete files yet, or that a loading segment may still miss.

use std::collections::VecDeque;
use std::sync::Arc;

use cinclus_types::{Keys, Tick};

/// The deletes of one VChannel in tick order.
#[derive(Debug, Default)]
pub struct DeleteBuffer {
    deletes: VecDeque<(Tick, Arc<Keys>)>,
    /// Segments that are being loaded with older delete files: nothing is forgotten meanwhile.
    pins: usize,
    trim_to: Tick,
}

impl DeleteBuffer {
    /// Adds deletes at a tick not before that of any other.
    pub fn push(&mut self, tick: Tick, keys: Arc<Keys>) {
        debug_assert!(self.deletes.back().is_none_or(|last| last.0 <= tick), "deletes come in tick order");
        self.deletes.push_back((tick, keys));
    }

    /// The deletes after a tick, oldest first.
    #[must_use]
    pub fn after(&self, tick: Tick) -> Vec<(Tick, Arc<Keys>)> {
        let start = self.deletes.partition_point(|delete| delete.0 <= tick);
        self.deletes.range(start..).cloned().collect()
    }

    /// Forgets the deletes up to a tick, once nothing is pinned.
    pub fn trim(&mut self, tick: Tick) {
        self.trim_to = self.trim_to.max(tick);
        if self.pins == 0 {
            let end = self.deletes.partition_point(|delete| delete.0 <= self.trim_to);
            self.deletes.drain(..end);
        }
    }

    /// Forgets nothing until as many [`DeleteBuffer::unpin`] have followed.
    pub fn pin(&mut self) {
        self.pins += 1;
    }

    /// Ends one [`DeleteBuffer::pin`].
    pub fn unpin(&mut self) {
        self.pins = self.pins.saturating_sub(1);
        self.trim(self.trim_to);
    }

    /// How many keys are held.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.deletes.iter().map(|(_, keys)| keys.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_are_found_after_a_tick_until_trimmed() {
        let mut buffer = DeleteBuffer::default();
        for tick in [3, 5, 9] {
            buffer.push(Tick(tick), Arc::new(Keys::Int64(vec![tick as i64])));
        }
        let ticks = |found: Vec<(Tick, Arc<Keys>)>| found.iter().map(|d| d.0.0).collect::<Vec<_>>();
        assert_eq!(ticks(buffer.after(Tick(3))), [5, 9]);
        buffer.pin();
        buffer.trim(Tick(5));
        assert_eq!(buffer.keys(), 3);
        buffer.unpin();
        assert_eq!((ticks(buffer.after(Tick::ZERO)), buffer.keys()), (vec![9], 1));
    }
}
