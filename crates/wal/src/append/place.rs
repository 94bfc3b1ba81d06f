//! Place: the live state, and the segments that messages touch.

use std::time::Duration;

use bytes::Bytes;
use cinclus_env::mutated;
use cinclus_rpc::{AppendError, RollbackCause};
use cinclus_types::message::{Draft, Header, Kind, Placement, TxnContext};
use cinclus_types::{SegmentId, Tick, TxnId, VChannel};

use super::batch::Batch;
use super::stamp::Stamper;
use crate::shard::{Assignment, Effect, SealPolicy, SegmentAssigner, ShardState};
use crate::txn::{EndedTxns, OpenTxn, TxnTable, assembler};

/// The version of the segment files that rows end up in, as CreateSegment says.
const STORAGE_VERSION: i64 = 1;

/// The state at the write frontier, and the decisions that are taken on it.
pub struct Live {
    /// Collections, partitions, growing segments.
    pub state: ShardState,
    /// Open transactions.
    pub txns: TxnTable,
    /// Where rows go.
    pub assigner: SegmentAssigner,
    /// Transactions that were rolled back.
    pub ended: EndedTxns,
    policy: SealPolicy,
}

impl Live {
    /// The live state of a writer that begins where the recovered one stands. Rows of transactions that
    /// are still open count as placed.
    #[must_use]
    pub fn new(mut state: ShardState, txns: TxnTable, policy: SealPolicy) -> Live {
        for (segment, rows, bytes) in txns.placed() {
            state.place(segment, rows, bytes);
        }
        let assigner = SegmentAssigner::new(policy.clone(), &state);
        Live { state, txns, assigner, ended: EndedTxns::default(), policy }
    }

    /// Whether the drafts fit the state.
    ///
    /// # Errors
    /// What is missing, or which version is wrong.
    pub fn check(&self, vchannel: &VChannel, drafts: &[Draft]) -> Result<(), AppendError> {
        for draft in drafts {
            let asked_by_hand = draft.kind() == Kind::ManualFlush && draft.broadcast.is_none();
            if draft.kind().is_dml() || asked_by_hand {
                self.state.check_rows(vchannel, &draft.header)?;
            }
        }
        Ok(())
    }

    /// Lets go of transactions that are over at `tick`: their rows never take effect.
    pub fn expire(&mut self, tick: Tick) {
        while let Some((_, txn)) = self.txns.pop_expired(tick) {
            self.withdraw(&txn);
        }
    }

    /// A transaction was rolled back, or expired.
    pub fn withdraw(&mut self, txn: &OpenTxn) {
        for (segment, (rows, bytes)) in &txn.placed {
            self.state.withdraw(*segment, *rows, *bytes);
        }
    }

    /// A transaction was committed at `tick`.
    pub fn committed(&mut self, placed: impl IntoIterator<Item = SegmentId>, tick: Tick) {
        for segment in placed {
            self.state.touch(segment, tick);
        }
    }

    /// Whether the Flush of some segment waits for nothing.
    #[must_use]
    pub fn can_flush(&self) -> bool {
        self.assigner.has_closing() && !self.assigner.due(&self.txns).is_empty()
    }

    /// What a message's placement is at this moment.
    fn placement(&mut self, draft: &Draft) -> Placement {
        let Some(vchannel) = &draft.vchannel else { return Placement::Nowhere };
        match &draft.header {
            Header::Insert { partition, rows, binary_size, .. } => {
                match self.assigner.assign(&self.state, (vchannel, *partition), *rows, *binary_size) {
                    Assignment::Into(segment) if mutated("PlacesElsewhere") => {
                        Placement::Into(SegmentId(segment.0 - 1))
                    }
                    Assignment::Into(segment) => Placement::Into(segment),
                    Assignment::New => unreachable!("a segment was created before"),
                }
            }
            Header::ManualFlush { .. }
            | Header::AlterCollection { .. }
            | Header::TruncateCollection { .. } => {
                Placement::Closes(self.state.closed_by(vchannel, &draft.header))
            }
            Header::TimeTick
            | Header::Delete { .. }
            | Header::CreateSegment { .. }
            | Header::Flush { .. }
            | Header::CreateCollection { .. }
            | Header::DropCollection { .. }
            | Header::CreatePartition { .. }
            | Header::DropPartition { .. }
            | Header::AlterLoadConfig { .. }
            | Header::DropLoadConfig { .. }
            | Header::CreateDatabase { .. }
            | Header::AlterDatabase { .. }
            | Header::DropDatabase { .. }
            | Header::AlterAlias { .. }
            | Header::DropAlias { .. }
            | Header::CreateIndex { .. }
            | Header::AlterIndex { .. }
            | Header::DropIndex { .. }
            | Header::BeginTxn { .. }
            | Header::CommitTxn
            | Header::RollbackTxn => Placement::Nowhere,
        }
    }
}

/// Stamps and places messages into one batch.
pub struct Placer<'a> {
    pub(crate) live: &'a mut Live,
    pub(crate) stamper: &'a mut Stamper,
    pub(crate) batch: &'a mut Batch,
    pub(crate) now: Duration,
    /// Up to here everything is stored.
    pub(crate) frontier: Tick,
}

