//! A storage that fails as told, around any other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{DynClock, Env, Random, TaskGroup};
use cinclus_types::{MessageId, PChannel};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::ack::{AckSender, AppendAck};
use crate::error::LogError;
use crate::record::{Record, StoredRecord};
use crate::storage::{DynLogStorage, LogReader, LogStorage, LogWriter, OpenOptions};

/// How often what fails. Chances go from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultPlan {
    /// An append that never reaches the storage.
    pub append_before: f64,
    /// An append that reaches the storage, and whose answer is lost.
    pub append_after: f64,
    /// An open that never reaches the storage.
    pub open_before: f64,
    /// An open that has fenced everybody, and whose writer is lost.
    pub open_after: f64,
    /// A read that fails.
    pub read: f64,
    /// A truncation that is done, and whose answer is lost.
    pub truncate_after: f64,
    /// The longest that an ack takes beyond what the storage takes, on the environment's clock.
    pub ack_delay_max: Duration,
}

/// Wraps a storage; which calls fail is decided by the seed. The rules L1–L7 hold for it too: a lost
/// answer kills the writer.
pub struct FaultyLogStorage {
    inner: DynLogStorage,
    shared: Arc<Shared>,
}

struct Shared {
    plan: Mutex<FaultPlan>,
    random: Random,
    clock: DynClock,
    tasks: TaskGroup,
}

impl Shared {
    fn fails(&self, chance: impl Fn(&FaultPlan) -> f64) -> Result<(), LogError> {
        let chance = chance(&self.plan.lock());
        if chance > 0.0 && self.random.chance(chance) { Err(injected()) } else { Ok(()) }
    }

    fn ack_delay(&self) -> Duration {
        let max = self.plan.lock().ack_delay_max;
        if max.is_zero() { max } else { max.mul_f64(self.random.fraction()) }
    }
}

fn injected() -> LogError {
    LogError::Unavailable("injected".to_owned())
}

impl FaultyLogStorage {
    /// Wraps a storage. Nothing fails until [`FaultyLogStorage::set_plan`].
    #[must_use]
    pub fn new(inner: DynLogStorage, env: &Env) -> FaultyLogStorage {
        let shared = Arc::new(Shared {
            plan: Mutex::default(),
            random: env.random.fork("faulty log storage"),
            clock: env.clock.clone(),
            tasks: env.tasks.clone(),
        });
        FaultyLogStorage { inner, shared }
    }

    /// Changes what fails from now on.
    pub fn set_plan(&self, plan: FaultPlan) {
        *self.shared.plan.lock() = plan;
    }
}

#[async_trait]
impl LogStorage for FaultyLogStorage {
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError> {
        self.shared.fails(|plan| plan.open_before)?;
        let inner = self.inner.open_writer(channel, options).await?;
        self.shared.fails(|plan| plan.open_after)?;
        let (answers, queue) = mpsc::unbounded_channel();
        let clock = self.shared.clock.clone();
        self.shared.tasks.spawn("faulty log acks", forward(queue, clock));
        Ok(Box::new(FaultyWriter { inner, shared: self.shared.clone(), answers, dead: false }))
    }

    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError> {
        self.shared.fails(|plan| plan.read)?;
        let inner = self.inner.read(channel, from).await?;
        Ok(Box::new(FaultyReader { inner, shared: self.shared.clone() }))
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        self.inner.truncate(channel, upto).await?;
        self.shared.fails(|plan| plan.truncate_after)
    }

    async fn earliest(&self, channel: &PChannel) -> Result<MessageId, LogError> {
        self.inner.earliest(channel).await
    }

    async fn channels(&self) -> Result<Vec<PChannel>, LogError> {
        self.inner.channels().await
    }

    async fn available_bytes(&self) -> Result<Option<u64>, LogError> {
        self.inner.available_bytes().await
    }
}

/// An ack on its way to the caller: late, and perhaps lost.
struct Answer {
    inner: AppendAck,
    outer: AckSender,
    delay: Duration,
    lost: bool,
}

struct FaultyWriter {
    inner: Box<dyn LogWriter>,
    shared: Arc<Shared>,
    answers: mpsc::UnboundedSender<Answer>,
    dead: bool,
}

/// One task a writer hands answers on, so they stay in order (L2); after a lost one all are errors (L7).
async fn forward(mut queue: mpsc::UnboundedReceiver<Answer>, clock: DynClock) {
    let mut dead = false;
    while let Some(answer) = queue.recv().await {
        let outcome = answer.inner.await;
        clock.sleep(answer.delay).await;
        dead |= answer.lost;
        answer.outer.resolve(if dead { Err(injected()) } else { outcome });
    }
}

#[async_trait]
impl LogWriter for FaultyWriter {
    fn append(&mut self, batch: Vec<Record>) -> AppendAck {
        // Invariant L7: nothing follows a failure.
        self.dead |= self.shared.fails(|plan| plan.append_before).is_err();
        let inner = if self.dead { AppendAck::ready(Err(injected())) } else { self.inner.append(batch) };
        let lost = !self.dead && self.shared.fails(|plan| plan.append_after).is_err();
        self.dead |= lost;
        let (outer, ack) = AppendAck::pair();
        let delay = self.shared.ack_delay();
        // The task ends only with the process; the ack then says so by itself.
        let _ = self.answers.send(Answer { inner, outer, delay, lost });
        ack
    }

    fn in_flight_bytes(&self) -> u64 {
        self.inner.in_flight_bytes()
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        self.inner.close().await
    }
}

struct FaultyReader {
    inner: Box<dyn LogReader>,
    shared: Arc<Shared>,
}

#[async_trait]
impl LogReader for FaultyReader {
    async fn next(&mut self) -> Result<Option<StoredRecord>, LogError> {
        self.shared.fails(|plan| plan.read)?;
        self.inner.next().await
    }

    async fn next_batch(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        self.shared.fails(|plan| plan.read)?;
        self.inner.next_batch().await
    }
}
