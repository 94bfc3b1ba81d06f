//! Ticks in hand.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{TickError, TickSource};
use cinclus_types::{Tick, TickRange};
use futures::future::BoxFuture;

/// Ticks of one grant, when a request asks for no more.
const GRANT_TICKS: u32 = 1024;

/// A range is followed by a fresh one when it is older than this, so that ticks follow the clock.
const FRESH: Duration = Duration::from_millis(100);

/// Ticks older than this are dropped when the log gave none for as long.
const STALE: Duration = Duration::from_millis(300);

/// The pause after a grant that failed.
const RETRY: Duration = Duration::from_millis(20);

/// A granted range and when it was asked for.
#[derive(Clone, Copy, Debug)]
struct Granted {
    next: Tick,
    last: Tick,
    asked_at: Duration,
}

impl Granted {
    fn count(&self) -> u64 {
        (self.last.0 + 1).saturating_sub(self.next.0)
    }
}

/// The ticks that a writer may still give: a range in use, one fetched ahead, and the fetch under way.
///
/// Made new for every term and every re-open, *after* the storage fenced older writers: only then do
/// all its ticks lie above what they stamped (invariant W1).
pub struct Ticks {
    source: Arc<dyn TickSource>,
    current: Option<Granted>,
    ahead: Option<Granted>,
    fetch: Option<(Duration, BoxFuture<'static, Result<TickRange, TickError>>)>,
    retry_at: Duration,
    last: Tick,
    last_given_at: Duration,
}

impl Ticks {
    /// No ticks yet; every tick that is given will be above `after`, the last one in the log.
    #[must_use]
    pub fn new(source: Arc<dyn TickSource>, after: Tick) -> Ticks {
        Ticks {
            source,
            current: None,
            ahead: None,
            fetch: None,
            retry_at: Duration::ZERO,
            last: after,
            last_given_at: Duration::ZERO,
        }
    }

    /// The greatest tick that was given.
    #[must_use]
    pub fn last(&self) -> Tick {
        self.last
    }

    /// Gets ready to give `count` ticks at `now`: drops what went stale, moves on to the range fetched
    /// ahead, and starts a fetch if one is useful. Whether `count` ticks are there.
    pub fn prepare(&mut self, count: u64, now: Duration) -> bool {
        let idle = now.saturating_sub(self.last_given_at) > STALE;
        let stale = |range: &Granted| idle && now.saturating_sub(range.asked_at) > STALE;
        if self.current.as_ref().is_some_and(stale) {
            self.current = None;
        }
        if self.ahead.as_ref().is_some_and(stale) {
            self.ahead = None;
        }
        let aged = |range: &Granted| now.saturating_sub(range.asked_at) > FRESH;
        let left = self.current.map_or(0, |range| range.count());
        if self.ahead.is_some() && (left < count || self.current.as_ref().is_some_and(aged)) {
            self.current = self.ahead.take();
        }
        let left = self.current.map_or(0, |range| range.count());
        let wanted = left < count.max(u64::from(GRANT_TICKS) / 2) || self.current.as_ref().is_some_and(aged);
        if wanted && self.ahead.is_none() {
            self.start_fetch(count, now);
        }
        left >= count
    }

    /// Gets ready to give a tick of at least `at`: ranges wholly below it are dropped. Whether one is
    /// there; if not, a fetch is under way or has to wait.
    pub fn prepare_at_least(&mut self, at: Tick, now: Duration) -> bool {
        let reaches = |range: &Granted| range.last >= at;
        if self.current.as_ref().is_some_and(reaches) {
            return true;
        }
        self.current = self.ahead.take();
        if self.current.as_ref().is_some_and(reaches) {
            return true;
        }
        self.current = None;
        self.start_fetch(1, now);
        false
    }

    /// Whether a tick of at least `at` is in hand.
    #[must_use]
    pub fn reaches(&self, at: Tick) -> bool {
        [&self.current, &self.ahead].into_iter().flatten().any(|range| range.last >= at)
    }

    /// The tick that [`Ticks::take`] gives next. `None` when none is in hand.
    #[must_use]
    pub fn peek(&self) -> Option<Tick> {
        let range = self.current.as_ref()?;
        let tick = range.next.max(self.last.next());
        (tick <= range.last).then_some(tick)
    }

    /// The next tick. `None` when none is in hand.
    pub fn take(&mut self, now: Duration) -> Option<Tick> {
        self.take_at_least(Tick::ZERO, now)
    }

    /// Lets go of the ticks in hand below `at`, so that the next one is at least `at`.
    pub fn skip_to(&mut self, at: Tick) {
        if let Some(range) = self.current.as_mut() {
            range.next = range.next.max(at);
        }
    }

    /// The next tick that is at least `at`. `None` when none is in hand.
    pub fn take_at_least(&mut self, at: Tick, now: Duration) -> Option<Tick> {
        let range = self.current.as_mut()?;
        // Invariant W1. Each tick is above the one before, whatever the source grants.
        let tick = range.next.max(at).max(self.last.next());
        if tick > range.last {
            return None;
        }
        range.next = tick.next();
        self.last = tick;
        self.last_given_at = now;
        Some(tick)
    }

