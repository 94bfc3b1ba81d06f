//! Time: what the calendar says, what a stopwatch says, and waiting.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A clock that can be replaced.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch. May jump, also back.
    fn unix_ms(&self) -> u64;

    /// Time since some fixed moment. Never goes back and also runs while the machine is suspended, so
    /// that a lease held by a sleeping machine ends (invariant Q3).
    fn monotonic(&self) -> Duration;

    /// Waits for a span of time.
    async fn sleep(&self, span: Duration);

    /// Waits until [`Clock::monotonic`] says `deadline` or later.
    async fn sleep_until(&self, deadline: Duration) {
        self.sleep(deadline.saturating_sub(self.monotonic())).await;
    }
}

/// A shared clock.
pub type DynClock = Arc<dyn Clock>;

/// The span ended before the future did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct TimedOut;

/// Runs `future` for at most `span` of `clock`'s time; after that the future is dropped.
///
/// # Errors
/// [`TimedOut`] when the span ended first.
pub async fn timeout<F: Future>(clock: &dyn Clock, span: Duration, future: F) -> Result<F::Output, TimedOut> {
    tokio::select! {
        biased;
        output = future => Ok(output),
        () = clock.sleep(span) => Err(TimedOut),
    }
}

/// The operating system's clocks.
///
/// [`Clock::monotonic`] is `CLOCK_BOOTTIME` on Linux, which runs during suspend; elsewhere it is the
/// monotonic clock of the standard library, which may not.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsClock;

#[async_trait]
impl Clock for OsClock {
    fn unix_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }

    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }

    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// The clock of the tokio runtime: in a runtime with paused time it advances by itself whenever every
/// task waits, which makes tests with timers instant and repeatable.
#[derive(Clone, Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
    unix_ms_at_start: u64,
}

impl TokioClock {
    /// A clock that says `unix_ms` now.
    #[must_use]
    pub fn starting_at(unix_ms: u64) -> TokioClock {
        TokioClock { start: tokio::time::Instant::now(), unix_ms_at_start: unix_ms }
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn unix_ms(&self) -> u64 {
        self.unix_ms_at_start + self.start.elapsed().as_millis() as u64
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// A clock that only moves when it is told to.
#[derive(Clone, Default)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Default)]
struct ManualState {
    unix_ms: u64,
    monotonic: Duration,
    sleepers: BinaryHeap<Reverse<Sleeper>>,
    slept: u64,
}

struct Sleeper {
    deadline: Duration,
    order: u64,
    wake: oneshot::Sender<()>,
}

impl Sleeper {
    fn key(&self) -> (Duration, u64) {
        (self.deadline, self.order)
    }
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl ManualClock {
    /// A clock that stands at `unix_ms`, with zero on its stopwatch.
    #[must_use]
    pub fn starting_at(unix_ms: u64) -> ManualClock {
        let clock = ManualClock::default();
        clock.state.lock().unix_ms = unix_ms;
        clock
    }

    /// Moves both readings forward and wakes, in order, everybody whose time has come.
    pub fn advance(&self, span: Duration) {
        let mut due = Vec::new();
        {
            let mut state = self.state.lock();
            state.monotonic += span;
            state.unix_ms += span.as_millis() as u64;
            while state.sleepers.peek().is_some_and(|next| next.0.deadline <= state.monotonic) {
                due.extend(state.sleepers.pop());
            }
        }
        for Reverse(sleeper) in due {
            let _ = sleeper.wake.send(());
        }
    }

    /// Sets the calendar only, also back, as an administrator or NTP may.
    pub fn set_unix_ms(&self, unix_ms: u64) {
        self.state.lock().unix_ms = unix_ms;
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn unix_ms(&self) -> u64 {
        self.state.lock().unix_ms
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().monotonic
    }

    async fn sleep(&self, span: Duration) {
        if span.is_zero() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        {
            let mut state = self.state.lock();
            state.slept += 1;
            let sleeper = Sleeper { deadline: state.monotonic + span, order: state.slept, wake };
            state.sleepers.push(Reverse(sleeper));
        }
        let _ = woken.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_only_those_whose_time_has_come() {
        let clock = ManualClock::starting_at(1_000);
        let mut early = Box::pin(clock.sleep(Duration::from_millis(5)));
        let mut late = Box::pin(clock.sleep(Duration::from_millis(9)));
        assert!(futures::poll!(&mut early).is_pending() && futures::poll!(&mut late).is_pending());
        clock.advance(Duration::from_millis(5));
        assert!(futures::poll!(&mut early).is_ready() && futures::poll!(&mut late).is_pending());
        assert_eq!((clock.unix_ms(), clock.monotonic()), (1_005, Duration::from_millis(5)));
        clock.set_unix_ms(3);
        clock.advance(Duration::from_millis(4));
        assert!(futures::poll!(&mut late).is_ready());
        assert_eq!((clock.unix_ms(), clock.monotonic()), (7, Duration::from_millis(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_drops_the_future_and_says_so() {
        let clock = TokioClock::starting_at(50);
        let never = std::future::pending::<()>();
        assert_eq!(timeout(&clock, Duration::from_secs(3600), never).await, Err(TimedOut));
        assert_eq!(clock.unix_ms(), 50 + 3_600_000);
        assert_eq!(timeout(&clock, Duration::ZERO, async { 7 }).await, Ok(7));
    }

    #[test]
    fn the_os_clock_runs_forward_after_2020() {
        let first = OsClock.monotonic();
        assert!(OsClock.unix_ms() > 1_577_836_800_000);
        assert!(OsClock.monotonic() >= first);
    }
}
