//! What this process knows of one log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cinclus_env::{TaskGroup, TaskHandle};
use cinclus_types::{MessageId, PChannel};
use parking_lot::Mutex;

use super::pipe::Pipe;
use super::segment::Segment;
use crate::woodpecker::metadata::Fence;
use crate::woodpecker::state::LogState;

/// One log. Opens, loads and truncations take turns; readers and the writer go on meanwhile.
pub(super) struct Log {
    pub(super) channel: PChannel,
    pub(super) state: LogState,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Where its files are, once it was loaded.
    dir: Option<PathBuf>,
    segments: BTreeMap<u64, Arc<Segment>>,
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
        Log { channel, state: LogState::new(), known: Mutex::default() }
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.known.lock().dir.is_some()
    }

    pub(super) fn dir(&self) -> Option<PathBuf> {
        self.known.lock().dir.clone()
    }

    pub(super) fn set_loaded(
        &self,
        dir: PathBuf,
        earliest: MessageId,
        segments: BTreeMap<u64, Arc<Segment>>,
    ) {
        self.state.raise_earliest(earliest);
        let mut known = self.known.lock();
        known.dir = Some(dir);
        known.segments = segments;
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

    pub(super) fn segment_ids(&self) -> Vec<u64> {
        self.known.lock().segments.keys().copied().collect()
    }

    pub(super) fn remove_segments(&self, ids: &[u64]) {
        self.known.lock().segments.retain(|id, _| !ids.contains(id));
    }

    /// The first segment whose number is `id` or higher.
    pub(super) fn segment_from(&self, id: u64) -> Option<Arc<Segment>> {
        self.known.lock().segments.range(id..).next().map(|(_, segment)| segment.clone())
    }

    /// The segment that records go to, or went last.
    pub(super) fn last_with_records(&self) -> Option<Arc<Segment>> {
        let known = self.known.lock();
        let with_records = |segment: &&Arc<Segment>| !segment.is_open_and_empty();
        known.segments.values().rev().find(with_records).cloned()
    }
}
