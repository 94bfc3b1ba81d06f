//! What the parts of one Wal share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use cinclus_catalog::Claim;
use cinclus_env::{Clock, Env};
use cinclus_log_storage::{LogError, LogStorage};
use cinclus_rpc::AppendError;
use cinclus_types::{BroadcastId, MessageId, PChannel, Term, Tick};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::append::space::SpaceGauge;
use crate::buffer::WriteAheadBuffer;
use crate::config::WalConfig;
use crate::metrics::WalMetrics;
use crate::shard::ShardState;
use crate::txn::TxnTable;

/// How the writer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriterState {
    /// Not yet, or not at the moment; why.
    NotReady(String),
    /// The storage could not be opened again after a failure, nobody knows for how long; why.
    Failing(String),
    /// As [`WriterState::Failing`], for want of space: it is known what to wait for, and until then appends are
    /// refused for that (see [`SpaceGauge`]).
    Full(String),
    /// Appends are served.
    Ready,
    /// For good; what an append is answered with.
    Closed(AppendError),
}

impl WriterState {
    /// The storage could not be opened again.
    pub(crate) fn after_failed_open(error: &LogError) -> WriterState {
        if matches!(error, LogError::OutOfSpace { .. }) {
            WriterState::Full(error.to_string())
        } else {
            WriterState::Failing(error.to_string())
        }
    }
}

/// What the feed hands to a writer that (re-)opens: everything that the log says up to its end.
pub(crate) struct Handover {
    /// The recovered state.
    pub state: ShardState,
    /// The transactions that are open at the end.
    pub txns: TxnTable,
    /// The last record, if the feed has read one.
    pub last: Option<MessageId>,
    /// Where the next record will stand, at the least.
    pub next: MessageId,
    /// The greatest tick that was read or that a checkpoint covers.
    pub tick: Tick,
}

/// How long a broadcast is remembered after it may be forgotten: an append of it that was sent before, and whose
/// answer nobody waited for, may still be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(600);

/// Broadcasts to be forgotten by both instances of the state, each in its own time.
#[derive(Default)]
pub(crate) struct Forgotten {
    feed: Mutex<Forgettable>,
    writer: Mutex<Forgettable>,
}

/// Broadcasts, and since when they may be forgotten.
type Forgettable = VecDeque<(Duration, BroadcastId)>;

impl Forgotten {
    pub(crate) fn add(&self, broadcast: BroadcastId, clock: &dyn Clock) {
        let now = clock.monotonic();
        self.feed.lock().push_back((now, broadcast));
        self.writer.lock().push_back((now, broadcast));
    }

    pub(crate) fn for_feed(&self, clock: &dyn Clock, forget: impl FnMut(BroadcastId)) {
        drain(&mut self.feed.lock(), clock, forget);
    }

    pub(crate) fn for_writer(&self, clock: &dyn Clock, forget: impl FnMut(BroadcastId)) {
        drain(&mut self.writer.lock(), clock, forget);
    }
}

/// Invariant C2: what may come again is known until it cannot.
fn drain(broadcasts: &mut Forgettable, clock: &dyn Clock, mut forget: impl FnMut(BroadcastId)) {
    while let Some((since, broadcast)) = broadcasts.front().copied()
        && since + ON_ITS_WAY <= clock.monotonic()
    {
        broadcasts.pop_front();
        forget(broadcast);
    }
}

/// Shared by a Wal, its writer, its feed and its scanners.
pub(crate) struct Shared {
    pub channel: PChannel,
    pub term: Term,
    /// The opening in the catalog.
    pub claim: Claim,
    pub config: WalConfig,
    pub env: Env,
    pub storage: Arc<dyn LogStorage>,
    pub metrics: WalMetrics,
    pub buffer: WriteAheadBuffer,
    pub space: SpaceGauge,
    pub state: watch::Sender<WriterState>,
    /// The published frontier.
    pub frontier: watch::Sender<Tick>,
    /// Counts everything that a waiting reader may want to look at.
    pub news: watch::Sender<u64>,
    /// A writer waits for the feed to reach the end of the storage.
    pub handover: Mutex<Option<oneshot::Sender<Handover>>>,
    /// Ends the writer.
    pub closing: CancellationToken,
    /// Everything below is known to be durable.
    pub acknowledged: Mutex<MessageId>,
    /// Broadcasts that need not be remembered any more.
    pub forgotten: Forgotten,
    /// Append requests that wait for room, wait in the queue, or are in flight.
    pub waiting_requests: AtomicUsize,
}

impl Shared {
    /// Wakes every waiting reader.
    pub(crate) fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }

    /// Changes the writer's state. One that is closed for good stays closed.
    pub(crate) fn set_state(&self, state: WriterState) {
        self.state.send_if_modified(|current| {
            if matches!(current, WriterState::Closed(_)) || *current == state {
                return false;
            }
            *current = state;
            true
        });
        self.tell();
    }

    /// What an append is answered with at the moment, if it is not served.
    pub(crate) fn refusal(&self) -> Option<AppendError> {
        match &*self.state.borrow() {
            WriterState::Ready => None,
            WriterState::NotReady(reason) | WriterState::Full(reason) => {
                Some(AppendError::NotReady(reason.clone()))
            }
            WriterState::Failing(reason) => Some(AppendError::Unavailable(reason.clone())),
            WriterState::Closed(error) => Some(error.clone()),
        }
    }

    /// Why a reader at the end gets nothing more, if so.
    pub(crate) fn closed(&self) -> Option<AppendError> {
        match &*self.state.borrow() {
            WriterState::Ready
            | WriterState::NotReady(_)
            | WriterState::Failing(_)
            | WriterState::Full(_) => None,
            WriterState::Closed(error) => Some(error.clone()),
        }
    }

    /// Everything below `next` is durable.
    pub(crate) fn acknowledge(&self, next: MessageId) {
        let mut acknowledged = self.acknowledged.lock();
        *acknowledged = next.max(*acknowledged);
    }
}
