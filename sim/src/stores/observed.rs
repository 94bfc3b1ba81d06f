//! Looks at a log storage from outside: keeps what is truncated, and watches who gets acknowledgements.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::TaskGroup;
use cinclus_log_storage::{
    AckSender, AppendAck, DynLogStorage, LogError, LogReader, LogStorage, LogWriter, OpenOptions, Record,
};
use cinclus_types::{MessageId, PChannel, Term};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::archive::Archive;
use crate::checkers::Finding;
use crate::checkers::bounds::Opened;
use crate::scene::Scene;
use crate::stores::checkpoints::Checkpoints;
use crate::world::World;

/// What was seen of the writers of all logs over all lives. Clones are the same.
#[derive(Clone, Default)]
pub struct Writers(Arc<Mutex<WritersSeen>>);

/// The newest writer of a log.
#[derive(Clone, Copy)]
struct Newest {
    number: u64,
    term: Term,
    /// The time of its life.
    since: Duration,
}

#[derive(Default)]
struct WritersSeen {
    opened: u64,
    newest: BTreeMap<PChannel, Newest>,
    acked: BTreeMap<PChannel, MessageId>,
    findings: Vec<Finding>,
    acks: u64,
    openings: Vec<Opened>,
    /// Writers of one log are in processes of their own: acknowledgements travel.
    apart: bool,
    /// The first and the last record that each writer was acknowledged.
    acked_by: BTreeMap<(PChannel, u64), (MessageId, MessageId)>,
}

impl Writers {
    fn opened(&self, opened: Opened, since: Duration) -> u64 {
        let seen = &mut *self.0.lock();
        let (channel, term) = (&opened.channel.clone(), opened.term);
        seen.openings.push(opened);
        seen.opened += 1;
        let newest = seen.newest.get(channel).map(|newest| newest.term).filter(|newest| *newest > term);
        // The answer to an opening travels as well: that of the writer before may come last.
        if newest.is_none() || !seen.apart {
            seen.newest.insert(channel.clone(), Newest { number: seen.opened, term, since });
        }
        if let Some(newest) = newest.filter(|_| !seen.apart) {
            let text = format!("{channel}: a writer of term {term} was opened after one of {newest}");
            seen.findings.push(Finding::new("W3", text));
        }
        seen.opened
    }

    /// From now on writers of one log are in processes of their own. What was stored before another was open may be
    /// acknowledged after that; what is sent after that may not.
    pub fn set_apart(&self) {
        self.0.lock().apart = true;
    }

    /// The fencing rule as it can be seen from outside: a writer that is not the newest gets no
    /// acknowledgement, and ids only grow. What happens at one instant is seen in any order: it is not judged.
    fn acked(&self, channel: &PChannel, (writer, sent, now): (u64, Duration, Duration), ids: &[MessageId]) {
        let seen = &mut *self.0.lock();
        seen.acks += 1;
        if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
            let by = seen.acked_by.entry((channel.clone(), writer)).or_insert((*first, *last));
            *by = (by.0.min(*first), by.1.max(*last));
        }
        let now = if seen.apart { sent } else { now };
        let apart = seen.apart;
        let mut say = |text| seen.findings.push(Finding::new("W3", text));
        let other = seen.newest.get(channel).filter(|newest| newest.number != writer && newest.since < now);
        if let Some(Newest { number, term, .. }) = other {
            say(format!(
                "{channel}: writer {writer} was acknowledged {ids:?} after {number} of {term} was open"
            ));
        }
        for id in ids {
            let before = seen.acked.insert(channel.clone(), *id);
            if before.is_some_and(|before| before >= *id) && !apart {
                say(format!("{channel}: {id} was acknowledged after {before:?}"));
            }
        }
    }

    /// All openings in their order.
    #[must_use]
    pub fn openings(&self) -> Vec<Opened> {
        self.0.lock().openings.clone()
    }

    fn forgets(&self, channel: &PChannel, upto: MessageId, allowed: MessageId) {
        if upto > allowed {
            let text = format!("{channel} is to forget all below {upto}, the catalog says {allowed}");
            self.0.lock().findings.push(Finding::new("W7", text));
        }
    }

    /// What was wrong, and how many acknowledgements were looked at.
    #[must_use]
    pub fn findings(&self) -> (Vec<Finding>, u64) {
        let seen = self.0.lock();
        let mut findings = seen.findings.clone();
        for (((channel, one), (_, last)), ((of, other), (first, _))) in
            seen.acked_by.iter().zip(seen.acked_by.iter().skip(1))
        {
            if channel == of && last >= first {
                let text =
                    format!("{channel}: writer {one} was acknowledged {last}, {other} after it {first}");
                findings.push(Finding::new("W3", text));
            }
        }
        (findings, seen.acks)
    }
}

