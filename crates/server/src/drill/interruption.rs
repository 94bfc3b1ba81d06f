//! For how long nothing was answered.

use std::time::{Duration, Instant};

/// The longest time between two answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interruption {
    last: Instant,
    longest: Duration,
}

impl Interruption {
    /// Counts from now on.
    pub(super) fn begin(now: Instant) -> Interruption {
        Interruption { last: now, longest: Duration::ZERO }
    }

    /// Something was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.longest = self.longest.max(now.duration_since(self.last));
        self.last = now;
    }

    /// The longest time without an answer, the time since the last one included.
    pub(super) fn longest(&self, now: Instant) -> Duration {
        self.longest.max(now.duration_since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_counts_also_at_both_ends() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut gap = Interruption::begin(start);
        assert_eq!(gap.longest(at(5)), Duration::from_millis(5));
        for millis in [10, 12, 40, 41] {
            gap.answered(at(millis));
        }
        assert_eq!(gap.longest(at(50)), Duration::from_millis(28));
        assert_eq!(gap.longest(at(100)), Duration::from_millis(59));
    }
}
