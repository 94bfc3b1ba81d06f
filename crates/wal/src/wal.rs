//! The handle of one PChannel.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cinclus_catalog::Claim;
use cinclus_rpc::{AppendError, Appended};
use cinclus_types::message::{Draft, TxnContext};
use cinclus_types::{BroadcastId, MessageId, PChannel, Term, Tick, VChannel};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::append::admit::{self, Shape};
use crate::append::request::{ROOM_UNIT, Reply, Request, Work};
use crate::error::TruncateError;
use crate::proof::OwnershipProof;
use crate::scan::{ScanFilter, ScanFrom, Scanner};
use crate::shared::{Shared, WriterState};

/// A tick that lies further ahead than this is an error, not something to wait for.
const TICK_AHEAD_MAX: Duration = Duration::from_secs(10);

/// One PChannel under one term: append, read, ask for ticks. Clones are the same Wal; it is closed when
/// the last one is dropped, in good order only by [`Wal::close`].
#[derive(Clone)]
pub struct Wal {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
}

/// Counts a request as long as it lives.
struct Counted<'a>(&'a Shared);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.waiting_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Wal {
    pub(crate) fn new(shared: Arc<Shared>, queue: mpsc::Sender<Request>) -> Wal {
        let units =
            usize::try_from(units(shared.config.in_flight_bytes_max)).unwrap_or(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)));
        Wal { inner: Arc::new(Inner { shared, queue, room }) }
    }

    /// The PChannel.
    #[must_use]
    pub fn channel(&self) -> &PChannel {
        &self.inner.shared.channel
    }

    /// The term under which it is open.
    #[must_use]
    pub fn term(&self) -> Term {
        self.inner.shared.term
    }

    /// What checkpoints of this log are committed under as long as it is open here.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.inner.shared.claim
    }

    /// Waits until appends are served: after the open, and after each failure of the writer.
    ///
    /// # Errors
    /// Why they never will be.
    pub async fn ready(&self) -> Result<(), AppendError> {
        let mut state = self.inner.shared.state.subscribe();
        let settles = |state: &WriterState| matches!(state, WriterState::Ready | WriterState::Closed(_));
        // It is settled now, or the Wal is gone.
        state.wait_for(settles).await.map_err(|_| AppendError::Closing)?;
        drop(state);
        self.opened().await
    }

    /// As [`Wal::ready`], but also returns when the storage could not be opened for the writer, which goes on
    /// trying.
    ///
    /// # Errors
    /// Why appends never will be served, or [`AppendError::Unavailable`] or [`AppendError::DiskFull`]: why they
    /// are not at the moment.
    pub async fn opened(&self) -> Result<(), AppendError> {
        let mut state = self.inner.shared.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, WriterState::NotReady(_))).await;
        match settled.as_deref() {
            Ok(WriterState::Closed(error)) => Err(error.clone()),
            Ok(WriterState::Failing(reason)) => Err(AppendError::Unavailable(reason.clone())),
            Ok(WriterState::Full(reason)) => Err(AppendError::DiskFull(reason.clone())),
            Ok(WriterState::Ready | WriterState::NotReady(_)) => Ok(()),
            Err(_) => Err(AppendError::Closing),
        }
    }

    /// Appends drafts of one VChannel: one as it is, several as one transaction that is stored with one
    /// sync. Waits for room when more is in flight than allowed, and for the storage's ack.
    ///
    /// # Errors
    /// See [`AppendError`]; its advice says whether anything may have happened.
    pub async fn append(&self, batch: Vec<Draft>) -> Result<Appended, AppendError> {
        let shared = &self.inner.shared;
        admit::check(&batch, Shape::Batch, &shared.channel, &shared.config)?;
        let bytes = admit::bytes_of(&batch);
        self.submit(bytes, |reply| Work::Batch { drafts: batch, reply }).await
    }

    /// Begins a transaction that later calls add to. It expires when it gets no message for
    /// `keepalive`, counted in ticks.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn begin_txn(
        &self,
        vchannel: &VChannel,
        keepalive: Option<Duration>,
    ) -> Result<TxnContext, AppendError> {
        let config = &self.inner.shared.config;
        let keepalive = keepalive.filter(|span| !span.is_zero()).unwrap_or(config.txn_keepalive_default);
        if keepalive < Duration::from_millis(1) || keepalive > config.txn_keepalive_max {
            let max = config.txn_keepalive_max;
            return Err(AppendError::Invalid(format!(
                "a transaction's keep-alive is 1 ms to {max:?}, not {keepalive:?}"
            )));
        }
        if vchannel.pchannel() != *self.channel() {
            return Err(AppendError::Invalid(format!("{vchannel} is not a VChannel of {}", self.channel())));
        }
        let vchannel = vchannel.clone();
        self.submit(0, |reply| Work::Begin { vchannel, keepalive, reply }).await
    }

    /// Appends rows and deletes of an open transaction. The tick of the answer is not their effective
    /// one: that is the commit's.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append_in_txn(&self, txn: TxnContext, batch: Vec<Draft>) -> Result<Appended, AppendError> {
        let shared = &self.inner.shared;
        admit::check(&batch, Shape::Bodies, &shared.channel, &shared.config)?;
        let bytes = admit::bytes_of(&batch);
        self.submit(bytes, |reply| Work::Bodies { txn, drafts: batch, reply }).await
    }

    /// Commits a transaction: its messages become visible together at the tick of the answer. Asked
    /// again after an unknown result, it says what became of it.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn commit_txn(&self, vchannel: &VChannel, txn: TxnContext) -> Result<Appended, AppendError> {
        let vchannel = vchannel.clone();
        self.submit(0, |reply| Work::End { vchannel, txn, commit: true, reply }).await
    }

    /// Ends a transaction whose messages never become visible.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn rollback_txn(&self, vchannel: &VChannel, txn: TxnContext) -> Result<(), AppendError> {
        let vchannel = vchannel.clone();
        self.submit(0, |reply| Work::End { vchannel, txn, commit: false, reply }).await.map(|_| ())
    }

    /// Rolls back the open transactions that begin below an id, and answers a tick at which they are over. As long as
    /// they are open, whoever opens the log reads it from their begins on. Their clients are told
    /// [`AppendError::TxnRolledBack`]. A commit that was placed before wins.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn roll_back_below(&self, below: MessageId) -> Result<Tick, AppendError> {
        self.submit(0, |reply| Work::RollBackBelow { below, reply }).await
    }

    /// The published frontier: every message with an effective tick up to it is acknowledged.
    #[must_use]
    pub fn frontier(&self) -> Tick {
        *self.inner.shared.frontier.borrow()
    }

    /// Follows the published frontier.
    #[must_use]
    pub fn frontier_watch(&self) -> watch::Receiver<Tick> {
        self.inner.shared.frontier.subscribe()
    }

    /// Moves the frontier to `at` or further and says where it is. A tick a little ahead of the TSO is waited for.
    /// Nothing is stored if the frontier is there already, or if a fresh tick needs no record
    /// ([`OwnershipProof::covers_fresh_ticks`]); else a TimeTick is, one for all who wait.
    ///
    /// # Errors
    /// [`AppendError::Invalid`] at once for a tick far ahead; else why the log is not served, or not by this owner.
    pub async fn tick_at_least(&self, at: Tick) -> Result<Tick, AppendError> {
        let frontier = self.frontier();
        if frontier >= at {
            return Ok(frontier);
        }
        // After quick restarts ticks run ahead of the clock: each begins above all that might have been given.
        let now = Tick::from_unix_ms(self.inner.shared.env.clock.unix_ms()).max(frontier);
        if at > now.plus(TICK_AHEAD_MAX) {
            let ahead = at.unix_ms() - now.unix_ms();
            return Err(AppendError::Invalid(format!("the tick {at} lies {ahead} ms ahead of the clock")));
        }
        self.submit(0, |reply| Work::TickAtLeast { at, reply }).await
    }

    /// Proves that no later term was acknowledging when this was called.
    ///
    /// # Errors
    /// Why there is no proof.
    pub async fn prove(&self) -> Result<(), AppendError> {
        // Invariant Q3.
        match self.inner.shared.config.proof {
            OwnershipProof::Lock => Ok(()),
            OwnershipProof::OwnTicks | OwnershipProof::TimeTick => self.store_time_tick().await.map(drop),
        }
    }

    /// Stores a TimeTick, one for all who wait, and gives its tick: the proof that no later term was
    /// acknowledging when this was called (Q3).
    ///
    /// # Errors
    /// Why there is no proof.
    pub async fn store_time_tick(&self) -> Result<Tick, AppendError> {
        self.submit(0, |reply| Work::TimeTick { reply }).await
    }

    /// Reads the PChannel from some point on and follows it.
    #[must_use]
    pub fn scan(&self, from: ScanFrom, filter: ScanFilter) -> Scanner {
        Scanner::new(self.inner.shared.clone(), from, filter)
    }

    /// Lets go of the log below an id. Only for a point that was committed in the catalog under this
    /// Wal's term (L6).
    ///
    /// # Errors
    /// The storage did not; calling again is harmless.
    pub async fn truncate(&self, below: MessageId) -> Result<(), TruncateError> {
        let shared = &self.inner.shared;
        // Invariant W7. The caller took the point from a cut, so nothing that is needed lies below it.
        let truncated = shared.storage.truncate(&shared.channel, below).await;
        truncated.map_err(|error| TruncateError(error.to_string()))
    }

    /// A broadcast need not be remembered any more: the coordinator has persisted that all its
    /// acknowledgements are in (C2).
    pub fn forget_broadcast(&self, broadcast: BroadcastId) {
        self.inner.shared.forgotten.add(broadcast, &*self.inner.shared.env.clock);
    }

    /// Stops serving, waits for what is in flight within the configured bound, and closes the storage's
    /// writer. Readers get what was acknowledged, then an error.
    pub async fn close(&self) {
        let shared = &self.inner.shared;
        shared.closing.cancel();
        // The writer says when it is done, or gave up waiting.
        let mut state = shared.state.subscribe();
        let _ = state.wait_for(|state| matches!(state, WriterState::Closed(_))).await;
    }

    async fn submit<T>(&self, bytes: u64, work: impl FnOnce(Reply<T>) -> Work) -> Result<T, AppendError> {
        let shared = &self.inner.shared;
        if shared.closing.is_cancelled() {
            return Err(shared.closed().unwrap_or(AppendError::Closing));
        }
        if bytes > 0 && shared.closed().is_none() {
            // Before "not ready": a full storage is the better reason.
            shared.space.admit(bytes, &*shared.storage, &shared.env.clock).await?;
        }
        if let Some(refusal) = shared.refusal() {
            return Err(refusal);
        }
        let waiting = shared.waiting_requests.fetch_add(1, Ordering::Relaxed);
        let _counted = Counted(shared);
        let max = shared.config.queue_requests_max;
        if waiting >= max {
            return Err(AppendError::Overloaded(format!("{waiting} requests wait, the limit is {max}")));
        }
        let mut room = None;
        if bytes > 0 {
            let units = u32::try_from(units(bytes)).unwrap_or(u32::MAX);
            room = self.inner.room.clone().acquire_many_owned(units).await.ok();
        }
        let (reply, answer) = oneshot::channel();
        let request = Request { work: work(reply), room };
        if self.inner.queue.send(request).await.is_err() {
            return Err(shared.refusal().unwrap_or(AppendError::Closing));
        }
        let unknown = || AppendError::Unknown("the log's writer ended".to_owned());
        answer.await.unwrap_or_else(|_| Err(unknown()))
    }
}

fn units(bytes: u64) -> u64 {
    bytes.div_ceil(ROOM_UNIT)
}
