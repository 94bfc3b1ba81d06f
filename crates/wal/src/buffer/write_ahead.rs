//! The write-ahead buffer of one PChannel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cinclus_types::message::Message;
use cinclus_types::{MessageId, Tick};
use parking_lot::Mutex;

use super::budget::BufferBudget;

/// Messages that one eviction takes at least, so that shrinking does not count single ones.
const EVICT_MESSAGES: usize = 16;

/// What the buffer has for a reader.
#[derive(Debug)]
pub enum BufferRead {
    /// The next messages and the bytes of their records.
    Messages(Vec<(Message, u64)>),
    /// None at the moment; everything with an effective tick up to the frontier was read.
    End {
        /// The published frontier.
        frontier: Tick,
        /// Where the next message will stand, at the least.
        next: MessageId,
    },
    /// What the reader needs is not here (any more): read the storage.
    Evicted,
}

/// The newest acknowledged messages of one PChannel and its published frontier.
pub struct WriteAheadBuffer {
    shelf: Arc<Mutex<Shelf>>,
    budget: BufferBudget,
    age_max: Duration,
}

/// The content. It holds every stored message from `start` on, once it is set; before that nothing can
/// be read here.
pub(super) struct Shelf {
    start: Option<MessageId>,
    next: MessageId,
    /// From where everything above the last message's tick can be read, transactions that were open then included.
    resume: Option<MessageId>,
    frontier: Tick,
    entries: VecDeque<Entry>,
}

struct Entry {
    message: Message,
    bytes: u64,
    at: Duration,
}

impl Shelf {
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.entries.front().map(|entry| entry.at)
    }

    /// Takes some of the oldest messages out; their bytes.
    pub(super) fn evict_batch(&mut self) -> u64 {
        let count = EVICT_MESSAGES.max(self.entries.len() / 8).min(self.entries.len());
        (0..count).map(|_| self.evict_one()).sum()
    }

    fn evict_one(&mut self) -> u64 {
        let Some(entry) = self.entries.pop_front() else { return 0 };
        self.start = Some(entry.message.id().next());
        if self.entries.capacity() > 64 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        entry.bytes
    }
}

impl WriteAheadBuffer {
    /// An empty buffer that nothing can be read from yet.
    #[must_use]
    pub fn new(budget: BufferBudget, age_max: Duration) -> WriteAheadBuffer {
        let shelf = Shelf {
            start: None,
            next: MessageId::EARLIEST,
            resume: None,
            frontier: Tick::ZERO,
            entries: VecDeque::new(),
        };
        let shelf = Arc::new(Mutex::new(shelf));
        budget.register(&shelf);
        WriteAheadBuffer { shelf, budget, age_max }
    }

    /// Starts (again) at the end of the log: what stands before `next` is in the storage only.
    pub fn reset(&self, next: MessageId, frontier: Tick) {
        let mut shelf = self.shelf.lock();
        let freed: u64 = shelf.entries.drain(..).map(|entry| entry.bytes).sum();
        shelf.start = Some(next);
        shelf.next = next;
        shelf.resume = None;
        shelf.frontier = shelf.frontier.max(frontier);
        drop(shelf);
        self.budget.give_back(freed);
    }

    /// Adds acknowledged messages, in order, and moves the frontier.
    pub fn publish(&self, messages: Vec<(Message, u64)>, frontier: Tick, now: Duration) {
        let added: u64 = messages.iter().map(|(_, bytes)| *bytes).sum();
        self.budget.take(added);
        let mut freed = 0;
        let mut shelf = self.shelf.lock();
        for (message, bytes) in messages {
            debug_assert!(message.id() >= shelf.next, "messages come in the order of their ids");
            shelf.next = message.id().next();
            shelf.resume = Some(message.last_confirmed());
            shelf.entries.push_back(Entry { message, bytes, at: now });
        }
        shelf.frontier = frontier;
        while shelf.oldest().is_some_and(|at| at + self.age_max < now) {
            freed += shelf.evict_one();
        }
        drop(shelf);
        self.budget.give_back(freed);
        self.budget.shrink();
    }

    /// Evicts what is older than the age bound at `now`. When to come again, if anything is left.
    pub fn evict_aged(&self, now: Duration) -> Option<Duration> {
        let mut freed = 0;
        let mut shelf = self.shelf.lock();
        while shelf.oldest().is_some_and(|at| at + self.age_max <= now) {
            freed += shelf.evict_one();
        }
        let next = shelf.oldest().map(|at| at + self.age_max);
        drop(shelf);
        self.budget.give_back(freed);
        next
    }

    /// The published frontier: every message with an effective tick up to it is acknowledged.
    #[must_use]
    pub fn frontier(&self) -> Tick {
        self.shelf.lock().frontier
    }

    /// Whether a reader whose next message stands at `from` or later can read here.
    #[must_use]
    pub fn covers(&self, from: MessageId) -> bool {
        self.shelf.lock().start.is_some_and(|start| from >= start)
    }

    /// The frontier, and from where a reader gets everything with an effective tick above it. `None` until
    /// there is a message since the last reset.
    #[must_use]
    pub fn end(&self) -> Option<(MessageId, Tick)> {
        let shelf = self.shelf.lock();
        shelf.resume.map(|resume| (resume, shelf.frontier))
    }

    /// From where a reader gets everything with an effective tick above `tick`, if the buffer knows.
    #[must_use]
    pub fn resume_after(&self, tick: Tick) -> Option<MessageId> {
        let shelf = self.shelf.lock();
        let after = shelf.entries.partition_point(|entry| entry.message.tick() <= tick);
        shelf.entries.get(after.checked_sub(1)?).map(|entry| entry.message.last_confirmed())
    }

    /// Up to `count` messages that stand at `from` or later.
    #[must_use]
    pub fn read(&self, from: MessageId, count: usize) -> BufferRead {
        let shelf = self.shelf.lock();
        if shelf.start.is_none_or(|start| from < start) {
            return BufferRead::Evicted;
        }
        let first = shelf.entries.partition_point(|entry| entry.message.id() < from);
        if first == shelf.entries.len() {
            return BufferRead::End { frontier: shelf.frontier, next: shelf.next };
        }
        let taken = shelf.entries.range(first..).take(count);
        BufferRead::Messages(taken.map(|entry| (entry.message.clone(), entry.bytes)).collect())
    }
}

impl Drop for WriteAheadBuffer {
    fn drop(&mut self) {
        let freed: u64 = self.shelf.lock().entries.drain(..).map(|entry| entry.bytes).sum();
        self.budget.give_back(freed);
    }
}
