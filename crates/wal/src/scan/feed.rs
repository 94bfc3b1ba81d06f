//! The pump's own reader.

use std::sync::Arc;

use cinclus_rpc::{AppendError, Delivery, DeliveryKind, ScanFilter, ScanFrom};
use cinclus_types::message::Message;
use cinclus_types::{Checkpoint, SegmentId};
use tokio::sync::{oneshot, watch};

use super::cursor::{Cursor, Step};
use crate::error::FeedError;
use crate::recovery::{RecoveryCut, snapshot};
use crate::shard::{Answer, DedupKey, DedupLimits, Effect, ShardState, closed_segments};
use crate::shared::{Handover, Shared, WriterState};

/// Reads the whole PChannel from its checkpoint on, keeps the recovered state, and brings every writer
/// of this term up to date before it serves.
///
/// There is one per Wal. The Wal serves appends only as long as the feed is read: after an open, and
/// after each failure of the writer, the feed first has to reach the end of the storage.
pub struct Feed {
    shared: Arc<Shared>,
    cursor: Cursor,
    news: watch::Receiver<u64>,
    state: ShardState,
    limits: DedupLimits,
    waiting: Option<oneshot::Sender<Handover>>,
    log_bytes: u64,
    replayed_from: Checkpoint,
}

impl Feed {
    pub(crate) fn new(shared: Arc<Shared>, from: Checkpoint, state: ShardState) -> Feed {
        let cursor = Cursor::new(shared.clone(), ScanFrom::Checkpoint(from), ScanFilter::default());
        let limits = DedupLimits::of(&shared.config);
        Feed {
            news: shared.news.subscribe(),
            cursor,
            state,
            limits,
            waiting: None,
            log_bytes: 0,
            replayed_from: from,
            shared,
        }
    }

    /// The next delivery; waits for one. The recovered state holds it when this returns. Nothing is lost
    /// when the future is dropped half way.
    ///
    /// # Errors
    /// See [`FeedError`]. What was acknowledged before a close is delivered before the error.
    pub async fn next(&mut self) -> Result<Delivery, FeedError> {
        loop {
            // What happens from here on wakes the wait below.
            self.news.borrow_and_update();
            let closed = self.shared.closed();
            self.look_for_a_writer();
            let step = match self.cursor.step().await {
                Ok(step) => step,
                Err(error) => return Err(self.fatal(error)),
            };
            match step {
                Step::Delivered(delivery) => {
                    self.apply(&delivery);
                    return Ok(delivery);
                }
                Step::StorageEnd => {
                    if self.hand_over() {
                        continue;
                    }
                }
                Step::TailEnd => {}
            }
            if let Some(closed) = closed {
                return Err(FeedError::Closed(closed.to_string()));
            }
            if self.news.changed().await.is_err() {
                return Err(FeedError::Closed("the log was let go of".to_owned()));
            }
        }
    }

    /// What all deliveries so far made of the PChannel.
    #[must_use]
    pub fn recovered(&self) -> &ShardState {
        &self.state
    }

    /// Where this feed began.
    #[must_use]
    pub fn replayed_from(&self) -> Checkpoint {
        self.replayed_from
    }

    /// Forgets closed segments: the catalog knows them as sealed.
    pub fn settle(&mut self, segments: &[SegmentId]) {
        for segment in segments {
            self.state.settle(*segment);
        }
    }

    /// A point at which the Wal can be opened again, consistent with the last delivery.
    pub fn cut(&mut self) -> RecoveryCut {
        let clock = &*self.shared.env.clock;
        self.shared.forgotten.for_feed(clock, |broadcast| self.state.dedup.forget_broadcast(broadcast));
        RecoveryCut {
            checkpoint: self.cursor.checkpoint(),
            state: snapshot::encode(&self.state),
            log_bytes_since_last_cut: std::mem::take(&mut self.log_bytes),
            held: self.cursor.held(),
            tick: self.cursor.tick(),
        }
    }

    /// A log that cannot be replayed cannot be written either.
    fn fatal(&self, error: FeedError) -> FeedError {
        let refusal = match &error {
            FeedError::Closed(_) => return error,
            FeedError::Corrupt(_) => AppendError::Corrupt(error.to_string()),
            // A later owner may have let go of it: whoever reads the feed finds out.
            FeedError::Truncated { .. } => AppendError::NotOwner,
        };
        self.shared.set_state(WriterState::Closed(refusal));
        self.shared.closing.cancel();
        error
    }

    /// A writer that waits has fenced all others: the storage's end, read from now on, is final.
    fn look_for_a_writer(&mut self) {
        if let Some(waiting) = self.shared.handover.lock().take() {
            self.waiting = Some(waiting);
            self.cursor.read_storage_to_the_end();
        }
    }

    /// Whether a writer waited and got what it needs.
    fn hand_over(&mut self) -> bool {
        let Some(waiting) = self.waiting.take() else { return false };
        let last = self.cursor.last_record();
        let handover = Handover {
            state: self.state.clone(),
            txns: self.cursor.assembler().open().clone(),
            last: last.map(|(id, _)| id),
            next: self.cursor.next_id(),
            tick: last.map_or(self.cursor.tick(), |(_, tick)| tick.max(self.cursor.tick())),
        };
        self.cursor.allow_buffer();
        // A writer that was closed meanwhile does not take it.
        let _ = waiting.send(handover);
        true
    }

    fn apply(&mut self, delivery: &Delivery) {
        self.log_bytes += delivery.log_bytes;
        if delivery.kind == DeliveryKind::TimeTick {
            return;
        }
        for message in &delivery.messages {
            if let Some(effect) = Effect::of(message, delivery.tick) {
                self.state.apply(effect);
            }
        }
        let commit = delivery.txn.as_ref().map(|txn| &txn.commit);
        let Some(said) = commit.or(delivery.messages.first()) else { return };
        if let Some(key) = DedupKey::of_message(said) {
            let ids = delivery.messages.iter().map(Message::id).collect();
            let sealed = closed_segments(said.header()).to_vec();
            let last_confirmed = delivery.messages.first().unwrap_or(said).last_confirmed();
            let answer = Answer { tick: delivery.tick, ids, sealed, last_confirmed };
            self.state.dedup.remember(key, answer, self.limits);
        }
    }
}
