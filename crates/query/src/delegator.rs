//! The write side: what the pump applies to a shard, in the order of the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cinclus_catalog::{CollectionEntry, Collections, Segments};
use cinclus_env::Env;
use cinclus_rpc::ShardStatistics;
use cinclus_segment::{Segment, SegmentError};
use cinclus_types::{
    CollectionId, CollectionSchema, Keys, PartitionId, Rows, SegmentEntry, SegmentId, SegmentState, Tick,
    VChannel,
};
use parking_lot::Mutex;

use crate::{ApplyError, DeleteBuffer, GrowingSegment, LogPosition, ShardView, Tsafe, Workers};

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
    /// Clock and compute.
    pub env: Env,
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
    /// Segments of these are gone even if the catalog has not forgotten them yet.
    dropped_partitions: Mutex<BTreeSet<PartitionId>>,
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
            dropped_partitions: Mutex::default(),
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

    /// Puts a newer schema in force.
    pub fn set_schema(&self, schema: Arc<CollectionSchema>) {
        self.schema.store(schema);
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
        let known = self.view.load().growing.get(&segment).map(|growing| growing.segment.clone());
        let target = match known {
            Some(target) => target,
            None => {
                let created = Arc::new(Segment::new(segment, self.collection, partition, self.schema())?);
                self.adopt(created.clone());
                created
            }
        };
        target.insert(rows, tick)
    }

    /// Takes in a growing segment: a new one, or one that was read back from its chunks.
    pub fn adopt(&self, segment: Arc<Segment>) {
        let (id, partition) = (segment.id(), segment.partition());
        let growing = GrowingSegment { segment, partition, sealed: false };
        self.change(|view| {
            view.growing.insert(id, growing);
        });
    }

    /// Hides keys from `tick` on: in growing segments here, in sealed ones on their workers, and in those
    /// that are being loaded (through the buffer).
    ///
    /// # Errors
    /// If a worker did not take them. Doing it again is harmless: the least tick wins.
    pub async fn delete(&self, keys: Arc<Keys>, tick: Tick) -> Result<(), ApplyError> {
        let view = self.view();
        for growing in view.growing.values() {
            growing.segment.delete(&keys, tick);
        }
        for (worker, segments) in self.by_worker(view.sealed.keys().copied()) {
            worker.delete(&segments, keys.clone(), tick).await?;
        }
        self.deletes.lock().push(tick, keys);
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

    /// Lets go of all segments of a partition; answers those that were sealed.
    pub fn drop_partition(&self, partition: PartitionId) -> Vec<SegmentId> {
        let mut dropped = Vec::new();
        self.dropped_partitions.lock().insert(partition);
        self.change(|view| {
            view.growing.retain(|_, growing| growing.partition != partition);
            dropped = view.sealed_of(&[partition]);
            view.sealed.retain(|_, entry| entry.partition != partition);
        });
        dropped
    }

    /// Notes how many rows of growing segments are in chunks, and up to which tick all rows and deletes of
    /// the shard are in files. Sealed segments without readers leave memory.
    pub fn persisted(&self, rows: &[(SegmentId, u32)], tick: Tick) {
        let loaded = self.entry().is_some_and(|entry| entry.is_loaded());
        self.change(|view| {
            for (id, count) in rows {
                if let Some(growing) = view.growing.get(id) {
                    growing.segment.set_persisted(*count);
                }
            }
            if !loaded {
                view.growing.retain(|_, g| !g.sealed || g.segment.persisted() < g.segment.rows());
            }
        });
        self.deletes.lock().trim(tick);
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
    pub fn deletes_after(&self, tick: Tick) -> Vec<(Tick, Arc<Keys>)> {
        self.deletes.lock().after(tick)
    }

    /// Answers reads of a sealed segment from its worker from now on (Q1: out of `growing` and into
    /// `sealed` in one step). The worker holds the segment with all deletes up to `applied`; those that
    /// came later follow now.
    ///
    /// # Errors
    /// If the worker did not take the deletes: nothing has changed.
    pub async fn hand_over(&self, entry: Arc<SegmentEntry>, applied: Tick) -> Result<(), ApplyError> {
        if self.dropped_partitions.lock().contains(&entry.partition) {
            return Ok(());
        }
        let worker = self.parts.workers.of(entry.id);
        for (tick, keys) in self.deletes_after(applied) {
            worker.delete(&[entry.id], keys, tick).await?;
        }
        // Invariant Q1.
        self.change(|view| {
            view.growing.remove(&entry.id);
            view.sealed.insert(entry.id, entry);
        });
        Ok(())
    }

    /// Answers reads without these sealed segments from now on.
    pub fn retire(&self, segments: &[SegmentId]) {
        self.change(|view| segments.iter().for_each(|id| drop(view.sealed.remove(id))));
    }

    /// Whether every sealed segment of the loaded partitions is in memory somewhere.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        let Some(entry) = self.entry().filter(|entry| entry.is_loaded()) else { return false };
        let view = self.view();
        self.not_on_workers(&entry).iter().all(|segment| view.growing.contains_key(&segment.id))
    }

    /// The sealed segments of the loaded partitions that no worker answers for yet.
    #[must_use]
    pub fn not_on_workers(&self, entry: &CollectionEntry) -> Vec<Arc<SegmentEntry>> {
        let view = self.view();
        let known = self.parts.segments.view(&self.vchannel);
        let wanted = |segment: &&Arc<SegmentEntry>| {
            segment.state == SegmentState::Sealed
                && entry.is_partition_loaded(segment.partition)
                && !view.sealed.contains_key(&segment.id)
                && !self.dropped_partitions.lock().contains(&segment.partition)
        };
        known.segments.values().filter(wanted).cloned().collect()
    }

    /// The segments on workers that need not be there any more: released, dropped or compacted away.
    #[must_use]
    pub fn not_wanted(&self) -> Vec<SegmentId> {
        let entry = self.entry();
        let known = self.parts.segments.view(&self.vchannel);
        let wanted = |segment: &SegmentEntry| {
            entry.as_ref().is_some_and(|entry| entry.is_partition_loaded(segment.partition))
                && known.segments.get(&segment.id).is_some_and(|now| now.state == SegmentState::Sealed)
        };
        self.view().sealed.values().filter(|segment| !wanted(segment)).map(|segment| segment.id).collect()
    }

    /// Counts the rows of the shard, deleted ones included.
    #[must_use]
    pub fn statistics(&self) -> ShardStatistics {
        let view = self.view();
        let mut statistics = ShardStatistics { serving: self.is_serving(), ..Default::default() };
        let mut add = |partition, rows: u64| *statistics.rows.entry(partition).or_default() += rows;
        for growing in view.growing.values() {
            add(growing.partition, growing.segment.rows().into());
        }
        for segment in self.parts.segments.view(&self.vchannel).segments.values() {
            if segment.state != SegmentState::Dropped && !view.growing.contains_key(&segment.id) {
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
