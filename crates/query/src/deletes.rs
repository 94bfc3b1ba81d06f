//! Deletes that are not in delete files yet, or that a loading segment may still miss.

use std::collections::VecDeque;
use std::sync::Arc;

use cinclus_types::{Keys, PartitionId, Tick};

/// Keys that are deleted at one tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The effective tick.
    pub tick: Tick,
    /// The only partition that loses rows; `None`: all.
    pub partition: Option<PartitionId>,
    /// The keys.
    pub keys: Arc<Keys>,
}

impl Delete {
    /// Whether rows of a partition can be hidden by it.
    #[must_use]
    pub fn concerns(&self, partition: PartitionId) -> bool {
        self.partition.is_none_or(|only| only == partition)
    }
}

/// The deletes of one VChannel in tick order.
#[derive(Debug, Default)]
pub struct DeleteBuffer {
    deletes: VecDeque<Delete>,
    /// Segments that are being loaded with older delete files: nothing is forgotten meanwhile.
    pins: usize,
    trim_to: Tick,
}

impl DeleteBuffer {
    /// Adds deletes at a tick not before that of any other.
    pub fn push(&mut self, delete: Delete) {
        debug_assert!(
            self.deletes.back().is_none_or(|last| last.tick <= delete.tick),
            "deletes come in tick order"
        );
        self.deletes.push_back(delete);
    }

    /// The deletes after a tick, oldest first.
    #[must_use]
    pub fn after(&self, tick: Tick) -> Vec<Delete> {
        let start = self.deletes.partition_point(|delete| delete.tick <= tick);
        self.deletes.range(start..).cloned().collect()
    }

    /// Forgets the deletes up to a tick, once nothing is pinned.
    pub fn trim(&mut self, tick: Tick) {
        self.trim_to = self.trim_to.max(tick);
        if self.pins == 0 {
            let end = self.deletes.partition_point(|delete| delete.tick <= self.trim_to);
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
        self.deletes.iter().map(|delete| delete.keys.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_are_found_after_a_tick_until_trimmed() {
        let mut buffer = DeleteBuffer::default();
        for tick in [3, 5, 9] {
            let keys = Arc::new(Keys::Int64(vec![tick as i64]));
            buffer.push(Delete { tick: Tick(tick), partition: None, keys });
        }
        let ticks = |found: Vec<Delete>| found.iter().map(|delete| delete.tick.0).collect::<Vec<_>>();
        assert_eq!(ticks(buffer.after(Tick(3))), [5, 9]);
        buffer.pin();
        buffer.trim(Tick(5));
        assert_eq!(buffer.keys(), 3);
        buffer.unpin();
        assert_eq!((ticks(buffer.after(Tick::ZERO)), buffer.keys()), (vec![9], 1));
    }
}
