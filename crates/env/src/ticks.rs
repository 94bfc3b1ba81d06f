//! Ticks and ids: ranges granted by the TSO.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_types::{Advice, Tick, TickRange};
use parking_lot::Mutex;

use crate::clock::DynClock;

/// Why no range was granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TickError {
    /// The TSO cannot be reached or is not ready.
    #[error("the timestamp oracle is not available: {0}")]
    Unavailable(String),
    /// A range of nothing was asked for.
    #[error("a tick range holds at least one tick")]
    Empty,
}

impl TickError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            TickError::Unavailable(_) => Advice::Retry,
            TickError::Empty => Advice::Reject,
        }
    }
}

/// Grants ranges of ticks. Every granted range lies above every range granted before it, whoever asked.
#[async_trait]
pub trait TickSource: Send + Sync + 'static {
    /// A run of `count` ticks that nobody else has or will have.
    ///
    /// # Errors
    /// See [`TickError`]; nothing was granted then.
    async fn grant(&self, count: u32) -> Result<TickRange, TickError>;
}

/// A shared source of ticks.
pub type DynTickSource = Arc<dyn TickSource>;

/// A source without a coordinator: the clock's milliseconds, never going back. It forgets everything
/// when the process ends, so it is for tests and tools.
#[derive(Clone)]
pub struct LocalTicks {
    clock: DynClock,
    next: Arc<Mutex<Tick>>,
}

impl LocalTicks {
    /// Ticks of this clock.
    #[must_use]
    pub fn new(clock: DynClock) -> LocalTicks {
        LocalTicks { clock, next: Arc::new(Mutex::new(Tick::ZERO)) }
    }

    /// Makes every later range lie above `tick`.
    pub fn raise_above(&self, tick: Tick) {
        let mut next = self.next.lock();
        *next = (*next).max(tick.next());
    }
}

#[async_trait]
impl TickSource for LocalTicks {
    async fn grant(&self, count: u32) -> Result<TickRange, TickError> {
        if count == 0 {
            return Err(TickError::Empty);
        }
        let mut next = self.next.lock();
        let first = (*next).max(Tick::from_unix_ms(self.clock.unix_ms()));
        *next = Tick(first.0 + u64::from(count));
        Ok(TickRange { first, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn ticks_never_go_back_with_the_clock() {
        let clock = ManualClock::starting_at(1_000);
        let ticks = LocalTicks::new(Arc::new(clock.clone()));
        let first = ticks.grant(10).await.unwrap();
        assert_eq!(first.first, Tick::from_unix_ms(1_000));
        clock.set_unix_ms(10);
        let second = ticks.grant(1).await.unwrap();
        assert_eq!(second.first, first.last().next());
        ticks.raise_above(Tick::from_unix_ms(5_000));
        assert!(ticks.grant(1).await.unwrap().first > Tick::from_unix_ms(5_000));
        assert_eq!(ticks.grant(0).await, Err(TickError::Empty));
    }
}
