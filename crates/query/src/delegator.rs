//! The write side: what the pump applies to a shard, in the order of the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cinclus_catalog::{CollectionEntry, Collections, Segments, VChannelView};
use cinclus_env::{Env, MemoryPart, mutated};
use cinclus_rpc::{ShardStatistics, WorkerError};
use cinclus_segment::{Segment, SegmentError};
use cinclus_types::{
    CollectionId, CollectionSchema, PartitionId, Rows, SegmentEntry, SegmentId, SegmentState, Tick, VChannel,
};
use parking_lot::Mutex;

use crate::{ApplyError, Delete, DeleteBuffer, GrowingSegment, LogPosition, ShardView, Tsafe, Workers};

/// Memory of a growing row beside its values: its tick, its place in the index of keys.
const ROW_BYTES: u64 = 48;

/// What a delegator works with.
#[derive(Clone)]
pub struct DelegatorParts {
    /// Load states.
    pub collections: Collections,
    /// Sealed segments.
    pub segments: Segments,
    /// The workers.
    pub workers: Arc<dyn Workers>,
    /// The log that feeds it.
    pub position: Arc<dyn LogPosition>,
    /// How far that log is applied.
    pub tsafe: Tsafe,
    /// The part of the memory budget that growing segments are counted in.
    pub memory: MemoryPart,
    /// Clock and compute.
    pub env: Env,
}

/// Segments that were let go of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// All of them: the catalog is to forget them.
    pub all: Vec<SegmentId>,
    /// Those that workers answered for.
    pub on_workers: Vec<SegmentId>,
}

/// One shard: its segments, its deletes, and reads of them.
///
/// Only the pump calls the methods that change it, one at a time; reads run beside them.
pub struct Delegator {
    pub(crate) vchannel: VChannel,
    pub(crate) collection: CollectionId,
    pub(crate) parts: DelegatorParts,
    pub(crate) view: ArcSwap<ShardView>,
    schema: ArcSwap<CollectionSchema>,
    deletes: Mutex<DeleteBuffer>,
    /// Segments that are gone even if the catalog has not forgotten them yet.
    gone: Mutex<BTreeSet<SegmentId>>,
    /// Why sealed segments cannot be loaded at the moment.
    load_error: Mutex<Option<WorkerError>>,
}

impl Delegator {
    /// A shard without rows.
    #[must_use]
    pub fn new(
        vchannel: VChannel,
        collection: CollectionId,
        schema: Arc<CollectionSchema>,
        parts: DelegatorParts,
    ) -> Delegator {
        Delegator {
            vchannel,
            collection,
            parts,
            view: ArcSwap::default(),
            schema: ArcSwap::new(schema),
            deletes: Mutex::default(),
            gone: Mutex::default(),
            load_error: Mutex::default(),
        }
    }

    /// The shard.
    #[must_use]
    pub fn vchannel(&self) -> &VChannel {
        &self.vchannel
    }

    /// The collection.
    #[must_use]
    pub fn collection(&self) -> CollectionId {
        self.collection
    }

    /// The schema in force.
    #[must_use]
    pub fn schema(&self) -> Arc<CollectionSchema> {
        self.schema.load_full()
    }

    /// The segments at this moment.
    #[must_use]
    pub fn view(&self) -> Arc<ShardView> {
        self.view.load_full()
    }

    /// Puts a newer schema in force; an older one changes nothing.
    pub fn set_schema(&self, schema: Arc<CollectionSchema>) {
        if schema.version > self.schema.load().version {
            for growing in self.view.load().growing.values() {
                growing.segment.set_schema(schema.clone());
            }
            self.schema.store(schema);
        }
    }

    /// Adds rows to a growing segment, which begins with its first rows.
    ///
    /// # Errors
    /// If the rows do not fit the segment's schema: none of them is added.
    pub fn insert(
        &self,
        segment: SegmentId,
        partition: PartitionId,
        rows: Rows,
        tick: Tick,
    ) -> Result<(), SegmentError> {
        if !self.view.load().growing.contains_key(&segment) {
            self.adopt(Arc::new(Segment::new(segment, self.collection, partition, self.schema())?));
        }
        let view = self.view.load();
        let Some(growing) = view.growing.get(&segment) else { return Ok(()) };
        growing.held.add(rows.heap_bytes() as u64 + ROW_BYTES * rows.count as u64);
        growing.segment.insert(rows, tick)
    }

    /// Takes in a growing segment: a new one, or one that was read back from its chunks.
    pub fn adopt(&self, segment: Arc<Segment>) {
        let (id, partition) = (segment.id(), segment.partition());
        let held = Arc::new(self.parts.memory.hold(segment.heap_bytes() as u64));
        let growing = GrowingSegment { segment, partition, sealed: false, held };
        self.change(|view| {
            view.growing.insert(id, growing);
        });
    }

