//! The append path: blocks on their way to the object storage, and the batches that wait behind them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cinclus_types::MessageId;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::block::{self, Extent};
use super::keeper::Chore;
use super::objects::{Created, Place};
use super::segment::Segment;
use super::shared::Shared;
use crate::ack::{AckSender, AppendAck};
use crate::error::LogError;
use crate::woodpecker::batch::EncodedBatch;
use crate::woodpecker::checksum::Checksum;
use crate::woodpecker::codec::BlockHeader;
use crate::woodpecker::metrics::Metrics;

/// The open end of a log. Its writer appends, tasks take block after block to the object storage.
pub(super) struct Pipe {
    state: Mutex<State>,
    /// Told whenever an upload has ended.
    settled: Notify,
    keeper: mpsc::UnboundedSender<Chore>,
    in_flight_bytes: AtomicU64,
    shared: Arc<Shared>,
    log: i64,
    metrics: Metrics,
}

struct State {
    queue: VecDeque<Queued>,
    queued_bytes: u64,
    /// Blocks without ack, oldest first. The first has this number among all blocks of this pipe.
    blocks: VecDeque<Block>,
    first_block: u64,
    /// Blocks that are being uploaded, or held.
    busy: usize,
    /// Segments that get no more blocks and have no footer yet, oldest first.
    leaving: VecDeque<Active>,
    active: Active,
    next: Next,
    /// Set once; then nothing is begun any more (L7).
    dead: Option<LogError>,
}

/// The segment that comes after the active one.
enum Next {
    NotWanted,
    Asked,
    Ready(Arc<Segment>),
}

struct Queued {
    batch: EncodedBatch,
    ack: AckSender,
}

/// A segment with the place of its next block.
struct Active {
    segment: Arc<Segment>,
    blocks: u64,
    /// Blocks without ack.
    unsettled: u64,
    entries: u64,
    bytes: u64,
    /// When its first block was cut, on the monotonic clock.
    first_write: Option<Duration>,
}

/// A block on its way.
struct Block {
    segment: Arc<Segment>,
    number: u64,
    extent: Extent,
    acks: Vec<(u64, AckSender)>,
    batch_bytes: u64,
    started: Duration,
    done: bool,
    /// The bytes, of the first block of a segment, until the segment before has all its blocks.
    held: Option<Vec<Bytes>>,
}

/// Something to be begun once the state is not locked any more.
enum Start {
    Upload { block: u64, segment: u64, number: u64, parts: Vec<Bytes> },
    Footer(Arc<Segment>),
}

impl Active {
    fn new(segment: Arc<Segment>) -> Active {
        Active { segment, blocks: 0, unsettled: 0, entries: 0, bytes: 0, first_write: None }
    }
}

