//! One open of the storage writer: from the first TimeTick to a failure or a close.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cinclus_log_storage::{LogError, LogWriter};
use cinclus_rpc::AppendError;
use cinclus_types::message::{Draft, body::TimeTickBody};
use cinclus_types::{MessageId, Tick};
use tokio::sync::mpsc;

use super::batch::{Batch, InFlight, PendingAnswer};
use super::gathered::Gathered;
use super::pace::Pace;
use super::place::{Live, Placer};
use super::publish::{KeysInFlight, Publisher, TickWaiters, fail};
use super::request::{Reply, Request};
use super::stamp::Stamper;
use crate::shard::{DedupLimits, SealPolicy};
use crate::shared::{Handover, Shared, WriterState};
use crate::tick::{Heartbeat, Ticks};

/// So many turns in a row may bring nobody back of those who were answered together, before the next batch goes.
const TURNS_IDLE: usize = 16;

/// How a session ended.
pub(crate) enum Ended {
    /// It was asked to end, and everything in flight was acknowledged in time.
    Closed,
    /// The storage failed.
    Failed(LogError),
}

/// The writer while it serves.
pub(crate) struct Session {
    pub(super) shared: Arc<Shared>,
    writer: Box<dyn LogWriter>,
    pub(super) live: Live,
    pub(super) stamper: Stamper,
    pub(super) keys: KeysInFlight,
    pub(super) in_flight: VecDeque<InFlight>,
    in_flight_bytes: u64,
    heartbeat: Heartbeat,
    /// A request that waits for ticks.
    held: Option<Request>,
    /// Requests behind it.
    gathered: Gathered,
    pace: Pace,
    pub(super) tick_waiters: TickWaiters,
    /// No tick is looked for again before this moment.
    pub(super) tick_retry_at: Duration,
    pub(super) proof_waiters: Vec<Reply<Tick>>,
    /// A TimeTick that somebody waits for is at the storage; who comes now waits for the next one.
    pub(super) proof_in_flight: bool,
    /// The first record of a term is a TimeTick; requests are served when it is acknowledged.
    first_tick_sent: bool,
    pub(super) ready: bool,
    buffer_check: Option<Duration>,
}

/// What woke the session.
enum Wake {
    Acked(Result<Vec<MessageId>, LogError>),
    Close,
    Ticks,
    Request(Box<Option<Request>>),
    Due,
}

