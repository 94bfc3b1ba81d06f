//! When a TimeTick has to be stored.

use std::time::Duration;

/// Knows since when stored messages are not covered by a stored TimeTick. Pure: times are handed in.
///
/// A TimeTick says to foreign readers: every message up to here is in the log before this record. It
/// rides in a batch that is sent anyway, and gets a batch of its own only when its time has come; a log
/// without new messages stores none.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    delay_max: Duration,
    uncovered_since: Option<Duration>,
}

impl Heartbeat {
    /// Nothing is uncovered.
    #[must_use]
    pub fn new(delay_max: Duration) -> Heartbeat {
        Heartbeat { delay_max, uncovered_since: None }
    }

    /// A message was stamped at `now`.
    pub fn stamped(&mut self, now: Duration) {
        self.uncovered_since.get_or_insert(now);
    }

    /// A TimeTick was stamped: everything before it is covered.
    pub fn covered(&mut self) {
        self.uncovered_since = None;
    }

    /// Whether a batch that is sent at `now` for other reasons should begin with a TimeTick: from a
    /// quarter of the delay on, so that a busy log needs no batch for its TimeTicks and does not store
    /// one for every message either.
    #[must_use]
    pub fn rides_along(&self, now: Duration) -> bool {
        self.uncovered_since.is_some_and(|since| now.saturating_sub(since) >= self.delay_max / 4)
    }

    /// When a TimeTick has to be stored at the latest, if one has.
    #[must_use]
    pub fn due_at(&self) -> Option<Duration> {
        self.uncovered_since.map(|since| since + self.delay_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_time_tick_is_due_only_after_messages() {
        let mut heartbeat = Heartbeat::new(ms(200));
        assert_eq!(heartbeat.due_at(), None);
        heartbeat.stamped(ms(1_000));
        heartbeat.stamped(ms(1_100));
        assert_eq!(heartbeat.due_at(), Some(ms(1_200)));
        assert!(!heartbeat.rides_along(ms(1_049)) && heartbeat.rides_along(ms(1_050)));
        heartbeat.covered();
        assert_eq!(heartbeat.due_at(), None);
        assert!(!heartbeat.rides_along(ms(9_000)));
    }
}