impl Placer<'_> {
    /// The tick of the next message.
    pub(crate) fn peek(&self) -> Tick {
        self.stamper.peek().expect("ticks were prepared before the batch was begun")
    }

    /// Takes one draft through stamp and place; its tick and where it stands in the batch.
    pub(crate) fn put(&mut self, draft: Draft) -> (Tick, usize) {
        if let (Header::Insert { partition, rows, binary_size, .. }, Some(vchannel)) =
            (&draft.header, &draft.vchannel)
        {
            let at = (vchannel, *partition);
            let assigned = self.live.assigner.assign(&self.live.state, at, *rows, *binary_size);
            if assigned == Assignment::New {
                self.create_segment(&draft);
            }
        }
        let tick = self.peek();
        self.live.expire(tick);
        let stamped = self.stamper.stamp(draft, &self.live.txns, self.now);
        let placement = self.live.placement(stamped.draft());
        // Invariant W8. From here on the placement is part of the message.
        let placed = stamped.place(placement);
        let draft = placed.draft();
        let placed_rows = assembler::placed(&draft.header);
        if let Some((segment, rows, bytes)) = placed_rows.filter(|_| draft.txn.is_some()) {
            // They take effect with the commit; until then they only take room.
            self.live.state.place(segment, rows, bytes);
        } else if let Some(effect) = Effect::of_draft(draft, tick) {
            self.live.state.apply(effect);
        }
        if let Some((segment, _, bytes)) = placed_rows {
            self.live.assigner.grew(&self.live.state, segment, bytes);
        }
        if draft.kind().is_exclusive() {
            self.live.assigner.retain_growing(&self.live.state);
        }
        (tick, self.batch.push(placed))
    }

    /// Stores the end of every open transaction of a VChannel before a message that stands alone.
    pub(crate) fn fail_txns(&mut self, vchannel: &VChannel) {
        // Invariant W11.
        if mutated("DdlKeepsTransactions") {
            return;
        }
        for id in self.live.txns.of_vchannel(vchannel) {
            let Some(keepalive) = self.live.txns.keepalive(id) else { continue };
            let context = TxnContext { txn: id, keepalive };
            self.roll_back(vchannel, context, Some(RollbackCause::Changed));
        }
    }

    /// Stores a rollback, with its cause if the client did not ask for it.
    pub(crate) fn roll_back(
        &mut self,
        vchannel: &VChannel,
        context: TxnContext,
        cause: Option<RollbackCause>,
    ) -> Tick {
        let draft = txn_draft(vchannel, Header::RollbackTxn, context);
        let (tick, _) = self.put(draft);
        if let Some(txn) = self.live.txns.end(context.txn) {
            self.live.withdraw(&txn);
        }
        self.live.ended.note(context.txn, tick, cause, self.frontier);
        tick
    }

    /// Stores a begin under the id that is its tick.
    pub(crate) fn begin(&mut self, vchannel: &VChannel, keepalive: Duration) -> (TxnContext, Tick, usize) {
        let context = TxnContext { txn: TxnId(self.peek().0.cast_signed()), keepalive };
        let (tick, at) = self.put(txn_draft(vchannel, Header::BeginTxn { keepalive }, context));
        (context, tick, at)
    }

    /// Stores the Flush of every segment that is to be closed and may be, as far as ticks are there.
    pub(crate) fn flush_due(&mut self) {
        if !self.live.assigner.has_closing() {
            return;
        }
        for segment in self.live.assigner.due(&self.live.txns) {
            if self.stamper.peek().is_none() {
                return;
            }
            let Some(growing) = self.live.state.growing().get(&segment) else {
                self.live.assigner.closed(segment, 0);
                continue;
            };
            let (collection, partition) = (growing.collection, growing.partition);
            let (vchannel, bytes) = (growing.vchannel.clone(), growing.bytes);
            let header = Header::Flush { collection, partition, segment };
            self.put(Draft::new(vchannel, header, Bytes::new()));
            self.live.assigner.closed(segment, bytes);
        }
    }

    fn create_segment(&mut self, insert: &Draft) {
        let Header::Insert { collection, partition, schema_version, .. } = &insert.header else { return };
        let Some(vchannel) = &insert.vchannel else { return };
        let tick = self.peek();
        let header = Header::CreateSegment {
            collection: *collection,
            partition: *partition,
            // A tick is given once in the whole cluster, so it is a fresh id too.
            segment: SegmentId(tick.0.cast_signed()),
            storage_version: STORAGE_VERSION,
            segment_bytes_max: self.live.policy.bytes_max,
            rows_max: self.live.policy.rows_max,
            schema_version: *schema_version,
        };
        self.put(Draft::new(vchannel.clone(), header, Bytes::new()));
        self.live.assigner.created(tick);
    }
}

/// A message of a transaction without a body.
pub(crate) fn txn_draft(vchannel: &VChannel, header: Header, context: TxnContext) -> Draft {
    Draft { txn: Some(context), ..Draft::new(vchannel.clone(), header, Bytes::new()) }
}
