//! What the session does for those who wait for a tick.

use std::time::Duration;

use cinclus_env::mutated;
use cinclus_types::Tick;

use super::batch::{Batch, PendingAnswer};
use super::session::Session;

/// The pause before a source of ticks that is behind is asked again.
const TICK_RETRY: Duration = Duration::from_millis(2);

impl Session {
    /// Moves the frontier for those who wait for a tick.
    pub(super) fn answer_tick_waiters(&mut self, now: Duration) {
        if self.tick_waiters.is_empty() || !self.ready {
            return;
        }
        self.tick_waiters.retain(|(_, reply)| !reply.is_closed());
        self.tick_waiters.sort_by_key(|(at, _)| *at);
        let due = self.due_tick().filter(|at| *at > self.stamper.ticks.last() && now >= self.tick_retry_at);
        if let Some(at) = due.filter(|_| self.may_move_frontier())
            && self.stamper.ticks.prepare_at_least(at, now)
        {
            self.move_frontier(at, now);
        }
        let tick = self.stamper.ticks.last();
        let served = self.tick_waiters.partition_point(|(at, _)| *at <= tick);
        if served == 0 {
            return;
        }
        let replies = self.tick_waiters.drain(..served).map(|(_, reply)| reply).collect();
        let answers = vec![PendingAnswer::Ticked { replies, tick }];
        self.publish_later(answers, tick);
    }

    /// Takes a tick of at least `at`, which is in hand; the frontier is there when everything in flight is
    /// acknowledged.
    fn move_frontier(&mut self, at: Tick, now: Duration) {
        // Invariant W4. A later owner may have acknowledged what has a tick below a fresh one, and this one not know of
        // it. That the storage takes a TimeTick says that there was none: a later owner's ticks lie above it (W1).
        if self.moves_unproved() {
            self.stamper.ticks.take_at_least(at, now);
            return;
        }
        self.stamper.ticks.skip_to(at);
        let mut batch = Batch::default();
        self.time_tick(&mut batch);
        self.proof_in_flight = true;
        self.store(batch);
    }

    /// Whether the frontier may move without a record.
    fn moves_unproved(&self) -> bool {
        self.shared.config.proof.covers_fresh_ticks() || mutated("MovesFrontierUnproved")
    }

    /// Those who come while a TimeTick is at the storage share the next one.
    fn may_move_frontier(&self) -> bool {
        self.moves_unproved() || !self.proof_in_flight
    }

    /// The greatest tick that is waited for and not ahead of the clock: a log's tick never moves above the TSO.
    fn due_tick(&self) -> Option<Tick> {
        let clock_ms = self.shared.env.clock.unix_ms();
        self.tick_waiters.iter().map(|(at, _)| *at).filter(|at| at.unix_ms() <= clock_ms).max()
    }

    /// The tick that is waited for first, unless an ack is what it waits for.
    pub(super) fn next_tick_waiter(&self) -> Option<Tick> {
        let waiters = self.tick_waiters.iter().map(|(at, _)| *at);
        waiters.min().filter(|_| self.may_move_frontier())
    }

    /// Ticks were fetched. When the source is still behind what somebody waits for, there is a pause.
    pub(super) fn fetched(&mut self) {
        if self.due_tick().is_some_and(|at| !self.stamper.ticks.reaches(at)) {
            self.tick_retry_at = self.now() + TICK_RETRY;
        }
    }
}
