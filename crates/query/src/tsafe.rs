//! How far a log has been applied.

use std::time::Duration;

use cinclus_env::{Clock, timeout};
use cinclus_rpc::ReadError;
use cinclus_types::Tick;
use tokio::sync::watch;

/// Every delivery of a log with an effective tick up to here has been applied. Only grows.
#[derive(Clone)]
pub struct Tsafe {
    tick: watch::Sender<Tick>,
}

impl Default for Tsafe {
    fn default() -> Self {
        Tsafe { tick: watch::Sender::new(Tick::ZERO) }
    }
}

impl Tsafe {
    /// The tick that reads are safe at now.
    #[must_use]
    pub fn get(&self) -> Tick {
        *self.tick.borrow()
    }

    /// Moves on. A tick that is not ahead changes nothing.
    pub fn advance(&self, tick: Tick) {
        self.tick.send_if_modified(|current| {
            let ahead = tick > *current;
            if ahead {
                *current = tick;
            }
            ahead
        });
    }

    /// Waits until everything up to `at` is applied; answers how far it is then.
    ///
    /// # Errors
    /// [`ReadError::TimedOut`] when the patience ends first.
    pub async fn wait(&self, clock: &dyn Clock, at: Tick, patience: Duration) -> Result<Tick, ReadError> {
        let now = self.get();
        if now >= at {
            return Ok(now);
        }
        let mut tick = self.tick.subscribe();
        let reached = timeout(clock, patience, tick.wait_for(|tick| *tick >= at)).await;
        match reached {
            Ok(Ok(tick)) => Ok(*tick),
            Ok(Err(_)) | Err(_) => Err(ReadError::TimedOut { asked: at, tsafe: self.get() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use cinclus_env::TokioClock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_waits_for_its_tick_and_no_longer_than_its_patience() {
        let (tsafe, clock) = (Tsafe::default(), TokioClock::starting_at(0));
        let second = Duration::from_secs(1);
        let timed_out = ReadError::TimedOut { asked: Tick(5), tsafe: Tick::ZERO };
        assert_eq!(tsafe.wait(&clock, Tick(5), second).await, Err(timed_out));
        let (waited, ()) =
            tokio::join!(tsafe.wait(&clock, Tick(5), second), async { tsafe.advance(Tick(7)) });
        assert_eq!(waited, Ok(Tick(7)));
        tsafe.advance(Tick(3));
        assert_eq!(tsafe.get(), Tick(7));
    }
}