/// A storage that is looked at.
pub struct ObservedLog {
    /// The storage itself.
    pub inner: DynLogStorage,
    /// Keeps what is truncated.
    pub archive: Archive,
    /// What may be forgotten.
    pub checkpoints: Checkpoints,
    /// Who was acknowledged.
    pub writers: Writers,
    /// The number of the life.
    pub life: u64,
    /// Notes what happens.
    pub scene: Scene,
    /// Where acknowledgements are handed on.
    pub tasks: TaskGroup,
}

impl ObservedLog {
    /// Looks at a storage, broken if it is to be, in a life with these tasks.
    #[must_use]
    pub fn of(world: &World, scene: &Scene, logs: &DynLogStorage, tasks: TaskGroup) -> ObservedLog {
        ObservedLog {
            inner: world.mutated(logs),
            archive: world.archive.clone(),
            checkpoints: world.checkpoints.clone(),
            writers: world.writers.clone(),
            life: world.past.lock().lives,
            scene: scene.clone(),
            tasks,
        }
    }
}

#[async_trait]
impl LogStorage for ObservedLog {
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError> {
        let inner = self.inner.open_writer(channel, options).await?;
        let resume = self.checkpoints.newest(channel).map(|newest| newest.checkpoint.resume);
        let opened = Opened {
            life: self.life,
            channel: channel.clone(),
            term: options.term,
            resume: resume.unwrap_or_default(),
        };
        let number = self.writers.opened(opened, self.scene.clock.monotonic());
        let (acks, queue) = mpsc::unbounded_channel();
        let seen = Seen {
            channel: channel.clone(),
            number,
            writers: self.writers.clone(),
            scene: self.scene.clone(),
        };
        self.tasks.spawn("observed acks", seen.hand_on(queue));
        Ok(Box::new(ObservedWriter { inner, acks, scene: self.scene.clone() }))
    }

    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError> {
        self.inner.read(channel, from).await
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        self.writers.forgets(channel, upto, self.checkpoints.forgettable(channel));
        self.archive.read(&self.inner, channel).await?;
        self.inner.truncate(channel, upto).await
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

/// One writer, as it is looked at.
struct Seen {
    channel: PChannel,
    number: u64,
    writers: Writers,
    scene: Scene,
}

impl Seen {
    /// Hands acknowledgements on in their order.
    async fn hand_on(self, mut queue: mpsc::UnboundedReceiver<Sent>) {
        while let Some(Sent { inner, outer, at }) = queue.recv().await {
            let outcome = inner.await;
            self.scene.note(format_args!("{} writer {} ack {outcome:?}", self.channel, self.number));
            if let Ok(ids) = &outcome {
                let now = self.scene.clock.monotonic();
                self.writers.acked(&self.channel, (self.number, at, now), ids);
            }
            outer.resolve(outcome);
        }
    }
}

/// A batch on its way.
struct Sent {
    inner: AppendAck,
    outer: AckSender,
    at: Duration,
}

struct ObservedWriter {
    inner: Box<dyn LogWriter>,
    acks: mpsc::UnboundedSender<Sent>,
    scene: Scene,
}

#[async_trait]
impl LogWriter for ObservedWriter {
    fn append(&mut self, batch: Vec<Record>) -> AppendAck {
        let (outer, ack) = AppendAck::pair();
        // The task ends only with the life; the ack then says so by itself.
        let at = self.scene.clock.monotonic();
        let _ = self.acks.send(Sent { inner: self.inner.append(batch), outer, at });
        ack
    }

    fn in_flight_bytes(&self) -> u64 {
        self.inner.in_flight_bytes()
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        self.inner.close().await
    }
}
