//! One round of persisting: write files, commit, truncate.

use std::collections::BTreeMap;

use cinclus_catalog::{ChannelCheckpoint, SegmentChange};
use cinclus_env::mutated;
use cinclus_query::{Delegator, Delete};
use cinclus_segment::{ChunkWriter, RowRun};
use cinclus_types::{
    ChunkRef, DeleteFileRef, Keys, MessageId, PartitionId, SegmentEntry, SegmentId, SegmentState, Strings,
    Tick, VChannel, VChannelEntry,
};
use cinclus_wal::RecoveryCut;
use tokio::sync::oneshot;

use crate::channel::Channel;
use crate::control::PersistedRound;
use crate::failure::Failure;
use crate::host::NodeParts;

/// Everything that a round needs, taken between two deliveries.
pub(crate) struct Round {
    pub(crate) parts: NodeParts,
    pub(crate) chunk_bytes_min: u64,
    /// With less free space than this the disk counts as full.
    pub(crate) space_reserve: u64,
    pub(crate) channel: Channel,
    pub(crate) cut: RecoveryCut,
    pub(crate) truncate_below: MessageId,
    pub(crate) shards: Vec<ShardRound>,
    pub(crate) dropped_vchannels: Vec<VChannel>,
    pub(crate) dropped_segments: Vec<(VChannel, SegmentId)>,
    pub(crate) waiting: Vec<oneshot::Sender<()>>,
}

/// What a round has to do for one shard.
pub(crate) struct ShardRound {
    vchannel: VChannel,
    entry: VChannelEntry,
    segments: Vec<SegmentRound>,
    deletes: Vec<Delete>,
    /// The schema has to be stored, or need not be any more.
    schema_changed: bool,
}

/// What a round has to do for one segment.
struct SegmentRound {
    entry: SegmentEntry,
    known: bool,
    run: Option<RowRun>,
    sealed: bool,
}

impl ShardRound {
    /// Compares a shard with the catalog: what the catalog does not have is to be persisted.
    pub(crate) fn of(delegator: &Delegator, parts: &NodeParts) -> ShardRound {
        let known = parts.segments.view(delegator.vchannel());
        let mut segments = Vec::new();
        for (id, growing) in &delegator.view().growing {
            let stored = known.segments.get(id);
            let entry =
                stored.map_or_else(|| fresh(delegator, growing.partition, *id), |e| SegmentEntry::clone(e));
            // The catalog says where the chunks end; a round whose outcome was lost is not repeated.
            let from = u32::try_from(entry.rows()).unwrap_or(u32::MAX);
            let run = growing.segment.rows_since(from, Tick::MAX);
            let sealed = growing.sealed && entry.state == SegmentState::Growing;
            if run.is_some() || sealed {
                segments.push(SegmentRound { entry, known: stored.is_some(), run, sealed });
            }
        }
        let mut entry = known.vchannel.clone();
        // A log that is replayed from this round's cut does not hold the creation of the collection any
        // more. If that is not finished, only the log had the schema.
        let schema = delegator.entry().is_none().then(|| delegator.schema());
        let schema = schema.and_then(|schema| serde_json::to_string(&*schema).ok());
        let schema_changed = schema != entry.schema;
        entry.schema = schema;
        ShardRound {
            vchannel: delegator.vchannel().clone(),
            deletes: delegator.deletes_after(entry.persisted_tick),
            entry,
            segments,
            schema_changed,
        }
    }

    fn is_idle(&self) -> bool {
        self.segments.is_empty() && self.deletes.is_empty() && !self.schema_changed
    }
}

fn fresh(delegator: &Delegator, partition: cinclus_types::PartitionId, id: SegmentId) -> SegmentEntry {
    SegmentEntry {
        id,
        collection: delegator.collection(),
        partition,
        vchannel: delegator.vchannel().clone(),
        state: SegmentState::Growing,
        chunks: Vec::new(),
        // Ids come from the TSO: a segment's id is its tick of creation.
        created: Tick(id.0 as u64),
        sealed: Tick::ZERO,
    }
}

impl Round {
    /// Runs to its end; whatever fails leaves the catalog and the log as they were.
    pub(crate) async fn run(mut self) -> PersistedRound {
        let clock = self.parts.env.clock.clone();
        let begun = clock.monotonic();
        let committed = match self.persist().await {
            Ok(()) => Ok(()),
            Err(error) => {
                let Channel { channel, term, .. } = &self.channel;
                tracing::error!(%channel, %term, %error, "persisting failed");
                Err(Failure::of(error, &*self.parts.storage, self.space_reserve).await)
            }
        };
        let tick = self.cut.tick;
        self.channel
            .metrics
            .ended(committed.is_ok().then_some(tick), clock.monotonic().saturating_sub(begun));
        PersistedRound {
            tick,
            held: self.cut.held,
            committed,
            dropped_vchannels: self.dropped_vchannels,
            dropped_segments: self.dropped_segments,
            waiting: self.waiting,
        }
    }

    async fn persist(&mut self) -> anyhow::Result<()> {
        let fresh = self.parts.ticks.grant(1).await?.first;
        self.channel.unsettled.lock().get_or_insert(fresh);
        if mutated("CheckpointBeforeState") {
            self.parts.segments.commit(self.channel.wal.claim(), self.record(), Vec::new()).await?;
        }
        let changes = self.write(fresh).await?;
        // Invariant W6: the files are durable, and state and checkpoint become visible together.
        self.parts.segments.commit(self.channel.wal.claim(), self.record(), changes).await?;
        *self.channel.unsettled.lock() = None;
        // Invariant W7: only now is what lies before the checkpoint not needed any more.
        if let Err(error) = self.channel.wal.truncate(self.truncate_below).await {
            let channel = &self.channel.channel;
            tracing::warn!(%channel, %error, "the log was not truncated; the next round does it");
        }
        Ok(())
    }