    /// Hides keys from a tick on: in growing segments here, in sealed ones on their workers, and in those
    /// that are being loaded (through the buffer).
    ///
    /// # Errors
    /// If a worker did not take them. Doing it again is harmless: the least tick wins. A segment that its
    /// worker does not hold any more is not read from then on, until it is loaded again.
    pub async fn delete(&self, delete: Delete) -> Result<(), ApplyError> {
        let view = self.view();
        for growing in view.growing.values().filter(|growing| delete.concerns(growing.partition)) {
            growing.segment.delete(&delete.keys, delete.tick);
        }
        let concerned = view.sealed.values().filter(|entry| delete.concerns(entry.partition));
        for (worker, segments) in self.by_worker(concerned.map(|entry| entry.id)) {
            let deleted = worker.delete(&segments, delete.keys.clone(), delete.tick).await;
            if let Err(WorkerError::NotLoaded(lost)) = &deleted {
                self.retire(&[*lost]);
            }
            deleted?;
        }
        self.deletes.lock().push(delete);
        Ok(())
    }

    /// Notes that segments take no more rows.
    pub fn seal(&self, segments: &[SegmentId]) {
        self.change(|view| {
            for id in segments {
                if let Some(growing) = view.growing.get_mut(id) {
                    growing.sealed = true;
                }
            }
        });
    }

    /// Lets go of all segments of a partition, or of all partitions: their rows are gone.
    pub fn drop_segments(&self, partition: Option<PartitionId>) -> Dropped {
        let concerned = |of: PartitionId| partition.is_none_or(|only| only == of);
        let known = self.parts.segments.view(&self.vchannel);
        let mut all: BTreeSet<SegmentId> = known
            .segments
            .values()
            .filter(|entry| concerned(entry.partition))
            .map(|entry| entry.id)
            .collect();
        let mut on_workers = Vec::new();
        self.change(|view| {
            // Those that a round under way is about are here, if the catalog does not have them yet.
            all.extend(view.growing.iter().filter(|(_, g)| concerned(g.partition)).map(|(id, _)| *id));
            on_workers.extend(view.sealed.values().filter(|e| concerned(e.partition)).map(|e| e.id));
            all.extend(&on_workers);
            view.growing.retain(|_, growing| !concerned(growing.partition));
            view.sealed.retain(|_, entry| !concerned(entry.partition));
        });
        self.gone.lock().extend(&all);
        Dropped { all: all.into_iter().collect(), on_workers }
    }

    /// Notes that a round of persisting was committed: all rows and deletes up to `tick` are in files, as
    /// the catalog says. Sealed segments without readers leave memory.
    pub fn persisted(&self, tick: Tick) {
        let known = self.parts.segments.view(&self.vchannel);
        for (id, growing) in &self.view.load().growing {
            if let Some(stored) = known.segments.get(id) {
                growing.segment.set_persisted(u32::try_from(stored.rows()).unwrap_or(u32::MAX));
            }
            growing.held.set(growing.segment.heap_bytes() as u64);
        }
        self.let_go_of_unread();
        self.gone.lock().retain(|id| known.segments.contains_key(id));
        self.deletes.lock().trim(tick);
    }

    /// The segments in memory here that are whole in files and that nobody reads.
    fn unread(&self, view: &ShardView) -> Vec<SegmentId> {
        let entry = self.entry();
        let known = self.parts.segments.view(&self.vchannel);
        let is_unread = |(id, growing): &(&SegmentId, &GrowingSegment)| {
            !entry.as_ref().is_some_and(|entry| entry.is_partition_loaded(growing.partition))
                && known.segments.get(id).is_some_and(|stored| stored.state == SegmentState::Sealed)
        };
        view.growing.iter().filter(is_unread).map(|(id, _)| *id).collect()
    }

    fn let_go_of_unread(&self) {
        let unread = self.unread(&self.view.load());
        if !unread.is_empty() {
            self.change(|view| unread.iter().for_each(|id| drop(view.growing.remove(id))));
        }
    }

    /// Keeps all deletes in memory until [`Delegator::unpin_deletes`]: a segment is being loaded with the
    /// delete files of this moment.
    pub fn pin_deletes(&self) {
        self.deletes.lock().pin();
    }

    /// Ends one [`Delegator::pin_deletes`].
    pub fn unpin_deletes(&self) {
        self.deletes.lock().unpin();
    }

    /// The deletes after a tick: those to persist, or to apply to a segment that was just loaded.
    #[must_use]
    pub fn deletes_after(&self, tick: Tick) -> Vec<Delete> {
        self.deletes.lock().after(tick)
    }

    /// Answers reads of a sealed segment from its worker from now on (Q1: out of `growing` and into
    /// `sealed` in one step). The worker holds the segment with all deletes up to `applied`; those that
    /// came later follow now. Answers whether the segment is read there: it may be gone meanwhile.
    ///
    /// # Errors
    /// If the worker did not take the deletes: nothing has changed.
    pub async fn hand_over(&self, entry: Arc<SegmentEntry>, applied: Tick) -> Result<bool, ApplyError> {
        let known = self.parts.segments.view(&self.vchannel);
        if self.gone.lock().contains(&entry.id) || !known.segments.contains_key(&entry.id) {
            return Ok(false);
        }
        let worker = self.parts.workers.of(entry.id);
        for delete in self.deletes_after(applied) {
            if delete.concerns(entry.partition) {
                worker.delete(&[entry.id], delete.keys, delete.tick).await?;
            }
        }
        // Invariant Q1.
        self.change(|view| {
            if !mutated("ReadsSegmentsTwice") {
                view.growing.remove(&entry.id);
            }
            view.sealed.insert(entry.id, entry);
        });
        Ok(true)
    }

