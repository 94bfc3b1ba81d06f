//! What is known of a log in every layout: who may change it, where it begins, whether it is sound.

use std::sync::Arc;

use cinclus_types::MessageId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::LogError;

/// That part of a log's state in this process.
pub(super) struct LogState {
    turn: Arc<Semaphore>,
    begin: Mutex<Begin>,
}

#[derive(Default)]
struct Begin {
    earliest: MessageId,
    /// Why the log is closed: damage that the last open found.
    damage: Option<LogError>,
}

impl LogState {
    pub(super) fn new() -> LogState {
        LogState { turn: Arc::new(Semaphore::new(1)), begin: Mutex::default() }
    }

    /// Waits until nobody else opens, loads or truncates this log.
    pub(super) async fn turn(&self) -> OwnedSemaphorePermit {
        self.turn.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    pub(super) fn set_damage(&self, damage: LogError) {
        self.begin.lock().damage = Some(damage);
    }

    /// A writer was opened.
    pub(super) fn is_sound(&self) {
        self.begin.lock().damage = None;
    }

    /// The first record that stays.
    pub(super) fn earliest(&self) -> MessageId {
        self.begin.lock().earliest
    }

    /// Moves the truncation point, in memory; it is durable before.
    pub(super) fn raise_earliest(&self, point: MessageId) {
        let mut begin = self.begin.lock();
        // Invariant L6: only forward.
        begin.earliest = begin.earliest.max(point);
    }

    /// Whether a reader may go on from `from`.
    pub(super) fn check_readable(&self, from: MessageId) -> Result<(), LogError> {
        let begin = self.begin.lock();
        match &begin.damage {
            Some(damage) => Err(damage.clone()),
            None if from < begin.earliest => Err(LogError::Truncated { earliest: begin.earliest }),
            None => Ok(()),
        }
    }
}
