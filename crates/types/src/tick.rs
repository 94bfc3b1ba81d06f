//! Time as the log knows it: hybrid timestamps of the TSO.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A hybrid timestamp: Unix milliseconds in the upper 46 bits, a counter in the lower 18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tick(pub u64);

impl Tick {
    /// Bits of the counter below the milliseconds.
    pub const LOGICAL_BITS: u32 = 18;
    /// Before every tick that was ever given.
    pub const ZERO: Tick = Tick(0);
    /// After every tick that will ever be given.
    pub const MAX: Tick = Tick(u64::MAX);

    /// The first tick of a Unix millisecond.
    #[must_use]
    pub const fn from_unix_ms(unix_ms: u64) -> Tick {
        Tick(unix_ms << Self::LOGICAL_BITS)
    }

    /// The Unix milliseconds of this tick.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0 >> Self::LOGICAL_BITS
    }

    /// The counter within the millisecond.
    #[must_use]
    pub const fn logical(self) -> u64 {
        self.0 & ((1 << Self::LOGICAL_BITS) - 1)
    }

    /// The tick that follows. Ends at [`Tick::MAX`].
    #[must_use]
    pub const fn next(self) -> Tick {
        Tick(self.0.saturating_add(1))
    }

    /// The tick before. Ends at [`Tick::ZERO`].
    #[must_use]
    pub const fn previous(self) -> Tick {
        Tick(self.0.saturating_sub(1))
    }

    /// This tick moved forward by a span of physical time.
    #[must_use]
    pub const fn plus(self, span: Duration) -> Tick {
        Tick(self.0.saturating_add(Self::of_span(span)))
    }

    /// This tick moved back by a span of physical time.
    #[must_use]
    pub const fn minus(self, span: Duration) -> Tick {
        Tick(self.0.saturating_sub(Self::of_span(span)))
    }

    /// A span as a difference of ticks; the greatest there is if it is longer than ticks reach.
    const fn of_span(span: Duration) -> u64 {
        let ms = span.as_millis();
        if ms > (u64::MAX >> Self::LOGICAL_BITS) as u128 {
            u64::MAX
        } else {
            (ms as u64) << Self::LOGICAL_BITS
        }
    }
}

impl std::fmt::Display for Tick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A run of ticks granted by the TSO: `first..first+count`, nobody else's. Also used for ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickRange {
    /// The first tick of the run.
    pub first: Tick,
    /// How many ticks, at least 1.
    pub count: u32,
}

impl TickRange {
    /// The last tick of the run.
    #[must_use]
    pub const fn last(self) -> Tick {
        Tick(self.first.0 + self.count as u64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_holds_milliseconds_and_a_counter() {
        let tick = Tick(Tick::from_unix_ms(1_700_000_000_123).0 + 7);
        assert_eq!((tick.unix_ms(), tick.logical()), (1_700_000_000_123, 7));
        assert_eq!(tick.plus(Duration::from_millis(2)).unix_ms(), 1_700_000_000_125);
        assert_eq!(tick.minus(Duration::from_millis(3)).logical(), 7);
    }

    #[test]
    fn a_span_that_ticks_do_not_reach_ends_at_the_last_or_the_first() {
        let (tick, longest) = (Tick::from_unix_ms(5), Duration::from_millis(u64::MAX >> Tick::LOGICAL_BITS));
        let tick_of_longest = Tick::from_unix_ms(u64::MAX >> Tick::LOGICAL_BITS);
        assert_eq!(Tick::ZERO.plus(longest), tick_of_longest);
        for span in [longest + Duration::from_millis(1), Duration::from_millis(1 << 63), Duration::MAX] {
            assert_eq!((tick.plus(span), tick.minus(span)), (Tick::MAX, Tick::ZERO));
        }
    }
}
