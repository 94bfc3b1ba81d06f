//! The engine of every reader: the next thing that happened, from storage or buffer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cinclus_log_storage::{LogError, StoredRecord};
use cinclus_rpc::{Delivery, DeliveryKind, ScanFilter, ScanFrom, TxnEnds};
use cinclus_types::message::{Encoded, Kind, Message};
use cinclus_types::{Checkpoint, MessageId, Tick};

use super::beginning::Beginning;
use super::catch_up::CatchUp;
use crate::buffer::BufferRead;
use crate::error::ScanError;
use crate::shared::Shared;
use crate::txn::{Assembled, Assembler, Held};

/// Messages that a reader takes from the buffer at once.
const TAIL_MESSAGES: usize = 64;

/// The pauses between attempts to read a storage that does not answer.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What a step came to.
pub(super) enum Step {
    /// Something happened.
    Delivered(Delivery),
    /// The storage has no more records, and the buffer does not go on from here.
    StorageEnd,
    /// Everything up to the published frontier was delivered.
    TailEnd,
}

enum Source {
    /// The starting point is not looked up yet.
    Start(ScanFrom),
    /// Reads the storage.
    CatchUp(CatchUp),
    /// Follows the buffer.
    Tail(VecDeque<(Message, u64)>),
}

/// A position in the log and what is needed to go on from it.
pub(super) struct Cursor {
    shared: Arc<Shared>,
    filter: ScanFilter,
    source: Source,
    assembler: Assembler,
    /// The first id that was not read.
    next: MessageId,
    /// Effective ticks up to this one were delivered, or are not wanted.
    tick: Tick,
    /// The last record read.
    last: Option<(MessageId, Tick)>,
    log_bytes: u64,
    retry: Duration,
    /// Reads the storage to its end although the buffer might do.
    storage_only: bool,
}

impl Cursor {
    pub(super) fn new(shared: Arc<Shared>, from: ScanFrom, filter: ScanFilter) -> Cursor {
        Cursor {
            shared,
            filter,
            source: Source::Start(from),
            assembler: Assembler::default(),
            next: MessageId::EARLIEST,
            tick: Tick::ZERO,
            last: None,
            log_bytes: 0,
            retry: RETRY_MIN,
            storage_only: false,
        }
    }

    pub(super) fn assembler(&self) -> &Assembler {
        &self.assembler
    }

    pub(super) fn next_id(&self) -> MessageId {
        self.next
    }

    pub(super) fn last_record(&self) -> Option<(MessageId, Tick)> {
        self.last
    }

    /// The effective tick up to which everything was delivered.
    pub(super) fn tick(&self) -> Tick {
        self.tick
    }

