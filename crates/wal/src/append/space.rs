//! How much room the log storage has left.

use std::time::Duration;

use cinclus_env::DynClock;
use cinclus_log_storage::LogStorage;
use cinclus_rpc::AppendError;
use parking_lot::Mutex;

/// So long the last look at the storage counts while there is room, and while there is none.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY_WHEN_FULL: Duration = Duration::from_millis(100);

/// Keeps appends out of the reserve. Looked at by the callers, before they queue.
pub(crate) struct SpaceGauge {
    reserve: u64,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Duration,
    /// Bytes beyond the reserve; what was admitted since is taken off.
    available: u64,
}

impl SpaceGauge {
    pub(crate) fn new(reserve: u64) -> SpaceGauge {
        SpaceGauge { reserve, seen: Mutex::new(None) }
    }

    /// Takes `need` bytes of the room beyond the reserve.
    ///
    /// # Errors
    /// [`AppendError::OutOfSpace`] if there is less.
    pub(crate) async fn admit(
        &self,
        need: u64,
        storage: &dyn LogStorage,
        clock: &DynClock,
    ) -> Result<(), AppendError> {
        let now = clock.monotonic();
        if self.take(need, now, LOOK_EVERY).is_some_and(|taken| taken.is_ok()) {
            return Ok(());
        }
        if let Some(refused) = self.take(need, now, LOOK_EVERY_WHEN_FULL) {
            return refused;
        }
        // A storage that cannot say how full it is will say so when it is.
        let free = storage.available_bytes().await.ok().flatten().unwrap_or(u64::MAX);
        *self.seen.lock() = Some(Seen { at: now, available: free.saturating_sub(self.reserve) });
        self.take(need, now, LOOK_EVERY).unwrap_or(Ok(()))
    }

    /// `None` if the last look is too old.
    fn take(&self, need: u64, now: Duration, age_max: Duration) -> Option<Result<(), AppendError>> {
        let mut seen = self.seen.lock();
        let seen = seen.as_mut().filter(|seen| now.saturating_sub(seen.at) < age_max)?;
        if seen.available < need {
            return Some(Err(AppendError::OutOfSpace { need, available: seen.available }));
        }
        seen.available -= need;
        Some(Ok(()))
    }
}
