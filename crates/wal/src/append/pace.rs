//! Whether small requests wait for each other.

use std::time::Duration;

/// After so many batches it is looked at again whether waiting pays.
const LOOK_AGAIN: u32 = 1000;

/// So many more times than not callers have to take longer than the storage before nobody waits for them: a thread
/// that was held up once says nothing.
const LATE_MAX: u32 = 8;

/// What a batch costs at the storage, and what it costs to make the next one.
///
/// If callers that were answered together go together again, a batch carries all of them, but the storage has
/// nothing to do while they are answered and come back. If they do not wait, half of them are under way while
/// the other half comes back. The first is better as long as the storage takes longer than they do.
#[derive(Default)]
pub(crate) struct Pace {
    /// Batches that still go without waiting.
    apart: u32,
    /// How many more times than not callers took longer than the storage.
    late: u32,
    /// When many were answered together, and how long the storage took.
    answered: Option<(Duration, Duration)>,
}

impl Pace {
    /// Whether requests wait for the ack of what is at the storage.
    pub(crate) fn waits(&self) -> bool {
        self.apart == 0
    }

    /// Many were answered together at `now`; the storage took so long.
    pub(crate) fn answered_together(&mut self, now: Duration, storage: Duration) {
        self.answered = Some((now, storage));
    }

    /// The next batch goes to the storage.
    pub(crate) fn sent(&mut self, now: Duration) {
        self.apart = self.apart.saturating_sub(1);
        let Some((at, storage)) = self.answered.take() else { return };
        if now.saturating_sub(at) <= storage {
            self.late = self.late.saturating_sub(1);
            return;
        }
        self.late += 1;
        if self.late == LATE_MAX {
            (self.late, self.apart) = (0, LOOK_AGAIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Callers that were answered together came back after so long; the storage took two milliseconds.
    fn back_after(pace: &mut Pace, span: Duration) {
        pace.answered_together(10 * MILLI, 2 * MILLI);
        pace.sent(10 * MILLI + span);
    }

    #[test]
    fn nobody_waits_for_those_who_take_longer_than_the_storage() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            back_after(&mut pace, 2 * MILLI);
            assert!(pace.waits(), "as long as the storage is not longer");
        }
        for _ in 0..LATE_MAX {
            assert!(pace.waits());
            back_after(&mut pace, 3 * MILLI);
        }
        for _ in 0..LOOK_AGAIN {
            assert!(!pace.waits());
            pace.sent(30 * MILLI);
        }
        assert!(pace.waits(), "and later it is tried again");
    }

    #[test]
    fn those_who_are_late_now_and_then_are_waited_for() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            back_after(&mut pace, 9 * MILLI);
            back_after(&mut pace, MILLI);
            assert!(pace.waits());
        }
    }
}