impl Session {
    /// A session that begins where the feed stands, at the end of the storage.
    pub(crate) fn new(
        shared: Arc<Shared>,
        writer: Box<dyn LogWriter>,
        ticks: Ticks,
        from: Handover,
    ) -> Session {
        let live = Live::new(from.state, from.txns, SealPolicy::new(&shared.config));
        let stamper = Stamper { ticks, term: shared.term, last_acked: from.last };
        Session {
            heartbeat: Heartbeat::new(shared.config.time_tick_delay_max),
            shared,
            writer,
            live,
            stamper,
            keys: KeysInFlight::default(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            held: None,
            gathered: Gathered::default(),
            pace: Pace::default(),
            tick_waiters: Vec::new(),
            tick_retry_at: Duration::ZERO,
            proof_waiters: Vec::new(),
            proof_in_flight: false,
            first_tick_sent: false,
            ready: false,
            buffer_check: None,
        }
    }

    /// Serves until it is closed or the storage fails.
    pub(crate) async fn run(mut self, queue: &mut mpsc::Receiver<Request>) -> Ended {
        loop {
            self.do_what_is_due();
            self.serve_gathered(queue);
            match self.wait(queue).await {
                Wake::Acked(Ok(ids)) => {
                    let together = self.acked(&ids);
                    self.give_way(queue, together).await;
                }
                Wake::Acked(Err(error)) => return self.failed(error),
                Wake::Close => return self.close(queue).await,
                Wake::Ticks => self.fetched(),
                Wake::Due => {}
                Wake::Request(request) => match *request {
                    Some(request) => self.take(request),
                    None => return self.close(queue).await,
                },
            }
        }
    }

    async fn wait(&mut self, queue: &mut mpsc::Receiver<Request>) -> Wake {
        let now = self.now();
        let takes = self.takes();
        let due = self.next_due(now);
        let Session { shared, in_flight, stamper, .. } = self;
        tokio::select! {
            biased;
            acked = next_ack(in_flight) => Wake::Acked(acked),
            () = shared.closing.cancelled() => Wake::Close,
            fetched = stamper.ticks.fetched(now) => {
                if let Err(error) = fetched {
                    tracing::warn!(channel = %shared.channel, %error, "no ticks were granted");
                    self.no_ticks(&error.to_string());
                }
                Wake::Ticks
            }
            request = queue.recv(), if takes => Wake::Request(Box::new(request)),
            () = sleep_until(shared, due) => Wake::Due,
        }
    }

    /// Whether there is room for more.
    fn takes(&self) -> bool {
        let room = self.in_flight_bytes < self.shared.config.in_flight_bytes_max;
        self.held.is_none() && self.ready && room
    }

    fn is_at_storage(&self) -> bool {
        self.in_flight.iter().any(|flight| flight.ack.is_some())
    }

    fn take(&mut self, request: Request) {
        if request.work.is_about_ticks() {
            self.place_request(request, &mut Batch::default());
        } else {
            self.gathered.push(request);
        }
    }

    fn take_waiting(&mut self, queue: &mut mpsc::Receiver<Request>) {
        while self.gathered.bytes() < self.shared.config.batch_bytes_max
            && let Ok(request) = queue.try_recv()
        {
            self.take(request);
        }
    }

    /// Lets callers that were answered together append again before the next batch goes. Else half of them
    /// would always wait for the other half, and each batch would be half as large as it could be.
    async fn give_way(&mut self, queue: &mut mpsc::Receiver<Request>, together: usize) {
        let mut idle = 0;
        while self.gathered.len() < together && idle < TURNS_IDLE {
            let before = self.gathered.len();
            tokio::task::yield_now().await;
            self.take_waiting(queue);
            idle = if self.gathered.len() == before { idle + 1 } else { 0 };
        }
    }

    /// Takes what waits through the stages and sends it off together, unless it is little and an ack will
    /// come that more can wait for.
    fn serve_gathered(&mut self, queue: &mut mpsc::Receiver<Request>) {
        while self.gathered.len() > 0 && self.takes() {
            if self.pace.waits() && self.is_at_storage() && !self.gathered.are_enough() {
                return;
            }
            self.take_waiting(queue);
            self.serve();
        }
    }

    fn serve(&mut self) {
        let clock = &*self.shared.env.clock;
        self.shared
            .forgotten
            .for_writer(clock, |broadcast| self.live.state.dedup.forget_broadcast(broadcast));
        let mut batch = Batch::default();
        while batch.bytes < self.shared.config.batch_bytes_max
            && let Some(request) = self.gathered.pop()
        {
            let busy = request.work.ticks_max() + self.live.txns.len() as u64 + 8;
            if request.work.ticks_max() > 0 && !self.stamper.ticks.prepare(busy, self.now()) {
                self.held = Some(request);
                break;
            }
            self.place_request(request, &mut batch);
        }
        self.store(batch);
    }

    pub(super) fn placer<'a>(&'a mut self, batch: &'a mut Batch) -> Placer<'a> {
        let (now, frontier) = (self.now(), self.frontier());
        Placer { live: &mut self.live, stamper: &mut self.stamper, batch, now, frontier }
    }

    pub(super) fn now(&self) -> Duration {
        self.shared.env.clock.monotonic()
    }

    /// Up to here everything is stored.
    pub(super) fn frontier(&self) -> Tick {
        *self.shared.frontier.borrow()
    }

    /// Puts a TimeTick in front of a batch when one has come due enough.
    pub(super) fn ride_along(&mut self, batch: &mut Batch) {
        if batch.placed.is_empty() && self.heartbeat.rides_along(self.now()) {
            self.time_tick(batch);
        }
    }

    pub(super) fn time_tick(&mut self, batch: &mut Batch) -> Tick {
        let mut placer = self.placer(batch);
        let payload = TimeTickBody::encode_at(placer.peek());
        let (tick, _) = placer.put(Draft::time_tick(payload));
        self.heartbeat.covered();
        tick
    }

    /// Hands a batch to the storage, with the Flush of every segment that is to be closed.
    pub(super) fn store(&mut self, mut batch: Batch) {
        self.placer(&mut batch).flush_due();
        if batch.placed.is_empty() {
            if !batch.answers.is_empty() {
                self.publish_later(batch.answers, self.stamper.ticks.last());
            }
            return;
        }
        let only_ticks = batch.placed.iter().all(|(placed, _)| placed.draft().vchannel.is_none());
        if !only_ticks {
            self.heartbeat.stamped(self.now());
        }
        self.in_flight_bytes += batch.bytes;
        self.shared.metrics.sent(batch.placed.len(), batch.bytes);
        let ack = self.writer.append(batch.records);
        let frontier = self.stamper.ticks.last();
        let (placed, answers) = (batch.placed, batch.answers);
        let sent_at = self.now();
        self.pace.sent(sent_at);
        self.in_flight.push_back(InFlight { ack: Some(ack), placed, frontier, answers, sent_at });
    }

    /// Publishes the oldest batch in flight. How many the next one waits for: those who were answered, and those who
    /// wait already.
    fn acked(&mut self, ids: &[MessageId]) -> usize {
        let now = self.now();
        let Some(flight) = self.in_flight.pop_front() else { return 0 };
        let all = flight.answers.len() + self.gathered.len();
        let together = all > 1 && self.pace.waits() && !self.is_at_storage();
        if together {
            self.pace.answered_together(now, now.saturating_sub(flight.sent_at));
        }
        self.in_flight_bytes -= flight.placed.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let stored_tick = flight.placed.iter().any(|(placed, _)| placed.draft().vchannel.is_none());
        if !flight.placed.is_empty() {
            self.shared.metrics.acked(now.saturating_sub(flight.sent_at));
        }
        self.shared.metrics.stands(flight.frontier, self.live.txns.len());
        let limits = DedupLimits::of(&self.shared.config);
        let mut publisher = Publisher {
            shared: &self.shared,
            live: &mut self.live,
            stamper: &mut self.stamper,
            keys: &mut self.keys,
            limits,
            now,
        };
        publisher.publish(flight, ids);
        if self.buffer_check.is_none() {
            self.buffer_check = Some(now + self.shared.config.buffer_age_max);
        }
        if stored_tick {
            self.proof_in_flight = false;
            if !self.ready {
                self.ready = true;
                self.shared.set_state(WriterState::Ready);
            }
        }
        if together { all } else { 0 }
    }

    /// Everything whose time has come, as far as ticks are in hand.
    fn do_what_is_due(&mut self) {
        let now = self.now();
        self.send_time_tick(now);
        if let Some(request) = self.held.take() {
            let needs = request.work.ticks_max() + self.live.txns.len() as u64 + 8;
            if self.stamper.ticks.prepare(needs, now) {
                let mut batch = Batch::default();
                self.place_request(request, &mut batch);
                self.store(batch);
            } else {
                self.held = Some(request);
            }
        }
        // What was just sent may be all that they wait for.
        self.answer_tick_waiters(now);
        let clock_tick = Tick::from_unix_ms(self.shared.env.clock.unix_ms());
        if self.live.assigner.next_check().is_some_and(|check| check <= clock_tick) {
            self.live.assigner.check(&self.live.state, clock_tick);
        }
        if self.ready && self.live.can_flush() {
            let ready = self.stamper.ticks.prepare(1, now);
            if ready {
                self.store(Batch::default());
            }
        }
        if self.buffer_check.is_some_and(|check| check <= now) {
            self.buffer_check = self.shared.buffer.evict_aged(now);
        }
    }

    /// The first TimeTick of the session, one that is due, or the proof that somebody waits for.
    fn send_time_tick(&mut self, now: Duration) {
        let proof = self.ready && !self.proof_in_flight && !self.proof_waiters.is_empty();
        let due = self.heartbeat.due_at().is_some_and(|due| due <= now);
        if !(proof || due || !self.first_tick_sent) || !self.stamper.ticks.prepare(1, now) {
            return;
        }
        self.first_tick_sent = true;
        let mut batch = Batch::default();
        let tick = self.time_tick(&mut batch);
        if proof {
            // Invariant Q3. Everyone who waits asked before this was sent.
            self.proof_in_flight = true;
            let replies = std::mem::take(&mut self.proof_waiters);
            batch.answers.push(PendingAnswer::Ticked { replies, tick });
        }
        self.store(batch);
    }

    /// Gives answers, and moves the frontier, when everything in flight is stored.
    pub(super) fn publish_later(&mut self, answers: Vec<PendingAnswer>, frontier: Tick) {
        let (placed, sent_at) = (Vec::new(), self.now());
        self.in_flight.push_back(InFlight { ack: None, placed, frontier, answers, sent_at });
    }

    /// When something is due that nothing else wakes the session for.
    fn next_due(&self, now: Duration) -> Option<Duration> {
        const SOON: Duration = Duration::from_millis(1);
        let clock_ms = self.shared.env.clock.unix_ms();
        let until =
            |tick: Tick| now + Duration::from_millis(tick.unix_ms().saturating_sub(clock_ms)).max(SOON);
        let seal = self.live.assigner.next_check().map(until);
        let waiter = self.next_tick_waiter().map(|at| until(at).max(self.tick_retry_at));
        let heartbeat = self.heartbeat.due_at();
        let wants_ticks = self.held.is_some()
            || !self.first_tick_sent
            || !self.proof_waiters.is_empty()
            || heartbeat.is_some_and(|due| due <= now)
            || self.live.can_flush();
        let retry = self.stamper.ticks.retry_at().filter(|_| wants_ticks).map(|at| at.max(now + SOON));
        let heartbeat = heartbeat.filter(|due| *due > now);
        [seal, waiter, heartbeat, retry, self.buffer_check].into_iter().flatten().min()
    }

    /// The source grants nothing: what waits for ticks is refused, for nothing of it was stamped.
    fn no_ticks(&mut self, reason: &str) {
        if let Some(request) = self.held.take() {
            request.work.refuse(AppendError::Unavailable(format!("no ticks: {reason}")));
        }
    }

    fn failed(mut self, error: LogError) -> Ended {
        let text = error.to_string();
        // The state first: whoever is told "unknown" and asks again finds it so.
        self.shared.set_state(match self.ready {
            true => WriterState::NotReady(text.clone()),
            false => WriterState::after_failed_open(&error),
        });
        self.refuse_waiting(&AppendError::NotReady(text.clone()));
        fail(self.in_flight, self.keys, &text);
        Ended::Failed(error)
    }

    fn refuse_waiting(&mut self, error: &AppendError) {
        if let Some(request) = self.held.take() {
            request.work.refuse(error.clone());
        }
        while let Some(request) = self.gathered.pop() {
            request.work.refuse(error.clone());
        }
        let ticks = self.tick_waiters.drain(..).map(|(_, reply)| reply);
        for reply in ticks.chain(self.proof_waiters.drain(..)) {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// Waits for what is in flight, within the bound, and ends the storage writer in good order.
    async fn close(mut self, queue: &mut mpsc::Receiver<Request>) -> Ended {
        queue.close();
        while let Ok(request) = queue.try_recv() {
            request.work.refuse(AppendError::Closing);
        }
        self.refuse_waiting(&AppendError::Closing);
        let now = self.now();
        if self.heartbeat.due_at().is_some() && self.stamper.ticks.prepare(1, now) {
            let mut batch = Batch::default();
            self.time_tick(&mut batch);
            self.store(batch);
        }
        let (clock, bound) = (self.shared.env.clock.clone(), self.shared.config.close_timeout);
        let drained = cinclus_env::timeout(&*clock, bound, async {
            while !self.in_flight.is_empty() {
                let ids = next_ack(&mut self.in_flight).await?;
                self.acked(&ids);
            }
            Ok::<(), LogError>(())
        });
        let drained = drained.await;
        if !matches!(drained, Ok(Ok(()))) {
            fail(self.in_flight, self.keys, "the log was closed");
            return Ended::Closed;
        }
        match cinclus_env::timeout(&*clock, bound, self.writer.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(channel = %self.shared.channel, %error, "closing the log"),
            Err(_) => tracing::warn!(channel = %self.shared.channel, "the log did not close in time"),
        }
        Ended::Closed
    }
}

/// The ack of the oldest batch in flight. Nothing is lost when this is dropped half way.
async fn next_ack(in_flight: &mut VecDeque<InFlight>) -> Result<Vec<MessageId>, LogError> {
    match in_flight.front_mut() {
        None => std::future::pending().await,
        Some(InFlight { ack: None, .. }) => Ok(Vec::new()),
        Some(InFlight { ack: Some(ack), .. }) => ack.await,
    }
}

async fn sleep_until(shared: &Shared, due: Option<Duration>) {
    match due {
        Some(due) => shared.env.clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}
