//! What happened, in order: a digest of all of it, and the lines themselves if somebody asked.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

/// The record of a run. Two runs of one seed have the same digest. Clones are the same.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    digest: Xxh3,
    events: u64,
    line: String,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// An empty trace; keeps its lines if `keep`.
    #[must_use]
    pub fn new(keep: bool) -> Trace {
        let lines = keep.then(Vec::new);
        Trace(Arc::new(Mutex::new(Inner { digest: Xxh3::new(), events: 0, line: String::new(), lines })))
    }

    /// Notes an event at a time of its life.
    pub fn note(&self, at: Duration, event: std::fmt::Arguments<'_>) {
        let inner = &mut *self.0.lock();
        inner.line.clear();
        // Writing into a text does not fail.
        let _ = write!(inner.line, "{:>10}.{:03} {event}", at.as_millis(), at.as_micros() % 1_000);
        inner.digest.update(inner.line.as_bytes());
        inner.digest.update(b"\n");
        inner.events += 1;
        if let Some(lines) = &mut inner.lines {
            lines.push(inner.line.clone());
        }
    }

    /// The digest of everything so far, and how many events that is.
    #[must_use]
    pub fn digest(&self) -> (u64, u64) {
        let inner = self.0.lock();
        (inner.digest.digest(), inner.events)
    }

    /// The lines, if they were kept.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().lines.clone().unwrap_or_default()
    }
}
