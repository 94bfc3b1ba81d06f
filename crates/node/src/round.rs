//! One round of persisting: write files, commit, truncate.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_catalog::{ChannelCheckpoint, SegmentChange};
use cinclus_query::{Delegator, ShardView};
use cinclus_segment::{ChunkWriter, RowRun};
use cinclus_types::{
    ChunkRef, DeleteFileRef, Keys, PChannel, SegmentEntry, SegmentId, SegmentState, Strings, Term, Tick,
    VChannel, VChannelEntry,
};
use cinclus_wal::{RecoveryCut, Wal};
use tokio::sync::oneshot;

use crate::control::PersistedRound;
use crate::host::NodeParts;

/// Everything that a round needs, taken between two deliveries.
pub(crate) struct Round {
    pub(crate) parts: NodeParts,
    pub(crate) chunk_bytes_min: u64,
    pub(crate) channel: PChannel,
    pub(crate) term: Term,
    pub(crate) wal: Wal,
    pub(crate) cut: RecoveryCut,
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
    deletes: Vec<(Tick, Arc<Keys>)>,
}

/// What a round has to do for one segment.
struct SegmentRound {
    entry: SegmentEntry,
    known: bool,
    run: Option<RowRun>,
    rows: u32,
    sealed: bool,
}

impl ShardRound {
    /// Compares a shard with the catalog: what the catalog does not have is to be persisted.
    pub(crate) fn of(delegator: &Delegator, view: &ShardView, parts: &NodeParts) -> ShardRound {
        let known = parts.segments.view(delegator.vchannel());
        let mut segments = Vec::new();
        for (id, growing) in &view.growing {
            let stored = known.segments.get(id);
            let entry =
                stored.map_or_else(|| fresh(delegator, growing.partition, *id), |e| SegmentEntry::clone(e));
            // The catalog says where the chunks end; a round whose outcome was lost is not repeated.
            let from = entry.rows() as u32;
            let run = growing.segment.rows_since(from, Tick::MAX);
            let sealed = growing.sealed && entry.state == SegmentState::Growing;
            if run.is_some() || sealed {
                let rows = growing.segment.rows();
                segments.push(SegmentRound { entry, known: stored.is_some(), run, rows, sealed });
            }
        }
        ShardRound {
            vchannel: delegator.vchannel().clone(),
            deletes: delegator.deletes_after(known.vchannel.persisted_tick),
            entry: known.vchannel.clone(),
            segments,
        }
    }

    fn is_idle(&self) -> bool {
        self.segments.is_empty() && self.deletes.is_empty()
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
        let committed = match self.persist().await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(channel = %self.channel, term = %self.term, %error, "persisting failed");
                false
            }
        };
        let rows = self.shards.iter().flat_map(|shard| {
            shard.segments.iter().map(|segment| (shard.vchannel.clone(), segment.entry.id, segment.rows))
        });
        PersistedRound {
            tick: self.cut.tick,
            rows: rows.collect(),
            committed,
            dropped_vchannels: self.dropped_vchannels,
            dropped_segments: self.dropped_segments,
            waiting: self.waiting,
        }
    }

    async fn persist(&mut self) -> anyhow::Result<()> {
        let fresh = self.parts.ticks.grant(1).await?.first;
        let mut chunks = self.write_chunks(fresh).await?;
        let mut changes = Vec::new();
        for index in 0..self.shards.len() {
            if self.shards[index].is_idle() {
                continue;
            }
            let file = self.write_deletes(fresh, index).await?;
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
            shard.entry.delete_files.extend(file);
            shard.entry.persisted_tick = self.cut.tick;
            changes.push(SegmentChange::VChannel(shard.vchannel.clone(), shard.entry.clone()));
        }
        changes.extend(
            self.dropped_segments.iter().map(|(vchannel, id)| SegmentChange::Delete(vchannel.clone(), *id)),
        );
        changes.extend(self.dropped_vchannels.iter().cloned().map(SegmentChange::DropVChannel));
        let checkpoint = self.cut.checkpoint;
        let record = ChannelCheckpoint {
            term: self.term,
            checkpoint,
            truncate_below: checkpoint.resume,
            state: self.cut.state.clone(),
        };
        // Invariant W6: the files are durable, and state and checkpoint become visible together.
        self.parts.segments.commit(&self.channel, record, changes).await?;
        // Invariant W7: only now is what lies before the checkpoint not needed any more.
        if let Err(error) = self.wal.truncate(checkpoint.resume).await {
            tracing::warn!(channel = %self.channel, %error, "the log was not truncated; the next round does it");
        }
        Ok(())
    }

    /// Writes the runs: large ones to files of their own, the others together to one tail file.
    async fn write_chunks(&self, fresh: Tick) -> anyhow::Result<BTreeMap<SegmentId, Vec<ChunkRef>>> {
        let runs = || self.shards.iter().flat_map(|s| &s.segments).filter_map(|s| s.run.as_ref());
        let (large, small): (Vec<&RowRun>, Vec<&RowRun>) =
            runs().partition(|run| run.bytes as u64 >= self.chunk_bytes_min);
        let mut written: BTreeMap<SegmentId, Vec<ChunkRef>> = BTreeMap::new();
        let mut files: Vec<(String, Vec<RowRun>)> = large
            .into_iter()
            .map(|run| {
                let name =
                    format!("segments/{}/{}/{}-{fresh}.parquet", run.collection, run.segment, self.term);
                (name, vec![run.clone()])
            })
            .collect();
        if !small.is_empty() {
            let name = format!("tails/{}/{}-{fresh}.parquet", self.channel, self.term);
            files.push((name, small.into_iter().cloned().collect()));
        }
        for (name, runs) in files {
            let segments: Vec<SegmentId> = runs.iter().map(|run| run.segment).collect();
            let chunks = self.writer().write(&name, runs).await?;
            for (segment, chunk) in segments.into_iter().zip(chunks) {
                written.entry(segment).or_default().push(chunk);
            }
        }
        Ok(written)
    }

    async fn write_deletes(&self, fresh: Tick, shard: usize) -> anyhow::Result<Option<DeleteFileRef>> {
        let shard = &self.shards[shard];
        if shard.deletes.is_empty() {
            return Ok(None);
        }
        let name = format!("deletes/{}/{}-{fresh}.parquet", shard.vchannel, self.term);
        let (keys, ticks) = flat(&shard.deletes);
        Ok(Some(self.writer().write_deletes(&name, keys, ticks).await?))
    }

    fn writer(&self) -> ChunkWriter {
        ChunkWriter::new(self.parts.objects.clone(), self.parts.env.compute.clone())
    }
}

/// Deletes as one column of keys and their ticks.
fn flat(deletes: &[(Tick, Arc<Keys>)]) -> (Keys, Vec<Tick>) {
    let ticks = deletes.iter().flat_map(|(tick, keys)| std::iter::repeat_n(*tick, keys.len())).collect();
    let (mut numbers, mut texts) = (Vec::new(), Strings::default());
    for (_, keys) in deletes {
        match &**keys {
            Keys::Int64(more) => numbers.extend_from_slice(more),
            Keys::VarChar(more) => more.iter().for_each(|text| texts.push(text)),
        }
    }
    // All keys of a collection are of one kind.
    (if texts.is_empty() { Keys::Int64(numbers) } else { Keys::VarChar(texts) }, ticks)
}
