//! What this process knows of one log.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_env::{TaskGroup, TaskHandle};
use cinclus_types::{MessageId, PChannel};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pipe::Pipe;
use super::segment::Segment;
use crate::error::LogError;
use crate::woodpecker::metadata::{Fence, LogEntry, SegmentState};

/// One log. Opens and truncations take turns; readers and the writer go on meanwhile.
pub(super) struct Log {
    pub(super) channel: PChannel,
    turn: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Its number, once it was loaded.
    id: Option<i64>,
    segments: BTreeMap<u64, Arc<Segment>>,
    earliest: MessageId,
    /// Why the log is closed: damage that the last open found.
    damage: Option<LogError>,
    open: Option<Open>,
}

/// The newest open for writing in this process.
pub(super) struct Open {
    pub(super) pipe: Arc<Pipe>,
    pub(super) fence: Fence,
    /// The keeper's task and the group that stops it.
    pub(super) keeper: TaskHandle<()>,
    pub(super) keeper_group: TaskGroup,
}

impl Open {
    /// Ends this open for a newer one: the pipe first, so that the keeper finds it dead. Uploads that are
    /// under way are not waited for: the fence object stands where they would count.
    pub(super) async fn end(self) {
        self.pipe.kill(LogError::Fenced);
        self.keeper_group.cancel();
        let _ = self.keeper.join().await;
    }
}

impl Log {
    pub(super) fn new(channel: PChannel) -> Log {
        Log { channel, turn: Arc::new(Semaphore::new(1)), state: Mutex::default() }
    }

    /// Waits until nobody else opens or truncates this log.
    pub(super) async fn turn(&self) -> OwnedSemaphorePermit {
        self.turn.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// The log's number.
    pub(super) fn id(&self) -> Option<i64> {
        self.state.lock().id
    }

    /// The pipe of this process, if it has one that is alive: then everything about the log is known here.
    pub(super) fn live(&self) -> Option<Arc<Pipe>> {
        let state = self.state.lock();
        state.open.as_ref().map(|open| open.pipe.clone()).filter(|pipe| !pipe.is_dead())
    }

    /// Takes up what the metadata says. Segments that are known stay the same for their readers.
    pub(super) fn take_up(&self, entry: &LogEntry, earliest: MessageId) {
        let mut state = self.state.lock();
        state.id = Some(entry.meta.log_id);
        state.earliest = state.earliest.max(earliest);
        // What was read may be older than what is known: a newer segment stays.
        let newest = entry.segments.keys().next_back().copied();
        state.segments.retain(|id, _| entry.segments.contains_key(id) || Some(*id) > newest);
        for (id, segment) in &entry.segments {
            let known = state.segments.get(id);
            match segment.meta.state() {
                SegmentState::Truncated => {
                    state.segments.remove(id);
                }
                SegmentState::Active => {
                    state.segments.entry(*id).or_insert_with(|| Arc::new(Segment::open(*id)));
                }
                SegmentState::Completed | SegmentState::Sealed => match known {
                    Some(known) if known.is_open() => known.look_into_footer(),
                    Some(_) => {}
                    None => {
                        state.segments.insert(*id, Arc::new(Segment::in_footer(*id)));
                    }
                },
            }
        }
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

    pub(super) fn remove_segments(&self, ids: &[u64]) {
        self.state.lock().segments.retain(|id, _| !ids.contains(id));
    }

    /// The first segment whose number is `id` or higher.
    pub(super) fn segment_from(&self, id: u64) -> Option<Arc<Segment>> {
        self.state.lock().segments.range(id..).next().map(|(_, segment)| segment.clone())
    }

    pub(super) fn last_segment(&self) -> Option<Arc<Segment>> {
        self.state.lock().segments.values().next_back().cloned()
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