    /// From where a reader resumes that got what this one delivered.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { resume: self.assembler.resume(self.next), tick: self.tick }
    }

    /// The log between where a reader resumes and here, for transactions that are open.
    pub(super) fn held(&self) -> Vec<Held> {
        self.assembler.held()
    }

    /// Reads the storage from the next record to its end, with a reader that is opened from now on.
    pub(super) fn read_storage_to_the_end(&mut self) {
        self.storage_only = true;
        if !matches!(self.source, Source::Start(_)) {
            self.source = Source::CatchUp(CatchUp::default());
        }
    }

    /// The buffer may be read again.
    pub(super) fn allow_buffer(&mut self) {
        self.storage_only = false;
    }

    /// Goes on until something is to be said.
    pub(super) async fn step(&mut self) -> Result<Step, ScanError> {
        loop {
            match &mut self.source {
                Source::Start(from) => {
                    let from = *from;
                    if let Some(step) = self.start(from).await? {
                        return Ok(step);
                    }
                }
                Source::CatchUp(catch_up) => {
                    let may_tail = !self.storage_only && !catch_up.has_records();
                    if may_tail && self.shared.buffer.covers(self.next) {
                        self.source = Source::Tail(VecDeque::new());
                        continue;
                    }
                    let read = catch_up.next(&self.shared, self.next).await;
                    let Some(record) = self.read_or_retry(read).await? else { continue };
                    let Some(record) = record else { return Ok(Step::StorageEnd) };
                    let bytes = record.record.bytes();
                    let message = decode(record)?;
                    if let Some(step) = self.take(message, bytes)? {
                        return Ok(step);
                    }
                }
                Source::Tail(_) => {
                    if let Some(step) = self.step_tail()? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// The next delivery, if what was read already has one.
    pub(super) fn at_hand(&mut self) -> Result<Option<Delivery>, ScanError> {
        loop {
            let (message, bytes) = match &mut self.source {
                Source::Start(_) => return Ok(None),
                Source::CatchUp(catch_up) => {
                    let Some(record) = catch_up.at_hand() else { return Ok(None) };
                    let bytes = record.record.bytes();
                    (decode(record)?, bytes)
                }
                Source::Tail(messages) => {
                    let Some(read) = messages.pop_front() else { return Ok(None) };
                    read
                }
            };
            if let Some(Step::Delivered(delivery)) = self.take(message, bytes)? {
                return Ok(Some(delivery));
            }
        }
    }

    fn step_tail(&mut self) -> Result<Option<Step>, ScanError> {
        let Source::Tail(messages) = &mut self.source else { return Ok(None) };
        if let Some((message, bytes)) = messages.pop_front() {
            return self.take(message, bytes);
        }
        match self.shared.buffer.read(self.next, TAIL_MESSAGES) {
            BufferRead::Messages(read) => {
                *messages = read.into();
                Ok(None)
            }
            BufferRead::End { frontier, next } if frontier > self.tick && self.next <= next => {
                // Invariant W4. The buffer was empty from here on when it named this frontier. It says nothing of
                // what lies before here if this is behind its end: a later owner has written there, and may have
                // truncated it.
                self.tick = frontier;
                Ok(Some(Step::Delivered(self.time_tick())))
            }
            BufferRead::End { .. } => Ok(Some(Step::TailEnd)),
            BufferRead::Evicted => {
                self.source = Source::CatchUp(CatchUp::default());
                Ok(None)
            }
        }
    }

    /// Looks up where to start. The end of a log that is not open yet is not known; a reader that starts at
    /// the end is told at once where that is.
    async fn start(&mut self, from: ScanFrom) -> Result<Option<Step>, ScanError> {
        match from {
            ScanFrom::Earliest => self.start_after(Tick::ZERO).await?,
            ScanFrom::Latest => {
                // Invariant W10. A transaction that is open now, and committed later, is not missed.
                let Some((resume, frontier)) = self.shared.buffer.end() else {
                    return Ok(Some(Step::StorageEnd));
                };
                (self.next, self.tick) = (resume, frontier);
            }
            ScanFrom::Checkpoint(Checkpoint { resume, tick }) => (self.next, self.tick) = (resume, tick),
            ScanFrom::Tick(tick) => self.start_after(tick).await?,
        }
        self.source = Source::CatchUp(CatchUp::default());
        Ok((from == ScanFrom::Latest).then(|| Step::Delivered(self.time_tick())))
    }

    /// Starts where everything is read that takes effect after a tick, as far as it is there as a whole.
    async fn start_after(&mut self, tick: Tick) -> Result<(), ScanError> {
        loop {
            let earliest = self.shared.storage.earliest(&self.shared.channel).await;
            let Some(earliest) = self.read_or_retry(earliest).await? else { continue };
            if let Some(resume) = self.shared.buffer.resume_after(tick).filter(|resume| *resume >= earliest) {
                (self.next, self.tick) = (resume, tick);
                return Ok(());
            }
            match self.complete_after(earliest).await {
                // Invariant W4. What is not whole any more is not delivered, nor is what lies before it.
                Ok(complete) => {
                    (self.next, self.tick) = (earliest, complete.max(tick));
                    return Ok(());
                }
                // It was truncated meanwhile.
                Err(ScanError::Truncated { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The tick after which nothing is missing in a log that begins at `earliest`.
    async fn complete_after(&mut self, earliest: MessageId) -> Result<Tick, ScanError> {
        let (mut beginning, mut catch_up) = (Beginning::new(earliest), CatchUp::default());
        let mut next = earliest;
        loop {
            let read = catch_up.next(&self.shared, next).await;
            let Some(record) = self.read_or_retry(read).await? else { continue };
            let Some(record) = record else { return Ok(beginning.complete_after()) };
            next = record.id.next();
            if beginning.take(&decode(record)?) {
                return Ok(beginning.complete_after());
            }
        }
    }

    /// `None` after a pause when the storage did not answer.
    async fn read_or_retry<T>(&mut self, read: Result<T, LogError>) -> Result<Option<T>, ScanError> {
        match read {
            Ok(read) => {
                self.retry = RETRY_MIN;
                Ok(Some(read))
            }
            Err(LogError::Truncated { earliest }) => Err(ScanError::Truncated { earliest }),
            Err(error @ LogError::Corrupt { .. }) => Err(ScanError::Corrupt(error.to_string())),
            Err(error) => {
                if let Some(closed) = self.shared.closed() {
                    return Err(ScanError::Closed(closed.to_string()));
                }
                tracing::warn!(channel = %self.shared.channel, %error, "the log cannot be read, trying again");
                self.shared.env.clock.sleep(self.retry).await;
                self.retry = (self.retry * 2).min(RETRY_MAX);
                Ok(None)
            }
        }
    }

    fn take(&mut self, message: Message, bytes: u64) -> Result<Option<Step>, ScanError> {
        let (id, tick) = (message.id(), message.tick());
        if id < self.next {
            return Ok(None);
        }
        // Invariant W1.
        if let Some((before, last)) = self.last.filter(|(_, last)| *last >= tick) {
            let text = format!("record {id} has tick {tick}, but record {before} before it has {last}");
            return Err(ScanError::Corrupt(text));
        }
        self.next = id.next();
        self.last = Some((id, tick));
        self.log_bytes += bytes;
        if !self.filter.takes_channel_of(&message) {
            self.assembler.passed(bytes);
            return Ok(None);
        }
        let assembled = self.assembler.push(message);
        self.assembler.passed(bytes);
        Ok(self.deliver(assembled))
    }

    fn deliver(&mut self, assembled: Assembled) -> Option<Step> {
        let (kind, mut messages, txn) = match assembled {
            Assembled::Nothing => return None,
            Assembled::One(message) => (DeliveryKind::Message, vec![message], None),
            Assembled::Txn { begin, bodies, commit } => {
                (DeliveryKind::Txn, bodies, Some(TxnEnds { begin, commit }))
            }
        };
        let commit = txn.as_ref().map(|txn| &txn.commit);
        let tick = commit.or(messages.first()).map_or(Tick::ZERO, Message::tick);
        // Invariant W10. What a checkpoint covers is not delivered again.
        if tick <= self.tick {
            return None;
        }
        self.tick = tick;
        if messages.first().is_some_and(|message| message.kind() == Kind::TimeTick) {
            return Some(Step::Delivered(self.time_tick()));
        }
        messages.retain(|message| self.filter.takes(message));
        if messages.is_empty() && (txn.is_none() || self.filter.kinds.is_some()) {
            return None;
        }
        Some(Step::Delivered(self.delivery(kind, messages, txn)))
    }

    fn time_tick(&mut self) -> Delivery {
        self.delivery(DeliveryKind::TimeTick, Vec::new(), None)
    }

    fn delivery(&mut self, kind: DeliveryKind, messages: Vec<Message>, txn: Option<TxnEnds>) -> Delivery {
        let log_bytes = std::mem::take(&mut self.log_bytes);
        Delivery { tick: self.tick, messages, kind, txn, checkpoint: self.checkpoint(), log_bytes }
    }
}

fn decode(stored: StoredRecord) -> Result<Message, ScanError> {
    let id = stored.id;
    let encoded = Encoded { payload: stored.record.payload, properties: stored.record.properties };
    encoded.into_stored(id).map_err(|error| ScanError::Corrupt(format!("record {id}: {error}")))
}