    /// Waits for the fetch under way and keeps what it granted; pends for ever when there is none.
    /// Nothing is lost when this is dropped half way.
    ///
    /// # Errors
    /// When the source granted nothing; after a pause a later `prepare` asks again.
    pub async fn fetched(&mut self, now: Duration) -> Result<(), TickError> {
        let Some((asked_at, fetch)) = self.fetch.as_mut() else { return std::future::pending().await };
        let asked_at = *asked_at;
        let granted = fetch.await;
        self.fetch = None;
        match granted {
            Ok(range) => {
                let (next, last) = (range.first.max(self.last.next()), range.last());
                if next <= last {
                    self.ahead = Some(Granted { next, last, asked_at });
                } else {
                    // Only a source that was reset grants below the log: ask again, later.
                    self.retry_at = now + RETRY;
                }
                Ok(())
            }
            Err(error) => {
                self.retry_at = now + RETRY;
                Err(error)
            }
        }
    }

    /// When it makes sense to call `prepare` again although nothing was fetched, if a fetch failed.
    #[must_use]
    pub fn retry_at(&self) -> Option<Duration> {
        (self.fetch.is_none() && self.retry_at > Duration::ZERO).then_some(self.retry_at)
    }

    fn start_fetch(&mut self, count: u64, now: Duration) {
        if self.fetch.is_some() || now < self.retry_at {
            return;
        }
        self.retry_at = Duration::ZERO;
        let source = self.source.clone();
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(GRANT_TICKS);
        self.fetch = Some((now, Box::pin(async move { source.grant(count).await })));
    }
}

#[cfg(test)]
mod tests {
    use cinclus_env::{Clock, LocalTicks, ManualClock};
    use futures::FutureExt;

    use super::*;

    fn source(clock: &ManualClock) -> Arc<LocalTicks> {
        Arc::new(LocalTicks::new(Arc::new(clock.clone())))
    }

    fn fetch_now(ticks: &mut Ticks, clock: &ManualClock) {
        ticks
            .fetched(clock.monotonic())
            .now_or_never()
            .expect("a fetch is under way")
            .expect("it is granted");
    }

    #[test]
    fn ticks_only_go_up_over_ranges() {
        let clock = ManualClock::starting_at(5_000);
        let mut ticks = Ticks::new(source(&clock), Tick::ZERO);
        let mut last = Tick::ZERO;
        for _ in 0..10_000 {
            while !ticks.prepare(3, clock.monotonic()) {
                fetch_now(&mut ticks, &clock);
            }
            let tick = ticks.take(clock.monotonic()).expect("prepared");
            assert!(tick > last);
            last = tick;
        }
    }

    #[test]
    fn a_range_of_an_idle_log_is_dropped_so_that_ticks_follow_the_clock() {
        let clock = ManualClock::starting_at(5_000);
        let mut ticks = Ticks::new(source(&clock), Tick::ZERO);
        assert!(!ticks.prepare(1, clock.monotonic()));
        fetch_now(&mut ticks, &clock);
        assert!(ticks.prepare(1, clock.monotonic()));
        assert_eq!(ticks.take(clock.monotonic()).unwrap().unix_ms(), 5_000);
        clock.advance(Duration::from_secs(7));
        assert!(!ticks.prepare(1, clock.monotonic()));
        fetch_now(&mut ticks, &clock);
        assert!(ticks.prepare(1, clock.monotonic()));
        assert_eq!(ticks.take(clock.monotonic()).unwrap().unix_ms(), 12_000);
    }

    #[test]
    fn a_busy_log_gets_fresh_ticks_without_waiting() {
        let clock = ManualClock::starting_at(5_000);
        let mut ticks = Ticks::new(source(&clock), Tick::ZERO);
        assert!(!ticks.prepare(1, clock.monotonic()));
        fetch_now(&mut ticks, &clock);
        for _ in 0..100 {
            assert!(ticks.prepare(1, clock.monotonic()), "a busy log never waits");
            let tick = ticks.take(clock.monotonic()).expect("prepared");
            assert!(clock.unix_ms() - tick.unix_ms() <= 200, "the tick is near the clock");
            let _ = ticks.fetched(clock.monotonic()).now_or_never();
            clock.advance(Duration::from_millis(50));
        }
    }

    #[test]
    fn ranges_below_the_asked_tick_are_dropped() {
        let clock = ManualClock::starting_at(5_000);
        let mut ticks = Ticks::new(source(&clock), Tick::ZERO);
        assert!(!ticks.prepare(1, clock.monotonic()));
        fetch_now(&mut ticks, &clock);
        assert!(ticks.prepare(1, clock.monotonic()));
        clock.advance(Duration::from_millis(80));
        let at = Tick::from_unix_ms(5_080);
        assert!(!ticks.prepare_at_least(at, clock.monotonic()));
        fetch_now(&mut ticks, &clock);
        assert!(ticks.prepare_at_least(at, clock.monotonic()));
        let tick = ticks.take_at_least(at.next(), clock.monotonic()).unwrap();
        assert!(tick > at);
    }

    #[test]
    fn a_source_behind_the_log_gives_no_tick() {
        let clock = ManualClock::starting_at(5_000);
        let mut ticks = Ticks::new(source(&clock), Tick::from_unix_ms(9_000));
        assert!(!ticks.prepare(1, clock.monotonic()));
        fetch_now(&mut ticks, &clock);
        assert!(!ticks.prepare(1, clock.monotonic()));
        assert_eq!(ticks.retry_at(), Some(RETRY));
    }
}
