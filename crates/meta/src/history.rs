//! The newest changes of a store in this process, from which its watches are fed.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::entry::Revision;
use crate::error::WatchError;
use crate::watch::{Change, ChangeSource, Watch};

/// A ring of the newest commits, bounded by bytes. A watch is a cursor into it: it owns no queue, so a slow
/// watcher costs nothing and finds itself `Compacted` when the ring has moved past it.
pub(crate) struct History {
    ring: Mutex<Ring>,
    /// The newest published revision; wakes the watches. Closed when the store is.
    frontier: watch::Sender<Revision>,
}

struct Ring {
    commits: VecDeque<(Revision, Vec<Change>)>,
    bytes: usize,
    bytes_max: usize,
    /// Changes up to and including this revision are no longer here.
    floor: Revision,
    latest: Revision,
}

impl History {
    /// The history of a store that stands at `revision`; what led there is not known.
    pub(crate) fn new(revision: Revision, bytes_max: usize) -> History {
        let ring = Ring { commits: VecDeque::new(), bytes: 0, bytes_max, floor: revision, latest: revision };
        History { ring: Mutex::new(ring), frontier: watch::Sender::new(revision) }
    }

    /// Adds a commit. Called in order of revisions, after the commit is durable.
    pub(crate) fn publish(&self, revision: Revision, changes: Vec<Change>) {
        let mut ring = self.ring.lock();
        // Invariant M3.
        assert!(revision > ring.latest, "commit {revision} published after {}", ring.latest);
        ring.latest = revision;
        ring.bytes += changes.iter().map(Change::weight).sum::<usize>();
        ring.commits.push_back((revision, changes));
        ring.shrink();
        drop(ring);
        self.frontier.send_replace(revision);
    }

    /// If the store turns out to stand at a `revision` that was not published, what led there is not known:
    /// forgets everything, so that every watch behind it is told.
    pub(crate) fn catch_up(&self, revision: Revision) {
        let mut ring = self.ring.lock();
        if revision == ring.latest {
            return;
        }
        (ring.floor, ring.latest, ring.bytes) = (revision, revision, 0);
        ring.commits.clear();
        drop(ring);
        self.frontier.send_replace(revision);
    }

    /// A watch of `prefix` after `after`.
    pub(crate) fn watch(self: &Arc<Self>, prefix: &str, after: Revision) -> Watch {
        Watch::new(Cursor {
            history: Arc::downgrade(self),
            frontier: self.frontier.subscribe(),
            prefix: prefix.to_owned(),
            after,
        })
    }

    /// The first commit after `after` with changes under `prefix`, or the revision up to which there is none.
    fn read(&self, prefix: &str, after: Revision) -> Result<Found, WatchError> {
        let ring = self.ring.lock();
        if after < ring.floor {
            return Err(WatchError::Compacted { oldest: ring.floor });
        }
        let first = ring.commits.partition_point(|(revision, _)| *revision <= after);
        for (revision, changes) in ring.commits.iter().skip(first) {
            let hits: Vec<Change> = changes.iter().filter(|c| c.key().starts_with(prefix)).cloned().collect();
            if !hits.is_empty() {
                return Ok(Found::Changes(*revision, hits));
            }
        }
        Ok(Found::NothingUpTo(ring.latest.max(after)))
    }
}

impl Ring {
    fn shrink(&mut self) {
        // The newest commit stays, however large it is: somebody must be able to see it.
        while self.bytes > self.bytes_max && self.commits.len() > 1 {
            let Some((revision, changes)) = self.commits.pop_front() else { return };
            self.bytes -= changes.iter().map(Change::weight).sum::<usize>();
            self.floor = revision;
        }
    }
}

enum Found {
    Changes(Revision, Vec<Change>),
    NothingUpTo(Revision),
}

struct Cursor {
    history: std::sync::Weak<History>,
    frontier: watch::Receiver<Revision>,
    prefix: String,
    after: Revision,
}

#[async_trait]
impl ChangeSource for Cursor {
    async fn next(&mut self) -> Result<Vec<Change>, WatchError> {
        loop {
            // Seen before the ring is read: a commit published in between wakes the wait below.
            self.frontier.mark_unchanged();
            {
                let history = self.history.upgrade().ok_or(WatchError::Closed)?;
                match history.read(&self.prefix, self.after)? {
                    Found::Changes(revision, changes) => {
                        self.after = revision;
                        return Ok(changes);
                    }
                    Found::NothingUpTo(revision) => self.after = revision,
                }
            }
            if self.frontier.changed().await.is_err() {
                return Err(WatchError::Closed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::ChangeKind;

    fn deleted(revision: u64, key: &str) -> (Revision, Vec<Change>) {
        let revision = Revision(revision);
        (revision, vec![Change { revision, kind: ChangeKind::Delete { key: key.into() } }])
    }

    #[test]
    fn a_ring_over_its_bound_forgets_the_oldest_and_says_so() {
        let history = History::new(Revision(5), 3 * deleted(0, "a").1[0].weight());
        for n in 6..=10 {
            let (revision, changes) = deleted(n, "a");
            history.publish(revision, changes);
        }
        assert!(matches!(history.read("", Revision(6)), Err(WatchError::Compacted { oldest: Revision(7) })));
        assert!(matches!(history.read("", Revision(7)), Ok(Found::Changes(Revision(8), _))));
        assert!(matches!(history.read("b", Revision(7)), Ok(Found::NothingUpTo(Revision(10)))));
    }

    #[test]
    fn a_commit_larger_than_the_ring_is_still_seen() {
        let history = History::new(Revision(0), 1);
        let (revision, changes) = deleted(1, "a");
        history.publish(revision, changes);
        assert!(matches!(history.read("", Revision(0)), Ok(Found::Changes(Revision(1), _))));
    }
}