    /// Answers reads without these segments from now on, as far as they are sealed.
    pub fn retire(&self, segments: &[SegmentId]) {
        self.change(|view| segments.iter().for_each(|id| drop(view.sealed.remove(id))));
        self.let_go_of_unread();
    }

    /// Notes why sealed segments cannot be loaded, or that they can.
    pub fn set_load_error(&self, error: Option<WorkerError>) {
        *self.load_error.lock() = error;
    }

    pub(crate) fn load_error(&self) -> Option<WorkerError> {
        self.load_error.lock().clone()
    }

    /// Whether every sealed segment of the loaded partitions is in memory somewhere.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        let Some(entry) = self.entry().filter(|entry| entry.is_loaded()) else { return false };
        // First what there should be, then what there is.
        let known = self.parts.segments.view(&self.vchannel);
        self.serves(&entry, &known, &self.view())
    }

    /// Whether a view has everything that the catalog says is there.
    pub(crate) fn serves(&self, entry: &CollectionEntry, known: &VChannelView, view: &ShardView) -> bool {
        self.missing(entry, known, view).all(|segment| view.growing.contains_key(&segment.id))
    }

    /// The sealed segments of the loaded partitions that no worker answers for yet.
    #[must_use]
    pub fn not_on_workers(&self, entry: &CollectionEntry) -> Vec<Arc<SegmentEntry>> {
        let known = self.parts.segments.view(&self.vchannel);
        self.missing(entry, &known, &self.view()).cloned().collect()
    }

    fn missing<'a>(
        &self,
        entry: &CollectionEntry,
        known: &'a VChannelView,
        view: &ShardView,
    ) -> impl Iterator<Item = &'a Arc<SegmentEntry>> {
        let gone = self.gone.lock().clone();
        known.segments.values().filter(move |segment| {
            segment.state == SegmentState::Sealed
                && entry.is_partition_loaded(segment.partition)
                && !view.sealed.contains_key(&segment.id)
                && !gone.contains(&segment.id)
        })
    }

    /// The segments that need not be read any more: released, dropped or compacted away.
    #[must_use]
    pub fn not_wanted(&self) -> Vec<SegmentId> {
        let entry = self.entry();
        let known = self.parts.segments.view(&self.vchannel);
        let wanted = |segment: &SegmentEntry| {
            entry.as_ref().is_some_and(|entry| entry.is_partition_loaded(segment.partition))
                && known.segments.get(&segment.id).is_some_and(|now| now.state == SegmentState::Sealed)
        };
        let view = self.view();
        let sealed = view.sealed.values().filter(|segment| !wanted(segment)).map(|segment| segment.id);
        sealed.chain(self.unread(&view)).collect()
    }

    /// Counts the rows of the shard, deleted ones included.
    #[must_use]
    pub fn statistics(&self) -> ShardStatistics {
        let view = self.view();
        let mut statistics = ShardStatistics { serving: self.is_serving(), ..Default::default() };
        let gone = self.gone.lock().clone();
        let mut add = |partition, rows: u64| *statistics.rows.entry(partition).or_default() += rows;
        for growing in view.growing.values() {
            add(growing.partition, growing.segment.rows().into());
        }
        for segment in self.parts.segments.view(&self.vchannel).segments.values() {
            let is_here = view.growing.contains_key(&segment.id) || gone.contains(&segment.id);
            if segment.state != SegmentState::Dropped && !is_here {
                add(segment.partition, segment.rows());
            }
        }
        statistics
    }

    /// The collection's entry, while there is one.
    #[must_use]
    pub fn entry(&self) -> Option<Arc<CollectionEntry>> {
        self.parts.collections.view().collection(self.collection).cloned()
    }

    pub(crate) fn by_worker(
        &self,
        segments: impl Iterator<Item = SegmentId>,
    ) -> Vec<(Arc<dyn cinclus_rpc::WorkerApi>, Vec<SegmentId>)> {
        let mut groups: Vec<(Arc<dyn cinclus_rpc::WorkerApi>, Vec<SegmentId>)> = Vec::new();
        for id in segments {
            let worker = self.parts.workers.of(id);
            match groups.iter_mut().find(|group| Arc::ptr_eq(&group.0, &worker)) {
                Some(group) => group.1.push(id),
                None => groups.push((worker, vec![id])),
            }
        }
        groups
    }

    /// Replaces the view by a changed copy. The pump is the only caller, so no change is lost.
    fn change(&self, edit: impl FnOnce(&mut ShardView)) {
        let mut view = ShardView::clone(&self.view.load());
        edit(&mut view);
        self.view.store(Arc::new(view));
    }
}
