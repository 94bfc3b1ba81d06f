//! Requests that wait while a batch is at the storage.

use std::collections::VecDeque;

use super::request::Request;

/// So many bytes go to the storage even if it has a batch already: then a batch more costs little, and keeping
/// the storage busy is worth much.
const BYTES_ENOUGH: u64 = 256 << 10;

/// Requests that will go to the storage together, oldest first. A sync, or a put, takes about as long for many
/// small ones as for one: while one is under way they wait for each other here, where they are in one batch,
/// and not in the storage, where each would be its own.
#[derive(Default)]
pub(crate) struct Gathered {
    requests: VecDeque<Request>,
    bytes: u64,
}

impl Gathered {
    /// Adds one behind the others.
    pub(crate) fn push(&mut self, request: Request) {
        self.bytes += request.bytes();
        self.requests.push_back(request);
    }

    /// Takes the oldest.
    pub(crate) fn pop(&mut self) -> Option<Request> {
        let request = self.requests.pop_front()?;
        self.bytes -= request.bytes();
        Some(request)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Bytes of those that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether they are worth a batch beside the one that is at the storage.
    pub(crate) fn are_enough(&self) -> bool {
        self.bytes >= BYTES_ENOUGH
    }
}
