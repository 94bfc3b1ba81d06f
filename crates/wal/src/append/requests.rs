//! What the session does for each kind of request: admit, stamp, place; stored and published later.

use std::collections::BTreeMap;
use std::time::Duration;

use cinclus_env::mutated;
use cinclus_rpc::{AppendError, Appended, RollbackCause};
use cinclus_types::message::{Draft, Header, TxnContext};
use cinclus_types::{MessageId, SegmentId, Tick, TxnId, VChannel};
use tokio::sync::OwnedSemaphorePermit;

use super::batch::{Batch, PendingAnswer, PendingAppend, commit_key};
use super::place::txn_draft;
use super::publish::again;
use super::request::{Reply, Request, Work};
use super::session::Session;
use crate::shard::{DedupKey, closed_segments};
use crate::txn::{OpenTxn, assembler};

impl Session {
    /// Takes a request through the stages, into a batch.
    pub(super) fn place_request(&mut self, request: Request, batch: &mut Batch) {
        let Request { work, room } = request;
        match work {
            Work::TickAtLeast { at, reply } => self.tick_waiters.push((at, reply)),
            Work::TimeTick { reply } => self.proof_waiters.push(reply),
            Work::Begin { vchannel, keepalive, reply } => {
                self.ride_along(batch);
                self.begin(batch, &vchannel, keepalive, reply);
            }
            Work::Batch { drafts, reply } => {
                self.ride_along(batch);
                self.append(batch, drafts, reply, room);
            }
            Work::Bodies { txn, drafts, reply } => {
                self.ride_along(batch);
                self.append_bodies(batch, txn, drafts, (reply, room));
            }
            Work::RollBackBelow { below, reply } => {
                self.ride_along(batch);
                self.roll_back_below(batch, below, reply);
            }
            Work::End { vchannel, txn, commit, reply } => {
                self.ride_along(batch);
                self.end_txn(batch, (&vchannel, txn), commit, reply);
            }
        }
    }

    /// Appends drafts of one VChannel: one as it is, several as one transaction in this batch.
    pub(super) fn append(
        &mut self,
        batch: &mut Batch,
        mut drafts: Vec<Draft>,
        reply: Reply<Appended>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        let Some(vchannel) = drafts.first().and_then(|draft| draft.vchannel.clone()) else { return };
        let keyed = drafts.iter().find(|draft| DedupKey::of_draft(draft).is_some());
        let key = keyed.and_then(DedupKey::of_draft);
        let Some(reply) = self.unless_repeated(key.as_ref(), reply) else { return };
        if let Err(error) = self.live.check(&vchannel, &drafts) {
            let _ = reply.send(Err(error));
            return;
        }
        if let Some(key) = &key {
            self.keys.insert(key.clone(), Vec::new());
        }
        let idempotency_key = drafts.iter_mut().filter_map(|draft| draft.idempotency_key.take()).next();
        let (tick, bodies, sealed) = if drafts.len() == 1 {
            let mut draft = drafts.remove(0);
            draft.idempotency_key = idempotency_key;
            self.append_one(batch, &vchannel, draft)
        } else {
            let (tick, bodies) = self.append_txn(batch, &vchannel, drafts, idempotency_key);
            (tick, bodies, Vec::new())
        };
        let append = PendingAppend { reply, tick, bodies, sealed, key, _room: room };
        batch.answers.push(PendingAnswer::Appended(append));
    }

    fn append_one(
        &mut self,
        batch: &mut Batch,
        vchannel: &VChannel,
        draft: Draft,
    ) -> (Tick, Vec<usize>, Vec<SegmentId>) {
        let alone = draft.kind().is_exclusive();
        let mut placer = self.placer(batch);
        if alone {
            placer.fail_txns(vchannel);
        }
        let (tick, at) = placer.put(draft);
        let sealed = closed_segments(&placer.batch.placed[at].0.draft().header).to_vec();
        (tick, vec![at], sealed)
    }

    /// Begin, bodies and commit in one batch: it needs no session, for nothing comes in between.
    fn append_txn(
        &mut self,
        batch: &mut Batch,
        vchannel: &VChannel,
        drafts: Vec<Draft>,
        idempotency_key: Option<String>,
    ) -> (Tick, Vec<usize>) {
        let keepalive = self.shared.config.txn_keepalive_default;
        let mut placer = self.placer(batch);
        let (context, ..) = placer.begin(vchannel, keepalive);
        let (mut bodies, mut segments) = (Vec::with_capacity(drafts.len()), Vec::new());
        for draft in drafts {
            let (_, at) = placer.put(Draft { txn: Some(context), ..draft });
            segments.extend(assembler::placed(&placer.batch.placed[at].0.draft().header));
            bodies.push(at);
        }
        let commit = txn_draft(vchannel, Header::CommitTxn, context);
        let (tick, _) = placer.put(Draft { idempotency_key, ..commit });
        placer.live.committed(segments.into_iter().map(|(segment, ..)| segment), tick);
        (tick, bodies)
    }

    /// Begins a transaction that later requests add to.
    pub(super) fn begin(
        &mut self,
        batch: &mut Batch,
        vchannel: &VChannel,
        keepalive: Duration,
        reply: Reply<TxnContext>,
    ) {
        let (context, last, at) = self.placer(batch).begin(vchannel, keepalive);
        let (begin, placed) = (None, BTreeMap::new());
        let opened = OpenTxn { vchannel: vchannel.clone(), begin, last, keepalive, placed };
        self.live.txns.begin(context.txn, opened);
        batch.answers.push(PendingAnswer::Begun { reply, context, at });
    }

