//! The append path: one write with its sync in flight, and the batches that wait behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cinclus_env::disk::{DiskError, DiskFile};
use cinclus_env::{DynClock, mutated};
use cinclus_types::MessageId;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};

use super::active::Active;
use super::config::LocalConfig;
use super::keeper::Chore;
use super::segment::{BlockStart, End, Segment};
use crate::ack::{AckSender, AppendAck};
use crate::error::LogError;
use crate::woodpecker::batch::EncodedBatch;
use crate::woodpecker::checksum::Checksum;
use crate::woodpecker::codec::{BLOCK_HEADER_BYTES, BlockHeader, FileHeader, HEADER_BYTES};
use crate::woodpecker::metrics::Metrics;

/// The open end of a log. Its writer appends, the disk's thread takes block after block, an opener of a
/// newer writer fences it.
pub(super) struct Pipe {
    state: Mutex<State>,
    /// Told whenever a flight has ended.
    settled: Notify,
    keeper: mpsc::UnboundedSender<Chore>,
    in_flight_bytes: AtomicU64,
    config: Arc<LocalConfig>,
    clock: DynClock,
    metrics: Metrics,
}

struct State {
    queue: VecDeque<Queued>,
    flight: Flight,
    /// Set once; then nothing is written any more (L7).
    dead: Option<LogError>,
    active: Active,
    next: Option<Active>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    /// Nothing is being written; the queue is empty.
    None,
    /// A block, or the last footer.
    Writing,
    /// The segment has ended and the next one is not ready.
    WaitingForSegment,
}

struct Queued {
    batch: EncodedBatch,
    ack: AckSender,
}

/// A block on its way to the disk.
struct Flush {
    file: Arc<dyn DiskFile>,
    offset: u64,
    parts: Vec<Bytes>,
    acks: Vec<(u64, AckSender)>,
    batch_bytes: u64,
    segment: Arc<Segment>,
    block: BlockStart,
    end: End,
    ends_segment: bool,
    started: Duration,
}

impl Pipe {
    pub(super) fn new(
        config: Arc<LocalConfig>,
        clock: DynClock,
        keeper: mpsc::UnboundedSender<Chore>,
        active: Active,
        metrics: Metrics,
    ) -> Pipe {
        let state = State { queue: VecDeque::new(), flight: Flight::None, dead: None, active, next: None };
        Pipe {
            state: Mutex::new(state),
            settled: Notify::new(),
            keeper,
            in_flight_bytes: AtomicU64::new(0),
            config,
            clock,
            metrics,
        }
    }

