//! The memory of all write-ahead buffers of a process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use cinclus_env::mutated;
use parking_lot::Mutex;

use super::write_ahead::Shelf;

/// A bound on the bytes of all write-ahead buffers that share it. Clones are the same budget.
#[derive(Clone)]
pub struct BufferBudget(Arc<Inner>);

struct Inner {
    bytes_max: u64,
    used: AtomicU64,
    shelves: Mutex<Vec<Weak<Mutex<Shelf>>>>,
}

impl BufferBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes_max: u64) -> BufferBudget {
        BufferBudget(Arc::new(Inner { bytes_max, used: AtomicU64::new(0), shelves: Mutex::default() }))
    }

    /// The bound in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.0.bytes_max
    }

    /// Bytes held by all buffers.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    pub(super) fn register(&self, shelf: &Arc<Mutex<Shelf>>) {
        let mut shelves = self.0.shelves.lock();
        shelves.retain(|shelf| shelf.strong_count() > 0);
        shelves.push(Arc::downgrade(shelf));
    }

    pub(super) fn take(&self, bytes: u64) {
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes the buffers fit again: takes the oldest messages of whoever holds the oldest, until the
    /// bound is kept. Must be called without a shelf locked.
    pub(super) fn shrink(&self) {
        while self.used() > self.0.bytes_max && !mutated("BufferGrows") {
            let shelves: Vec<_> = self.0.shelves.lock().iter().filter_map(Weak::upgrade).collect();
            let oldest = shelves
                .iter()
                .filter_map(|shelf| shelf.lock().oldest().map(|at| (at, shelf)))
                .min_by_key(|(at, _)| *at);
            let Some((_, shelf)) = oldest else { return };
            let freed = shelf.lock().evict_batch();
            self.give_back(freed);
        }
    }
}

impl Default for BufferBudget {
    /// 16 MiB.
    fn default() -> BufferBudget {
        BufferBudget::new(16 << 20)
    }
}

impl std::fmt::Debug for BufferBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BufferBudget({} of {} bytes)", self.used(), self.0.bytes_max)
    }
}
