//! Pauses between tries.

use std::time::Duration;

use cinclus_env::DynClock;

use crate::CoordConfig;

/// Pauses that grow from one try to the next. Cheap to clone; a clone begins anew.
pub struct Backoff {
    clock: DynClock,
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// The pauses of a configuration.
    #[must_use]
    pub fn new(clock: DynClock, config: &CoordConfig) -> Backoff {
        Backoff { clock, min: config.retry_min, max: config.retry_max, next: config.retry_min }
    }

    /// The same, but no pause is longer than `max`.
    #[must_use]
    pub fn at_most(self, max: Duration) -> Backoff {
        Backoff { max: self.max.min(max), ..self }
    }

    /// The clock by which the pauses are waited for.
    #[must_use]
    pub fn clock(&self) -> &DynClock {
        &self.clock
    }

    /// Waits before the next try.
    pub async fn pause(&mut self) {
        let span = self.next;
        self.next = (span * 2).min(self.max);
        self.clock.sleep(span).await;
    }

    /// Whether the next pause is as long as any can be.
    #[must_use]
    pub fn is_longest(&self) -> bool {
        self.next == self.max
    }

    /// A try succeeded: the next failure begins with the shortest pause.
    pub fn reset(&mut self) {
        self.next = self.min;
    }
}

impl Clone for Backoff {
    fn clone(&self) -> Backoff {
        Backoff { clock: self.clock.clone(), min: self.min, max: self.max, next: self.min }
    }
}
