//! The timestamp oracle: ticks that only grow, over restarts and whatever the clock does.
//!
//! A bound above every tick that was ever given is kept in the metadata store. It is raised in the
//! background while ticks are taken; a request waits for it only when it is used up, and an idle oracle
//! writes nothing. While the bound is being raised, ticks below it are given even if the clock is ahead.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, TaskGroup};
use cinclus_meta::DynMetaStore;
use cinclus_rpc::CoordError;
use cinclus_types::{Advice, Tick, TickRange};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::backoff::Backoff;
use crate::believed_clock::BelievedClock;
use crate::stored_bound::StoredBound;
use crate::{CoordConfig, StartError};

/// The longest pause before the bound is raised again: every write waits for it.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Gives ticks.
#[derive(Clone)]
pub struct Tso {
    inner: Arc<Inner>,
}

struct Inner {
    wall: BelievedClock,
    window: Duration,
    state: Mutex<State>,
    bound: watch::Sender<Bound>,
    raise: Notify,
}

struct State {
    next: Tick,
    /// The end of the furthest range that somebody asked for and that did not fit below the bound.
    demand: Tick,
}

#[derive(Clone)]
struct Bound {
    /// Every tick below may be given.
    below: Tick,
    /// Why it is not raised any more.
    stopped: Option<Arc<str>>,
    /// Why it could not be raised for about a second, and still cannot.
    failing: Option<Arc<str>>,
}

impl Tso {
    /// Starts above every tick that was given before.
    ///
    /// # Errors
    /// If the metadata store does not answer or holds no number.
    pub async fn start(
        meta: DynMetaStore,
        clock: DynClock,
        tasks: &TaskGroup,
        config: &CoordConfig,
    ) -> Result<Tso, StartError> {
        let wall = BelievedClock::new(clock.clone(), config.tso_jump_max);
        let mut backoff = Backoff::new(clock, config);
        let mut stored = StoredBound::read(meta).await?;
        let next = stored.get().max(wall.now());
        let below = next.plus(config.tso_window);
        while let Err(error) = stored.raise(below).await {
            // Only a lost answer is worth another look: it may have been written.
            if error.advice() != Advice::Unknown {
                return Err(error);
            }
            backoff.pause().await;
        }
        backoff.reset();
        let inner = Arc::new(Inner {
            wall,
            window: config.tso_window,
            state: Mutex::new(State { next, demand: next }),
            bound: watch::Sender::new(Bound { below, stopped: None, failing: None }),
            raise: Notify::new(),
        });
        let raiser = Raiser { inner: inner.clone(), stored, backoff: backoff.at_most(RETRY_MAX) };
        tasks.spawn_until_cancelled("tso-bound", raiser.run());
        Ok(Tso { inner })
    }

    /// Takes `count` ticks, at least 1.
    ///
    /// # Errors
    /// If the bound is used up and is not raised any more, or could not be raised for about a second.
    pub async fn grant(&self, count: u32) -> Result<TickRange, CoordError> {
        let mut bound = self.inner.bound.subscribe();
        loop {
            let Bound { below, stopped, failing } = bound.borrow_and_update().clone();
            if let Some(range) = self.inner.take(count.max(1), below) {
                return Ok(range);
            }
            if let Some(reason) = stopped.or(failing) {
                return Err(CoordError::Unavailable(format!("no timestamps are given: {reason}")));
            }
            // The sender lives as long as the oracle; one that stops says so.
            let _ = bound.changed().await;
        }
    }
}

impl Inner {
    fn take(&self, count: u32, below: Tick) -> Option<TickRange> {
        let mut state = self.state.lock();
        let wanted = state.next.max(self.wall.now());
        let end = |first: Tick| Tick(first.0.saturating_add(u64::from(count)));
        // Behind the clock but below the bound is better than a wait.
        let first = [wanted, state.next].into_iter().find(|first| end(*first) <= below);
        match first {
            Some(first) => state.next = end(first),
            None => state.demand = state.demand.max(end(state.next)),
        }
        if first.is_none() || wanted.plus(self.window / 2) > below {
            self.raise.notify_one();
        }
        first.map(|first| TickRange { first, count })
    }

    /// Where the bound should lie.
    fn target(&self) -> Tick {
        let state = self.state.lock();
        state.next.max(state.demand).max(self.wall.now()).plus(self.window)
    }
}

/// Keeps the bound ahead of the ticks that are taken.
struct Raiser {
    inner: Arc<Inner>,
    stored: StoredBound,
    backoff: Backoff,
}

impl Raiser {
    async fn run(mut self) {
        loop {
            self.inner.raise.notified().await;
            let target = self.inner.target();
            if target <= self.stored.get() {
                continue;
            }
            match self.stored.raise(target).await {
                Ok(below) => {
                    self.backoff.reset();
                    self.inner.bound.send_modify(|bound| {
                        bound.below = below;
                        bound.failing = None;
                    });
                }
                Err(error @ StartError::Concurrent) => {
                    // Ticks below the bound are still this oracle's own: the other one began above it.
                    tracing::error!(%error, "the timestamp oracle stops");
                    self.stop(&error.to_string());
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the bound of the timestamp oracle was not raised");
                    // A short failure is waited out by who asks for ticks.
                    if self.backoff.is_longest() {
                        let reason = error.to_string();
                        self.inner.bound.send_modify(|bound| bound.failing = Some(reason.into()));
                    }
                    self.backoff.pause().await;
                    self.inner.raise.notify_one();
                }
            }
        }
    }

    fn stop(&self, reason: &str) {
        self.inner.bound.send_if_modified(|bound| {
            let first = bound.stopped.is_none();
            if first {
                bound.stopped = Some(reason.into());
            }
            first
        });
    }
}

impl Drop for Raiser {
    /// Whoever waits for ticks is told when nobody raises the bound any more.
    fn drop(&mut self) {
        self.stop("the coordinator is shutting down");
    }
}
