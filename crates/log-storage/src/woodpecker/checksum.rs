//! CRC-32 of what is appended. In tests it counts the bytes that went through it.

use crc32fast::Hasher;

/// A CRC-32 that grows.
#[derive(Clone, Default)]
pub(crate) struct Checksum(Hasher);

impl Checksum {
    /// Of no bytes.
    pub(crate) fn new() -> Checksum {
        Checksum::default()
    }

    /// Of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Checksum {
        let mut checksum = Checksum::new();
        checksum.update(bytes);
        checksum
    }

    /// Goes over the bytes that follow.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        #[cfg(test)]
        passes::count(bytes.len());
        self.0.update(bytes);
    }

    /// Adds bytes that follow and have been gone over: only the checksums are put together. That costs about
    /// as much as going over a few KiB.
    pub(crate) fn combine(&mut self, following: &Checksum) {
        self.0.combine(&following.0);
    }

    /// The value.
    pub(crate) fn value(&self) -> u32 {
        self.0.clone().finalize()
    }
}

/// How many bytes were gone over, by this thread.
#[cfg(test)]
pub(crate) mod passes {
    use std::cell::Cell;

    thread_local! {
        static BYTES: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count(bytes: usize) {
        BYTES.set(BYTES.get() + bytes);
    }

    /// Bytes gone over since this was called before.
    pub(crate) fn take() -> usize {
        BYTES.take()
    }
}
