//! Whether small requests wait for each other.

use std::time::Duration;

/// After so many batches it is looked at again whether waiting pays.
const LOOK_AGAIN: u32 = 1000;

/// What a batch costs at the storage, and what it costs to make the next one.
///
/// If callers that were answered together go together again, a batch carries all of them, but the storage has
/// nothing to do while they are answered and come back. If they do not wait, half of them are under way while
/// the other half comes back. The first is better as long as the storage takes longer than they do.
#[derive(Default)]
pub(crate) struct Pace {
    /// Batches that still go without waiting.
    apart: u32,
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
        if let Some((at, storage)) = self.answered.take()
            && now.saturating_sub(at) > storage
        {
            self.apart = LOOK_AGAIN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn nobody_waits_for_those_who_take_longer_than_the_storage() {
        let mut pace = Pace::default();
        assert!(pace.waits());
        pace.answered_together(10 * MILLI, 2 * MILLI);
        pace.sent(12 * MILLI);
        assert!(pace.waits(), "as long as the storage is not longer");
        pace.answered_together(20 * MILLI, 2 * MILLI);
        pace.sent(23 * MILLI);
        for _ in 0..LOOK_AGAIN {
            assert!(!pace.waits());
            pace.sent(30 * MILLI);
        }
        assert!(pace.waits(), "and later it is tried again");
    }
}
