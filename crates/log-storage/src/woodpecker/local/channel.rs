//! What this process knows of one log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cinclus_env::{TaskGroup, TaskHandle};
use cinclus_types::{MessageId, PChannel};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pipe::Pipe;
use super::segment::Segment;
use crate::error::LogError;
use crate::woodpecker::metadata::Fence;

/// One log. Opens, loads and truncations take turns; readers and the writer go on meanwhile.
pub(super) struct Log {
    pub(super) channel: PChannel,
    turn: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where its files are, once it was loaded.
    dir: Option<PathBuf>,
    segments: BTreeMap<u64, Arc<Segment>>,
    earliest: MessageId,
    /// Why the log is closed: damage that the last open found.
    damage: Option<LogError>,
    open: Option<Open>,
}

/// The newest open for writing.
pub(super) struct Open {
    pub(super) pipe: Arc<Pipe>,
    pub(super) fence: Fence,
    /// The keeper's task and the group that stops it.
    pub(super) keeper: TaskHandle<()>,
    pub(super) keeper_group: TaskGroup,
}

impl Open {
    /// Ends this open for a newer one: the pipe first, so that the keeper finds it dead.
    pub(super) async fn end(self) {
        self.pipe.fence().await;
        self.keeper_group.cancel();
        let _ = self.keeper.join().await;
    }
}

impl Log {
    pub(super) fn new(channel: PChannel) -> Log {
        Log { channel, turn: Arc::new(Semaphore::new(1)), state: Mutex::default() }
    }

    /// Waits until nobody else opens, loads or truncates this log.
    pub(super) async fn turn(&self) -> OwnedSemaphorePermit {
        self.turn.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.state.lock().dir.is_some()
    }

    pub(super) fn dir(&self) -> Option<PathBuf> {
        self.state.lock().dir.clone()
    }

    pub(super) fn set_loaded(
        &self,
        dir: PathBuf,
        earliest: MessageId,
        segments: BTreeMap<u64, Arc<Segment>>,
    ) {
        let mut state = self.state.lock();
        state.dir = Some(dir);
        state.earliest = state.earliest.max(earliest);
        state.segments = segments;
    }

    pub(super) fn set_damage(&self, damage: LogError) {
        self.state.lock().damage = Some(damage);
    }

    /// A writer was opened: the log is sound.
    pub(super) fn set_open(&self, open: Open) {
        let mut state = self.state.lock();
        state.open = Some(open);
        state.damage = None;
    }

    pub(super) fn take_open(&self) -> Option<Open> {
        self.state.lock().open.take()
    }

    /// The fence value of the newest open.
    pub(super) fn fence(&self) -> Option<Fence> {
        self.state.lock().open.as_ref().map(|open| open.fence)
    }

    pub(super) fn add_segment(&self, segment: Arc<Segment>) {
        self.state.lock().segments.insert(segment.id, segment);
    }

    pub(super) fn segment(&self, id: u64) -> Option<Arc<Segment>> {
        self.state.lock().segments.get(&id).cloned()
    }

    pub(super) fn segment_ids(&self) -> Vec<u64> {
        self.state.lock().segments.keys().copied().collect()
    }

    pub(super) fn remove_segments(&self, ids: &[u64]) {
        self.state.lock().segments.retain(|id, _| !ids.contains(id));
    }

    /// The first segment whose number is `id` or higher.
    pub(super) fn segment_from(&self, id: u64) -> Option<Arc<Segment>> {
        self.state.lock().segments.range(id..).next().map(|(_, segment)| segment.clone())
    }

    /// The segment that records go to, or went last.
    pub(super) fn last_with_records(&self) -> Option<Arc<Segment>> {
        let state = self.state.lock();
        let with_records = |segment: &&Arc<Segment>| !segment.is_open_and_empty();
        state.segments.values().rev().find(with_records).cloned()
    }

    pub(super) fn earliest(&self) -> MessageId {
        self.state.lock().earliest
    }

    pub(super) fn raise_earliest(&self, point: MessageId) {
        let mut state = self.state.lock();
        // Invariant L6: only forward.
        state.earliest = state.earliest.max(point);
    }

    /// Whether a reader may go on from `from`.
    pub(super) fn check_readable(&self, from: MessageId) -> Result<(), LogError> {
        let state = self.state.lock();
        match &state.damage {
            Some(damage) => Err(damage.clone()),
            None if from < state.earliest => Err(LogError::Truncated { earliest: state.earliest }),
            None => Ok(()),
        }
    }
}
