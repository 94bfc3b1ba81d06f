//! What all clients of a drill share. They run on one thread.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;

use super::history::History;
use super::interruption::Interruption;
use super::request::Request;
use super::violation::Violation;
use crate::outside::rows::Noise;

/// What happened up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Writes that were acknowledged.
    pub(super) acknowledged: u64,
    /// Rows that they wrote or deleted.
    pub(super) acknowledged_rows: u64,
    /// Strong reads that were answered.
    pub(super) reads: u64,
    /// Tries of writes that were refused because the disk was full.
    pub(super) disk_full: u64,
    /// Tries of writes that had another error, or no answer.
    pub(super) failed: u64,
    /// Writes that nobody repeated after such a try: they may have happened or not.
    pub(super) unknown: u64,
    /// Repeats of writes until they were answered.
    pub(super) retried: u64,
    /// Repeats of writes that were acknowledged before.
    pub(super) repeats: u64,
    /// Rows that were compared.
    pub(super) compared: u64,
}

/// Who answered last after which fault.
#[derive(Debug, Default)]
struct Recovered {
    fault: u64,
    /// The last fault after which each client sent something that was answered.
    clients: Vec<u64>,
}

/// What changes while the clients run.
#[derive(Debug)]
pub(super) struct Moving {
    /// Who was told what.
    pub(super) history: History,
    /// What happened.
    pub(super) counts: Counts,
    /// What should not have happened.
    pub(super) violations: Vec<Violation>,
    /// The last error that a client met.
    pub(super) last_error: String,
    /// Keys of the last acknowledged write.
    latest: Vec<i64>,
    /// Some keys of earlier ones.
    earlier: Vec<i64>,
    chance: Noise,
    writes: Interruption,
    reads: Interruption,
    recovered: Recovered,
}

impl Moving {
    /// Keeps the keys of an acknowledged write for readers: of the latest all, of earlier ones some.
    fn note_keys(&mut self, keys: &[i64]) {
        const EARLIER_MAX: usize = 1024;
        for key in std::mem::replace(&mut self.latest, keys.to_vec()) {
            if self.earlier.len() < EARLIER_MAX {
                self.earlier.push(key);
            } else {
                let at = self.chance.below(EARLIER_MAX as u64) as usize;
                self.earlier[at] = key;
            }
        }
    }

    /// Keys that are worth a look.
    pub(super) fn keys_to_read(&mut self) -> Vec<i64> {
        let mut keys = self.latest.clone();
        let len = self.earlier.len() as u64;
        for _ in 0..len.min(8) {
            keys.push(self.earlier[self.chance.below(len) as usize]);
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// The scene.
#[derive(Debug)]
pub(super) struct Scene {
    /// The collection.
    pub(super) collection: String,
    moving: RefCell<Moving>,
    answered: Notify,
}

impl Scene {
    /// A scene for so many clients, readers included.
    pub(super) fn new(collection: String, clients: usize) -> Scene {
        let now = Instant::now();
        let moving = Moving {
            history: History::default(),
            counts: Counts::default(),
            violations: Vec::new(),
            last_error: String::new(),
            latest: Vec::new(),
            earlier: Vec::new(),
            chance: Noise::new(1),
            writes: Interruption::begin(now),
            reads: Interruption::begin(now),
            recovered: Recovered { fault: 0, clients: vec![0; clients] },
        };
        Scene { collection, moving: RefCell::new(moving), answered: Notify::new() }
    }

    /// Looks at what changes, or changes it. Never while waiting.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Moving) -> T) -> T {
        work(&mut self.moving.borrow_mut())
    }

    /// The fault that was the last when a client sends something now.
    pub(super) fn fault(&self) -> u64 {
        self.moving.borrow().recovered.fault
    }

    /// A client's write, sent after `fault`, was acknowledged.
    pub(super) fn acknowledged(&self, client: usize, fault: u64, request: &Request) {
        self.with(|moving| {
            moving.history.acknowledge(request);
            moving.counts.acknowledged += 1;
            moving.counts.acknowledged_rows += request.keys.len() as u64;
            moving.writes.answered(Instant::now());
            moving.recovered.clients[client] = fault;
            moving.note_keys(&request.keys);
        });
        self.answered.notify_waiters();
    }

    /// A client's read, sent after `fault`, was answered.
    pub(super) fn read(&self, client: usize, fault: u64) {
        self.with(|moving| {
            moving.counts.reads += 1;
            moving.reads.answered(Instant::now());
            moving.recovered.clients[client] = fault;
        });
        self.answered.notify_waiters();
    }

    /// Begins to look for interruptions.
    pub(super) fn watch(&self) {
        let now = Instant::now();
        self.with(|moving| {
            moving.writes = Interruption::begin(now);
            moving.reads = Interruption::begin(now);
        });
    }

    /// The longest interruptions since then, of writes and of reads.
    pub(super) fn interruptions(&self) -> (Duration, Duration) {
        let now = Instant::now();
        self.with(|moving| (moving.writes.longest(now), moving.reads.longest(now)))
    }

    /// Waits until every client had an answer to something that it sent from now on.
    pub(super) async fn all_answered(&self) {
        let fault = self.with(|moving| {
            moving.recovered.fault += 1;
            moving.recovered.fault
        });
        loop {
            let answered = self.answered.notified();
            if self.with(|moving| moving.recovered.clients.iter().all(|last| *last >= fault)) {
                return;
            }
            answered.await;
        }
    }
}
