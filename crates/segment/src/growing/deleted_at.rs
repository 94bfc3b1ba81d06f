//! When the rows of a block were deleted.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cinclus_types::Tick;

/// For each row of a block, the least tick of a delete that hides it. Costs nothing before the first
/// delete. Deletes need no lock; a reader at T is only ever given ticks T whose deletes all returned.
#[derive(Debug)]
pub(crate) struct DeletedAt {
    ticks: OnceLock<Vec<AtomicU64>>,
    least: AtomicU64,
}

const LIVE: u64 = Tick::MAX.0;

impl DeletedAt {
    pub(crate) fn none() -> DeletedAt {
        DeletedAt { ticks: OnceLock::new(), least: AtomicU64::new(LIVE) }
    }

    /// The tick from which a row is hidden; [`Tick::MAX`]: never.
    pub(crate) fn get(&self, row: usize) -> Tick {
        Tick(self.ticks.get().map_or(LIVE, |ticks| ticks[row].load(Ordering::Relaxed)))
    }

    /// Hides a row of `rows` from `tick` on, or from the tick it is already hidden from if that is less.
    pub(crate) fn hide(&self, row: usize, rows: usize, tick: Tick) {
        let ticks =
            self.ticks.get_or_init(|| std::iter::repeat_with(|| AtomicU64::new(LIVE)).take(rows).collect());
        ticks[row].fetch_min(tick.0, Ordering::Relaxed);
        self.least.fetch_min(tick.0, Ordering::Release);
    }

    /// Whether a delete hides some row at `at`.
    pub(crate) fn any(&self, at: Tick) -> bool {
        self.least.load(Ordering::Acquire) <= at.0
    }

    /// Room for `rows` rows, the new ones live.
    pub(crate) fn extend(&mut self, rows: usize) {
        if let Some(ticks) = self.ticks.get_mut() {
            ticks.resize_with(rows, || AtomicU64::new(LIVE));
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.ticks.get().map_or(0, |ticks| ticks.capacity() * size_of::<AtomicU64>())
    }
}

impl Clone for DeletedAt {
    fn clone(&self) -> DeletedAt {
        let copy = DeletedAt::none();
        if let Some(ticks) = self.ticks.get() {
            let ticks = ticks.iter().map(|tick| AtomicU64::new(tick.load(Ordering::Relaxed))).collect();
            copy.ticks.set(ticks).expect("a new cell is empty");
        }
        copy.least.store(self.least.load(Ordering::Relaxed), Ordering::Relaxed);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_delete_wins() {
        let mut deleted = DeletedAt::none();
        assert_eq!((deleted.get(1), deleted.any(Tick(u64::MAX - 1))), (Tick::MAX, false));
        deleted.hide(1, 2, Tick(7));
        deleted.hide(1, 2, Tick(9));
        deleted.extend(3);
        assert_eq!([0, 1, 2].map(|row| deleted.get(row)), [Tick::MAX, Tick(7), Tick::MAX]);
        assert_eq!([6, 7].map(|at| deleted.any(Tick(at))), [false, true]);
        assert_eq!(deleted.clone().get(1), Tick(7));
    }
}
