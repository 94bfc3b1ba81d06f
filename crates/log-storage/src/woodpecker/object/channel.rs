//! What this process knows of one log.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_env::{TaskGroup, TaskHandle};
use cinclus_types::{MessageId, PChannel};
use parking_lot::Mutex;

use super::pipe::Pipe;
use super::segment::Segment;
use crate::error::LogError;
use crate::woodpecker::metadata::{Fence, LogEntry, SegmentState};
use crate::woodpecker::state::LogState;

/// One log. Opens and truncations take turns; readers and the writer go on meanwhile.
pub(super) struct Log {
    pub(super) channel: PChannel,
    pub(super) state: LogState,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Its number, once it was loaded.
    id: Option<i64>,
    segments: BTreeMap<u64, Arc<Segment>>,
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
        Log { channel, state: LogState::new(), known: Mutex::default() }
    }

    /// The log's number.
    pub(super) fn id(&self) -> Option<i64> {
        self.known.lock().id
    }

    /// The pipe of this process, if it has one that is alive: then everything about the log is known here.
    pub(super) fn live(&self) -> Option<Arc<Pipe>> {
        let known = self.known.lock();
        known.open.as_ref().map(|open| open.pipe.clone()).filter(|pipe| !pipe.is_dead())
    }

    /// The fence of that pipe.
    pub(super) fn live_fence(&self) -> Option<Fence> {
        let known = self.known.lock();
        known.open.as_ref().filter(|open| !open.pipe.is_dead()).map(|open| open.fence)
    }

    /// Takes up what the metadata says. Segments that are known stay the same for their readers.
    pub(super) fn take_up(&self, entry: &LogEntry, earliest: MessageId) {
        self.state.raise_earliest(earliest);
        let mut known = self.known.lock();
        known.id = Some(entry.meta.log_id);
        // What was read may be older than what is known: a newer segment stays.
        let newest = entry.segments.keys().next_back().copied();
        known.segments.retain(|id, _| entry.segments.contains_key(id) || Some(*id) > newest);
        for (id, segment) in &entry.segments {
            let there = known.segments.get(id);
            match segment.meta.state() {
                SegmentState::Truncated => {
                    known.segments.remove(id);
                }
                SegmentState::Active => {
                    known.segments.entry(*id).or_insert_with(|| Arc::new(Segment::open(*id)));
                }
                SegmentState::Completed | SegmentState::Sealed => match there {
                    Some(segment) if segment.is_open() => segment.look_into_footer(),
                    Some(_) => {}
                    None => {
                        known.segments.insert(*id, Arc::new(Segment::in_footer(*id)));
                    }
                },
            }
        }
    }

    /// Ends the open of that fence, which another process has taken.
    pub(super) fn give_up(&self, fence: &Fence) {
        let known = self.known.lock();
        if let Some(open) = known.open.as_ref().filter(|open| open.fence == *fence) {
            open.pipe.kill(LogError::Fenced);
        }
    }

    /// A writer was opened: the log is sound.
    pub(super) fn set_open(&self, open: Open) {
        self.known.lock().open = Some(open);
        self.state.is_sound();
    }

    pub(super) fn take_open(&self) -> Option<Open> {
        self.known.lock().open.take()
    }

    /// The fence value of the newest open.
    pub(super) fn fence(&self) -> Option<Fence> {
        self.known.lock().open.as_ref().map(|open| open.fence)
    }

    pub(super) fn add_segment(&self, segment: Arc<Segment>) {
        self.known.lock().segments.insert(segment.id, segment);
    }

    pub(super) fn segment(&self, id: u64) -> Option<Arc<Segment>> {
        self.known.lock().segments.get(&id).cloned()
    }

    pub(super) fn remove_segments(&self, ids: &[u64]) {
        self.known.lock().segments.retain(|id, _| !ids.contains(id));
    }

    /// The first segment whose number is `id` or higher.
    pub(super) fn segment_from(&self, id: u64) -> Option<Arc<Segment>> {
        self.known.lock().segments.range(id..).next().map(|(_, segment)| segment.clone())
    }

    pub(super) fn last_segment(&self) -> Option<Arc<Segment>> {
        self.known.lock().segments.values().next_back().cloned()
    }
}