    /// Appends bodies of an open transaction.
    pub(super) fn append_bodies(
        &mut self,
        batch: &mut Batch,
        txn: TxnContext,
        drafts: Vec<Draft>,
        answer: (Reply<Appended>, Option<OwnedSemaphorePermit>),
    ) {
        let (reply, room) = answer;
        let Some(vchannel) = drafts.first().and_then(|draft| draft.vchannel.clone()) else { return };
        let checked = self.open_txn(&vchannel, txn.txn, drafts.len()).and_then(|keepalive| {
            self.live.check(&vchannel, &drafts)?;
            Ok(TxnContext { keepalive, ..txn })
        });
        let context = match checked {
            Ok(context) => context,
            Err(error) => return self.refuse(batch, txn.txn, error, reply),
        };
        let mut placer = self.placer(batch);
        let (mut tick, mut bodies) = (Tick::ZERO, Vec::with_capacity(drafts.len()));
        for draft in drafts {
            let draft = Draft { txn: Some(context), idempotency_key: None, ..draft };
            let at;
            (tick, at) = placer.put(draft);
            let placed = assembler::placed(&placer.batch.placed[at].0.draft().header);
            placer.live.txns.body(context.txn, tick, placed);
            bodies.push(at);
        }
        let append = PendingAppend { reply, tick, bodies, sealed: Vec::new(), key: None, _room: room };
        batch.answers.push(PendingAnswer::Appended(append));
    }

    /// Commits a transaction or rolls it back. A commit that was stored is answered again as it was.
    pub(super) fn end_txn(
        &mut self,
        batch: &mut Batch,
        which: (&VChannel, TxnContext),
        commit: bool,
        reply: Reply<Appended>,
    ) {
        let (vchannel, txn) = which;
        let key = commit.then(|| DedupKey::Request(vchannel.clone(), commit_key(txn.txn)));
        let Some(reply) = self.unless_repeated(key.as_ref(), reply) else { return };
        let keepalive = match self.open_txn(vchannel, txn.txn, 0) {
            Ok(keepalive) => keepalive,
            Err(error) => return self.refuse(batch, txn.txn, error, reply),
        };
        let context = TxnContext { keepalive, ..txn };
        let tick = if let Some(key) = &key {
            self.keys.insert(key.clone(), Vec::new());
            let draft = txn_draft(vchannel, Header::CommitTxn, context);
            let named = Draft { idempotency_key: Some(commit_key(txn.txn)), ..draft };
            let mut placer = self.placer(batch);
            let (tick, _) = placer.put(named);
            let ended = placer.live.txns.end(txn.txn);
            placer.live.committed(ended.into_iter().flat_map(|txn| txn.placed.into_keys()), tick);
            tick
        } else {
            self.placer(batch).roll_back(vchannel, context, None)
        };
        let append = PendingAppend { reply, tick, bodies: Vec::new(), sealed: Vec::new(), key, _room: None };
        batch.answers.push(PendingAnswer::Appended(append));
    }

    /// Rolls back the open transactions that begin below an id. The answer is the tick at which all are over.
    fn roll_back_below(&mut self, batch: &mut Batch, below: MessageId, reply: Reply<Tick>) {
        let mut last = None;
        for (txn, vchannel, keepalive) in self.live.txns.begun_below(below) {
            tracing::warn!(%vchannel, %txn, "a transaction is rolled back: too much log lies behind its begin");
            let (context, cause) = (TxnContext { txn, keepalive }, Some(RollbackCause::HoldsLog));
            last = Some(self.placer(batch).roll_back(&vchannel, context, cause));
            self.shared.metrics.rolled_back.inc();
        }
        match last {
            Some(tick) => batch.answers.push(PendingAnswer::Ticked { replies: vec![reply], tick }),
            None => drop(reply.send(Ok(self.stamper.ticks.last()))),
        }
    }

    /// Refuses what is about a transaction; if that is over because of what is in flight, when that is stored. A
    /// client that is told so may rely on it, whatever becomes of the writer.
    fn refuse(&self, batch: &mut Batch, txn: TxnId, error: AppendError, reply: Reply<Appended>) {
        // Invariant W5.
        if self.live.ended.is_certain(txn, self.frontier()) {
            let _ = reply.send(Err(error));
        } else {
            batch.answers.push(PendingAnswer::Refused { reply, error });
        }
    }

    /// The keep-alive of a transaction that will still be open when so many drafts of it are placed.
    fn open_txn(&self, vchannel: &VChannel, txn: TxnId, drafts: usize) -> Result<Duration, AppendError> {
        let latest = self.stamper.peek().map_or(Tick::MAX, |tick| Tick(tick.0 + drafts as u64 * 2));
        let open = self.live.txns.open_at(txn, vchannel, latest);
        open.map(|open| open.keepalive).ok_or_else(|| self.live.ended.error(txn))
    }

    /// Answers a request whose key was seen before, or has it wait for the first one's answer.
    fn unless_repeated(&mut self, key: Option<&DedupKey>, reply: Reply<Appended>) -> Option<Reply<Appended>> {
        let Some(key) = key else { return Some(reply) };
        // Invariant C2.
        if mutated("ForgetsKeys") {
            return Some(reply);
        }
        if let Some(answer) = self.live.state.dedup.answer(key) {
            let _ = reply.send(Ok(again(answer)));
            return None;
        }
        match self.keys.get_mut(key) {
            Some(waiting) => {
                waiting.push(reply);
                None
            }
            None => Some(reply),
        }
    }
}
