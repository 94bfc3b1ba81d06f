//! The calendar, as far as it can be believed.

use std::time::Duration;

use cinclus_env::DynClock;
use cinclus_types::Tick;
use parking_lot::Mutex;

/// The wall clock, as long as it does not jump ahead of a stopwatch by more than a limit; then the
/// stopwatch. A clock set far ahead by mistake would otherwise poison the ticks for ever.
///
/// The stopwatch goes on from the furthest time that was believed: many small corrections are followed,
/// and so is the way back to a time that was believed before.
pub struct BelievedClock {
    clock: DynClock,
    jump_max: Duration,
    anchor: Mutex<Anchor>,
}

struct Anchor {
    unix_ms: u64,
    at: Duration,
    refused: bool,
}

impl BelievedClock {
    /// Believes what the clock says now.
    #[must_use]
    pub fn new(clock: DynClock, jump_max: Duration) -> BelievedClock {
        let anchor = Anchor { unix_ms: clock.unix_ms(), at: clock.monotonic(), refused: false };
        BelievedClock { clock, jump_max, anchor: Mutex::new(anchor) }
    }

    /// The first tick of this moment. May go back, as the wall clock may.
    #[must_use]
    pub fn now(&self) -> Tick {
        let (wall, at) = (self.clock.unix_ms(), self.clock.monotonic());
        let mut anchor = self.anchor.lock();
        let passed = u64::try_from(at.saturating_sub(anchor.at).as_millis()).unwrap_or(u64::MAX);
        let expected = anchor.unix_ms.saturating_add(passed);
        let ahead = Duration::from_millis(wall.saturating_sub(expected));
        let refused = ahead > self.jump_max;
        if refused && !anchor.refused {
            tracing::error!(?ahead, limit = ?self.jump_max, "the clock jumped ahead and is not followed");
        }
        anchor.refused = refused;
        if refused {
            return Tick::from_unix_ms(expected);
        }
        if wall > expected {
            (anchor.unix_ms, anchor.at) = (wall, at);
        }
        Tick::from_unix_ms(wall)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cinclus_env::ManualClock;

    use super::*;

    fn believed(clock: &ManualClock) -> BelievedClock {
        BelievedClock::new(Arc::new(clock.clone()), Duration::from_secs(60))
    }

    #[test]
    fn a_far_jump_is_not_followed_and_time_goes_on_from_before() {
        let clock = ManualClock::starting_at(1_000_000);
        let believed = believed(&clock);
        clock.advance(Duration::from_secs(1));
        clock.set_unix_ms(1_001_000 + 60_001);
        assert_eq!(believed.now().unix_ms(), 1_001_000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(believed.now().unix_ms(), 1_003_000);
        clock.set_unix_ms(1_003_500);
        assert_eq!(believed.now().unix_ms(), 1_003_500);
    }

    #[test]
    fn many_corrections_within_the_limit_are_followed() {
        let clock = ManualClock::starting_at(1_000_000);
        let believed = believed(&clock);
        for turn in 1..=10 {
            clock.set_unix_ms(1_000_000 + turn * 59_000);
            assert_eq!(believed.now().unix_ms(), 1_000_000 + turn * 59_000);
        }
    }

    #[test]
    fn a_clock_that_went_back_may_return_to_where_it_was() {
        let clock = ManualClock::starting_at(10_000_000);
        let believed = believed(&clock);
        clock.set_unix_ms(5_000_000);
        assert_eq!(believed.now().unix_ms(), 5_000_000);
        clock.set_unix_ms(10_000_000);
        assert_eq!(believed.now().unix_ms(), 10_000_000);
    }
}