    /// What the catalog says of the log when the round is committed.
    fn record(&self) -> ChannelCheckpoint {
        ChannelCheckpoint {
            term: self.channel.term,
            checkpoint: self.cut.checkpoint,
            truncate_below: self.truncate_below,
            state: self.cut.state.clone(),
        }
    }

    /// Writes all files of the round; answers what the catalog is to say then.
    async fn write(&mut self, fresh: Tick) -> anyhow::Result<Vec<SegmentChange>> {
        let mut chunks = self.write_chunks(fresh).await?;
        let mut changes = Vec::new();
        for index in 0..self.shards.len() {
            if self.shards[index].is_idle() {
                continue;
            }
            let files = self.write_deletes(fresh, index).await?;
            let shard = &mut self.shards[index];
            for segment in &mut shard.segments {
                segment.entry.chunks.extend(chunks.remove(&segment.entry.id).unwrap_or_default());
                if segment.sealed {
                    (segment.entry.state, segment.entry.sealed) = (SegmentState::Sealed, self.cut.tick);
                }
                if segment.known || !segment.entry.chunks.is_empty() {
                    changes.push(SegmentChange::Put(segment.entry.clone()));
                }
            }
            shard.entry.delete_files.extend(files);
            shard.entry.persisted_tick = self.cut.tick;
            changes.push(SegmentChange::VChannel(shard.vchannel.clone(), shard.entry.clone()));
        }
        changes.extend(
            self.dropped_segments.iter().map(|(vchannel, id)| SegmentChange::Delete(vchannel.clone(), *id)),
        );
        changes.extend(self.dropped_vchannels.iter().cloned().map(SegmentChange::DropVChannel));
        Ok(changes)
    }

    /// Writes the runs: large ones to files of their own, the others together to one tail file.
    async fn write_chunks(&self, fresh: Tick) -> anyhow::Result<BTreeMap<SegmentId, Vec<ChunkRef>>> {
        let term = self.channel.term;
        let mut written: BTreeMap<SegmentId, Vec<ChunkRef>> = BTreeMap::new();
        let mut small = Vec::new();
        let mut files: Vec<(String, Vec<RowRun>)> = Vec::new();
        for (shard, segment) in
            self.shards.iter().flat_map(|shard| shard.segments.iter().map(move |s| (shard, s)))
        {
            let Some(run) = segment.run.clone() else { continue };
            if run.bytes as u64 >= self.chunk_bytes_min {
                files.push((
                    format!("segments/{}/{}/{term}-{fresh}.parquet", shard.vchannel, run.segment),
                    vec![run],
                ));
            } else {
                small.push(run);
            }
        }
        if !small.is_empty() {
            files.push((format!("tails/{}/{term}-{fresh}.parquet", self.channel.channel), small));
        }
        for (name, runs) in files {
            let segments: Vec<SegmentId> = runs.iter().map(|run| run.segment).collect();
            let chunks = self.writer().write(&name, runs).await?;
            self.channel.metrics.wrote(chunks.iter().map(|chunk| chunk.bytes).sum());
            for (segment, chunk) in segments.into_iter().zip(chunks) {
                written.entry(segment).or_default().push(chunk);
            }
        }
        Ok(written)
    }

    /// Writes the deletes of a shard: a file for those of all partitions, and one for each partition that
    /// was named alone.
    async fn write_deletes(&self, fresh: Tick, shard: usize) -> anyhow::Result<Vec<DeleteFileRef>> {
        let shard = &self.shards[shard];
        let mut scopes: BTreeMap<Option<PartitionId>, Vec<&Delete>> = BTreeMap::new();
        for delete in &shard.deletes {
            scopes.entry(delete.partition).or_default().push(delete);
        }
        let mut files = Vec::with_capacity(scopes.len());
        for (partition, deletes) in scopes {
            let term = self.channel.term;
            let scope = partition.map(|partition| format!("-{partition}")).unwrap_or_default();
            let name = format!("deletes/{}/{term}-{fresh}{scope}.parquet", shard.vchannel);
            let (keys, ticks) = flat(&deletes);
            let file = self.writer().write_deletes(&name, keys, ticks).await?;
            self.channel.metrics.wrote(file.bytes);
            files.push(DeleteFileRef { partition, ..file });
        }
        Ok(files)
    }

    fn writer(&self) -> ChunkWriter {
        ChunkWriter::new(self.parts.objects.clone(), self.parts.env.compute.clone())
    }
}

/// Deletes as one column of keys and their ticks.
fn flat(deletes: &[&Delete]) -> (Keys, Vec<Tick>) {
    let ticks = deletes.iter().flat_map(|d| std::iter::repeat_n(d.tick, d.keys.len())).collect();
    let (mut numbers, mut texts) = (Vec::new(), Strings::default());
    for delete in deletes {
        match &*delete.keys {
            Keys::Int64(more) => numbers.extend_from_slice(more),
            Keys::VarChar(more) => more.iter().for_each(|text| texts.push(text)),
        }
    }
    // All keys of a collection are of one kind.
    (if texts.is_empty() { Keys::Int64(numbers) } else { Keys::VarChar(texts) }, ticks)
}