    pub(super) fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes.load(Ordering::Relaxed)
    }

    /// Queues a batch and, if nothing is in flight, sends it.
    pub(super) fn append(self: &Arc<Self>, batch: EncodedBatch) -> AppendAck {
        let (ack, answer) = AppendAck::pair();
        let flush = {
            let mut state = self.state.lock();
            if let Some(error) = &state.dead {
                ack.resolve(Err(error.clone()));
                return answer;
            }
            self.in_flight_bytes.fetch_add(batch.bytes, Ordering::Relaxed);
            state.queue.push_back(Queued { batch, ack });
            if state.flight == Flight::None { self.take(&mut state) } else { None }
        };
        self.start(flush);
        answer
    }

    /// Ends this writer: what waits gets the error, what is in flight no ack (L3).
    pub(super) fn kill(&self, error: LogError) {
        let mut state = self.state.lock();
        let error = state.dead.get_or_insert(error).clone();
        self.refuse(&mut state, &error);
    }

    fn refuse(&self, state: &mut State, error: &LogError) {
        for queued in state.queue.drain(..) {
            self.in_flight_bytes.fetch_sub(queued.batch.bytes, Ordering::Relaxed);
            queued.ack.resolve(Err(error.clone()));
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state.lock().dead.is_some()
    }

    /// Ends this writer for a newer one, and waits until the disk does nothing for it any more.
    pub(super) async fn fence(&self) {
        self.kill(LogError::Fenced);
        // Invariant L3: a write that is under way cannot be called back, so it is waited for.
        self.wait_until(|state| (state.flight != Flight::Writing).then_some(())).await;
        let mut state = self.state.lock();
        state.active.lock = None;
        state.next = None;
    }

    /// The next segment is ready.
    pub(super) fn set_next(self: &Arc<Self>, next: Active) {
        let flush = {
            let mut state = self.state.lock();
            if state.dead.is_some() {
                return;
            }
            if state.flight == Flight::WaitingForSegment {
                state.active = next;
                self.take(&mut state)
            } else {
                state.next = Some(next);
                None
            }
        };
        self.start(flush);
    }

    /// The next segment cannot be made. Whoever waits for it has waited enough.
    pub(super) fn next_failed(&self, error: &LogError) {
        let waiting = self.state.lock().flight == Flight::WaitingForSegment;
        if waiting {
            self.kill(error.clone());
        }
    }

    /// Waits for what is in flight, writes the footer and ends this writer.
    pub(super) async fn close(self: &Arc<Self>) -> Result<(), LogError> {
        let ended = self
            .wait_until(|state| match &state.dead {
                Some(error) => Some(Err(error.clone())),
                None if state.flight == Flight::None => {
                    state.dead = Some(LogError::Closed);
                    state.next = None;
                    if state.active.blocks == 0 {
                        state.active.lock = None;
                        return Some(Ok(None));
                    }
                    state.flight = Flight::Writing;
                    let (segment, file) = (state.active.segment.clone(), state.active.file.clone());
                    Some(Ok(Some((segment, file, state.active.offset))))
                }
                None => None,
            })
            .await?;
        let Some((segment, file, offset)) = ended else { return Ok(()) };
        let (end, blocks) = segment.open_end().unwrap_or_default();
        let footer = Segment::footer(&blocks, end);
        let (send, written) = oneshot::channel();
        let pipe = self.clone();
        let done = move |outcome: Result<(), DiskError>| {
            if outcome.is_ok() {
                segment.finish();
            }
            let mut state = pipe.state.lock();
            state.flight = Flight::None;
            state.active.lock = None;
            drop(state);
            pipe.settled.notify_waiters();
            let _ = send.send(outcome);
        };
        file.start_write_and_sync(offset, vec![footer.into()], Box::new(done));
        written.await.map_err(|_| LogError::Unavailable("the disk's thread has ended".to_owned()))??;
        Ok(())
    }

    async fn wait_until<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            let found = ready(&mut self.state.lock());
            match found {
                Some(found) => return found,
                None => settled.await,
            }
        }
    }

    /// Takes the next block off the queue; `None` if there is nothing to write.
    fn take(&self, state: &mut State) -> Option<Flush> {
        loop {
            let mut batches = Vec::new();
            let (mut bytes, mut records) = (0, 0);
            while let Some(queued) = state.queue.front() {
                if bytes > 0 && bytes + queued.batch.bytes > self.config.block_bytes_max {
                    break;
                }
                bytes += queued.batch.bytes;
                records += queued.batch.records;
                batches.extend(state.queue.pop_front());
            }
            if records > 0 {
                state.flight = Flight::Writing;
                return Some(self.flush(&mut state.active, batches, bytes, records));
            }
            if batches.is_empty() {
                state.flight = Flight::None;
                return None;
            }
            batches.into_iter().for_each(|queued| queued.ack.resolve(Ok(Vec::new())));
        }
    }

    /// Puts header, batches and, if it is the segment's last block, the footer together.
    fn flush(&self, active: &mut Active, batches: Vec<Queued>, bytes: u64, records: u64) -> Flush {
        let now = self.clock.monotonic();
        let first_write = *active.first_write.get_or_insert_with(|| {
            // The next segment is made ready as soon as this one is in use. The keeper lives as long as
            // this pipe.
            let _ = self.keeper.send(Chore::Prepare { id: active.segment.id + 1 });
            now
        });
        let mut head = Vec::with_capacity(HEADER_BYTES + BLOCK_HEADER_BYTES);
        if active.offset == 0 {
            FileHeader::LOCAL.encode(&mut head);
        }
        let start = BlockStart { offset: active.offset + head.len() as u64, first_entry: active.entries };
        let mut crc = Checksum::new();
        batches.iter().for_each(|queued| crc.combine(&queued.batch.crc));
        let header = BlockHeader {
            number: active.blocks as i32,
            first_entry: active.entries as i64,
            last_entry: (active.entries + records) as i64 - 1,
            length: bytes as u32,
            crc: crc.value(),
        };
        header.encode(&mut head);
        let end = End {
            bytes: start.offset + BLOCK_HEADER_BYTES as u64 + bytes,
            entries: active.entries + records,
        };
        let mut parts = vec![Bytes::from(head)];
        let mut acks = Vec::with_capacity(batches.len());
        for queued in batches {
            parts.extend(queued.batch.parts);
            acks.push((queued.batch.records, queued.ack));
        }
        let ends_segment = self.config.roll.ends(end.bytes, now.saturating_sub(first_write));
        if ends_segment {
            parts.push(active.segment.footer_with(start, end).into());
        }
        let offset = std::mem::replace(&mut active.offset, end.bytes);
        active.blocks += 1;
        active.entries = end.entries;
        let (segment, file) = (active.segment.clone(), active.file.clone());
        Flush {
            file,
            offset,
            parts,
            acks,
            batch_bytes: bytes,
            segment,
            block: start,
            end,
            ends_segment,
            started: now,
        }
    }

    /// Never called with the state locked: a memory disk is done before it returns.
    fn start(self: &Arc<Self>, flush: Option<Flush>) {
        let Some(mut flush) = flush else { return };
        let pipe = self.clone();
        let (file, parts) = (flush.file.clone(), std::mem::take(&mut flush.parts));
        let offset = flush.offset;
        if mutated("AcksBeforeSync") {
            self.answer(std::mem::take(&mut flush.acks), 0, (&flush.segment, flush.block), &Ok(()));
        }
        file.start_write_and_sync(offset, parts, Box::new(move |outcome| pipe.done(flush, outcome)));
    }

    /// On the disk's thread: answers the block and starts the next.
    fn done(self: &Arc<Self>, flush: Flush, outcome: Result<(), DiskError>) {
        let outcome = match outcome {
            Ok(()) => {
                let span = self.clock.monotonic().saturating_sub(flush.started);
                let records = flush.end.entries - flush.block.first_entry;
                self.metrics.flushed(records, flush.batch_bytes, span);
                // Readers see the records before their appender hears of them.
                flush.segment.advance(flush.block, flush.end);
                if flush.ends_segment {
                    flush.segment.finish();
                }
                // Invariant L3: a write that ended after the fence is there (L4), but gets no ack.
                self.state.lock().dead.clone().map_or(Ok(()), Err)
            }
            Err(error) => {
                let error = LogError::from(error);
                self.metrics.failed();
                self.kill(error.clone());
                Err(error)
            }
        };
        self.answer(flush.acks, flush.batch_bytes, (&flush.segment, flush.block), &outcome);
        let next = {
            let mut state = self.state.lock();
            if state.dead.is_some() {
                state.flight = Flight::None;
                None
            } else if flush.ends_segment {
                let _ = self.keeper.send(Chore::Complete { segment: flush.segment, end: flush.end });
                self.leave_segment(&mut state)
            } else {
                self.take(&mut state)
            }
        };
        match next {
            Some(next) => self.start(Some(next)),
            None => self.settled.notify_waiters(),
        }
    }

    /// Invariant L2: called for one block after the other, and before the next is on its way.
    fn answer(
        &self,
        acks: Vec<(u64, AckSender)>,
        bytes: u64,
        (segment, block): (&Segment, BlockStart),
        outcome: &Result<(), LogError>,
    ) {
        self.in_flight_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let mut entry = block.first_entry;
        for (records, ack) in acks {
            let ids = entry..entry + records;
            entry = ids.end;
            let id = |entry| MessageId::from_parts(self.config.generation, segment.id, entry);
            ack.resolve(outcome.clone().map(|()| ids.map(id).collect()));
        }
    }

    fn leave_segment(&self, state: &mut State) -> Option<Flush> {
        match state.next.take() {
            Some(next) => {
                state.active = next;
                self.take(state)
            }
            None => {
                state.flight = Flight::WaitingForSegment;
                None
            }
        }
    }
}