impl Pipe {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: i64,
        keeper: mpsc::UnboundedSender<Chore>,
        segment: Arc<Segment>,
        metrics: Metrics,
    ) -> Pipe {
        let state = State {
            queue: VecDeque::new(),
            queued_bytes: 0,
            blocks: VecDeque::new(),
            first_block: 0,
            busy: 0,
            leaving: VecDeque::new(),
            active: Active::new(segment),
            next: Next::NotWanted,
            dead: None,
        };
        Pipe {
            state: Mutex::new(state),
            settled: Notify::new(),
            keeper,
            in_flight_bytes: AtomicU64::new(0),
            shared,
            log,
            metrics,
        }
    }

    pub(super) fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state.lock().dead.is_some()
    }

    /// Queues a batch and begins what can be begun.
    pub(super) fn append(self: &Arc<Self>, batch: EncodedBatch) -> AppendAck {
        let (ack, answer) = AppendAck::pair();
        let starts = {
            let mut state = self.state.lock();
            if let Some(error) = &state.dead {
                ack.resolve(Err(error.clone()));
                return answer;
            }
            self.in_flight_bytes.fetch_add(batch.bytes, Ordering::Relaxed);
            state.queued_bytes += batch.bytes;
            state.queue.push_back(Queued { batch, ack });
            self.take(&mut state)
        };
        self.start(starts);
        answer
    }

    /// Ends this writer: nothing without ack gets one any more.
    pub(super) fn kill(&self, error: LogError) {
        self.end(&mut self.state.lock(), error);
        self.settled.notify_waiters();
    }

    fn end(&self, state: &mut State, error: LogError) {
        let error = state.dead.get_or_insert(error).clone();
        // Invariant L2: in call order, errors too.
        for block in state.blocks.drain(..) {
            block.acks.into_iter().for_each(|(_, ack)| ack.resolve(Err(error.clone())));
        }
        state.queue.drain(..).for_each(|queued| queued.ack.resolve(Err(error.clone())));
        state.queued_bytes = 0;
        state.leaving.clear();
        state.next = Next::NotWanted;
        self.in_flight_bytes.store(0, Ordering::Relaxed);
    }

    /// The next segment is in the metadata.
    pub(super) fn set_next(&self, segment: Arc<Segment>) {
        let mut state = self.state.lock();
        if state.dead.is_none() {
            state.next = Next::Ready(segment);
        }
    }

    /// Where the next record goes, in a pipe that is not dead and has nothing in flight; a lower bound of it
    /// otherwise.
    pub(super) fn durable_end(&self) -> (u64, u64) {
        let state = self.state.lock();
        let oldest = state.leaving.front().unwrap_or(&state.active);
        (oldest.segment.id, oldest.segment.layout().next_entry())
    }

    /// Waits for what is in flight, then ends this writer. Gives its last segment, which has no footer yet,
    /// if there is anything in it.
    pub(super) async fn close(&self) -> Result<Option<Arc<Segment>>, LogError> {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let mut state = self.state.lock();
                if let Some(error) = &state.dead {
                    return Err(error.clone());
                }
                if state.queue.is_empty() && state.blocks.is_empty() && state.leaving.is_empty() {
                    state.dead = Some(LogError::Closed);
                    return Ok((state.active.blocks > 0).then(|| state.active.segment.clone()));
                }
            }
            settled.await;
        }
    }

    /// Takes as many blocks off the queue as may be on their way now: one if none is, else only full ones.
    fn take(&self, state: &mut State) -> Vec<Start> {
        let mut starts = Vec::new();
        while state.dead.is_none() && !state.queue.is_empty() {
            let full = state.queued_bytes >= self.shared.config.block_bytes_max;
            if state.busy > 0 && (!full || state.busy >= self.shared.config.uploads_max.max(1)) {
                break;
            }
            let (batches, bytes, records) = self.pick(state);
            if records > 0 {
                starts.extend(self.roll(state));
                starts.extend(self.cut(state, batches, bytes, records));
                continue;
            }
            // Batches without records: after everything before them.
            for queued in batches {
                match state.blocks.back_mut() {
                    Some(block) => block.acks.push((0, queued.ack)),
                    None => queued.ack.resolve(Ok(Vec::new())),
                }
            }
        }
        starts
    }

    /// The batches of the next block.
    fn pick(&self, state: &mut State) -> (Vec<Queued>, u64, u64) {
        let (mut batches, mut bytes, mut records) = (Vec::new(), 0, 0);
        while let Some(queued) = state.queue.front() {
            if bytes > 0 && bytes + queued.batch.bytes > self.shared.config.block_bytes_max {
                break;
            }
            bytes += queued.batch.bytes;
            records += queued.batch.records;
            batches.extend(state.queue.pop_front());
        }
        state.queued_bytes -= bytes;
        (batches, bytes, records)
    }

    /// Goes to the next segment if the active one has reached its end. As long as the next one is not there,
    /// the active one grows on: metadata that is away stops nobody.
    fn roll(&self, state: &mut State) -> Option<Start> {
        if !self.ends(&state.active) {
            return None;
        }
        match std::mem::replace(&mut state.next, Next::Asked) {
            Next::NotWanted => {
                self.ask_for_next(state);
                None
            }
            Next::Asked => None,
            Next::Ready(segment) => {
                state.next = Next::NotWanted;
                let left = std::mem::replace(&mut state.active, Active::new(segment));
                let footer = (left.unsettled == 0 && state.leaving.is_empty())
                    .then(|| Start::Footer(left.segment.clone()));
                state.leaving.push_back(left);
                footer
            }
        }
    }

    fn ends(&self, active: &Active) -> bool {
        let config = &self.shared.config;
        let age = active
            .first_write
            .map_or(Duration::ZERO, |first| self.shared.env.clock.monotonic().saturating_sub(first));
        active.blocks > 0 && (active.blocks >= config.roll_blocks_max || config.roll.ends(active.bytes, age))
    }

    /// Puts header and batches together.
    fn cut(&self, state: &mut State, batches: Vec<Queued>, bytes: u64, records: u64) -> Option<Start> {
        let started = self.shared.env.clock.monotonic();
        let active = &mut state.active;
        active.first_write.get_or_insert(started);
        let mut crc = Checksum::new();
        batches.iter().for_each(|queued| crc.combine(&queued.batch.crc));
        let header = BlockHeader {
            number: active.blocks as i32,
            first_entry: active.entries as i64,
            last_entry: (active.entries + records) as i64 - 1,
            length: bytes as u32,
            crc: crc.value(),
        };
        let mut parts = vec![Bytes::from(block::head(&header, 0))];
        let object_bytes = parts[0].len() as u64 + bytes;
        let next_entry = active.entries + records;
        let extent = Extent { first_entry: active.entries, next_entry, bytes: object_bytes };
        let mut acks = Vec::with_capacity(batches.len());
        for queued in batches {
            parts.extend(queued.batch.parts);
            acks.push((queued.batch.records, queued.ack));
        }
        let (segment, number) = (active.segment.clone(), active.blocks);
        active.blocks += 1;
        active.unsettled += 1;
        active.entries = next_entry;
        active.bytes += object_bytes;
        state.busy += 1;
        let index = state.first_block + state.blocks.len() as u64;
        // Invariant L4: nothing of a segment counts before its first block is there, and that one waits
        // until all blocks of the segment before are. The blocks behind it need not wait.
        let held = number == 0 && state.leaving.back().is_some_and(|left| left.unsettled > 0);
        let mut block = Block {
            segment: segment.clone(),
            number,
            extent,
            acks,
            batch_bytes: bytes,
            started,
            done: false,
            held: None,
        };
        let start = if held {
            block.held = Some(parts);
            None
        } else {
            Some(Start::Upload { block: index, segment: segment.id, number, parts })
        };
        state.blocks.push_back(block);
        if matches!(state.next, Next::NotWanted) && self.ends(&state.active) {
            self.ask_for_next(state);
        }
        start
    }

    fn ask_for_next(&self, state: &mut State) {
        state.next = Next::Asked;
        let _ = self.keeper.send(Chore::Prepare { id: state.active.segment.id + 1 });
    }

    /// Never called with the state locked.
    fn start(self: &Arc<Self>, starts: Vec<Start>) {
        for start in starts {
            let pipe = self.clone();
            match start {
                Start::Upload { block, segment, number, parts } => {
                    let upload = async move {
                        let outcome = pipe.upload(segment, number, &parts).await;
                        drop(parts);
                        pipe.uploaded(block, outcome);
                    };
                    self.shared.env.tasks.spawn("log upload", upload);
                }
                Start::Footer(segment) => {
                    let put = async move {
                        let outcome = pipe.put_footer(&segment).await;
                        pipe.left(&segment, outcome);
                    };
                    self.shared.env.tasks.spawn("log footer", put);
                }
            }
        }
    }

    async fn upload(&self, segment: u64, number: u64, parts: &[Bytes]) -> Result<(), LogError> {
        let path = self.shared.objects.block(Place { log: self.log, segment }, number);
        match self.shared.objects.create_while(&path, parts, &|| !self.is_dead()).await? {
            Created::Ours => Ok(()),
            // Invariant L3: a fence, or the block of another writer.
            Created::Other(_) => Err(LogError::Fenced),
        }
    }

    /// Writes the footer of a segment whose blocks are all durable.
    pub(super) async fn put_footer(&self, segment: &Segment) -> Result<(), LogError> {
        let path = self.shared.objects.footer(Place { log: self.log, segment: segment.id });
        let layout = segment.layout();
        match self.shared.objects.create(&path, &[layout.encode().into()]).await? {
            Created::Ours => {
                segment.finish(layout);
                Ok(())
            }
            Created::Other(_) => Err(LogError::Fenced),
        }
    }

    /// An upload has ended: answers what can be answered and begins what can be begun.
    fn uploaded(self: &Arc<Self>, index: u64, outcome: Result<(), LogError>) {
        let starts = {
            let mut state = self.state.lock();
            state.busy -= 1;
            if state.dead.is_some() {
                // Invariant L3: what ended after the fence may be there (L4), but gets no ack.
                Vec::new()
            } else if let Err(error) = outcome {
                self.metrics.failed();
                self.end(&mut state, error);
                Vec::new()
            } else {
                let at = (index - state.first_block) as usize;
                state.blocks[at].done = true;
                let mut starts = self.settle(&mut state);
                starts.extend(self.take(&mut state));
                starts
            }
        };
        self.settled.notify_waiters();
        self.start(starts);
    }

    /// Answers the blocks before which everything is durable, the footers of earlier segments too: who looks
    /// for an acknowledged record gets to its segment.
    fn settle(&self, state: &mut State) -> Vec<Start> {
        let mut starts = Vec::new();
        // Invariant L4: an ack only when every earlier block is there.
        while state.blocks.front().is_some_and(|block| block.done)
            && state.leaving.front().is_none_or(|left| left.unsettled > 0)
        {
            let Some(block) = state.blocks.pop_front() else { break };
            state.first_block += 1;
            let span = self.shared.env.clock.monotonic().saturating_sub(block.started);
            self.metrics.flushed(block.extent.next_entry - block.extent.first_entry, block.batch_bytes, span);
            // Readers see the records before their appender hears of them.
            block.segment.advance(block.number, block.extent);
            self.in_flight_bytes.fetch_sub(block.batch_bytes, Ordering::Relaxed);
            self.answer(block);
            let Some(left) = state.leaving.front_mut() else {
                state.active.unsettled -= 1;
                continue;
            };
            left.unsettled -= 1;
            if left.unsettled == 0 {
                starts.push(Start::Footer(left.segment.clone()));
                starts.extend(self.release(state));
            }
        }
        starts
    }

    fn answer(&self, block: Block) {
        let mut entry = block.extent.first_entry;
        for (records, ack) in block.acks {
            let ids = entry..entry + records;
            entry = ids.end;
            let id = |entry| MessageId::from_parts(self.shared.config.generation, block.segment.id, entry);
            ack.resolve(Ok(ids.map(id).collect()));
        }
    }

    /// A segment has its footer: blocks of the next one can be answered.
    fn left(self: &Arc<Self>, segment: &Arc<Segment>, outcome: Result<(), LogError>) {
        let starts = {
            let mut state = self.state.lock();
            if state.dead.is_some() {
                Vec::new()
            } else if let Err(error) = outcome {
                self.end(&mut state, error);
                Vec::new()
            } else {
                state.leaving.pop_front();
                let _ = self.keeper.send(Chore::Complete { segment: segment.clone() });
                let mut starts = self.settle(&mut state);
                starts.extend(self.take(&mut state));
                starts
            }
        };
        self.settled.notify_waiters();
        self.start(starts);
    }

    /// The first block of the next segment need not wait any more.
    fn release(&self, state: &mut State) -> Option<Start> {
        let first = state.first_block;
        let mut blocks = state.blocks.iter_mut().enumerate();
        let (at, block) = blocks.find(|(_, block)| block.held.is_some())?;
        let parts = block.held.take()?;
        Some(Start::Upload {
            block: first + at as u64,
            segment: block.segment.id,
            number: block.number,
            parts,
        })
    }
}
