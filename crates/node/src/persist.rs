//! Persisting: what the pump has applied goes to object storage, then the catalog and the checkpoint say
//! so in one transaction, then the log is truncated, except for what is kept for readers.
//!
//! A round takes everything up to the pump's position: every growing segment's rows that no chunk holds,
//! and every delete that no delete file holds. So after a round the log is replayed from its position,
//! whatever single VChannels do. Small runs of rows share one tail file. One round is under way at a time;
//! the pump goes on meanwhile.

use std::time::Duration;

use cinclus_env::{DynClock, mutated};
use cinclus_types::message::Header;
use cinclus_types::{Checkpoint, MessageId, SegmentId, Tick, VChannel};
use cinclus_wal::{Delivery, DeliveryKind, Feed, Held};
use tokio::sync::{mpsc, oneshot};

use crate::NodeConfig;
use crate::backlog::LogBacklog;
use crate::channel::Channel;
use crate::control::{Control, PersistedRound};
use crate::host::NodeParts;
use crate::retention::Retention;
use crate::round::{Round, ShardRound};

const FAILED_ROUND_PAUSE: Duration = Duration::from_secs(1);
/// How long the pump may take to see that a transaction was rolled back.
const LET_GO_PATIENCE: Duration = Duration::from_secs(60);

/// Decides when a round begins, and collects what it is about.
pub struct Persister {
    parts: NodeParts,
    config: NodeConfig,
    control: mpsc::Sender<Control>,
    backlog: LogBacklog,
    retention: Retention,
    dirty_since: Option<Duration>,
    retry_at: Option<Duration>,
    seals: bool,
    running: bool,
    /// Transactions are being rolled back.
    letting_go: bool,
    waiting: Vec<oneshot::Sender<()>>,
    dropped_vchannels: Vec<VChannel>,
    dropped_segments: Vec<(VChannel, SegmentId)>,
}

impl Persister {
    pub(crate) fn new(
        parts: NodeParts,
        config: NodeConfig,
        control: mpsc::Sender<Control>,
        backlog: LogBacklog,
        start: Checkpoint,
    ) -> Persister {
        Persister {
            retention: Retention::new(config.retention_bytes, config.retention_age, start),
            parts,
            config,
            control,
            backlog,
            dirty_since: None,
            retry_at: None,
            seals: false,
            running: false,
            letting_go: false,
            waiting: Vec::new(),
            dropped_vchannels: Vec::new(),
            dropped_segments: Vec::new(),
        }
    }

    /// Notes what was applied.
    pub fn note(&mut self, delivery: &Delivery) {
        self.backlog.add(delivery.log_bytes);
        if delivery.kind == DeliveryKind::TimeTick {
            return;
        }
        self.dirty_since.get_or_insert_with(|| self.parts.env.clock.monotonic());
        self.seals |= delivery.messages.iter().any(|message| seals(message.header()));
    }

    /// A VChannel is gone: its entries leave the catalog with the next round.
    pub fn drop_vchannel(&mut self, vchannel: VChannel) {
        self.dropped_vchannels.push(vchannel);
    }

    /// Segments are gone: their entries leave the catalog with the next round.
    pub fn drop_segments(&mut self, vchannel: &VChannel, segments: &[SegmentId]) {
        self.dropped_segments.extend(segments.iter().map(|segment| (vchannel.clone(), *segment)));
    }

    /// Asks for a round; `done` is dropped when it has ended.
    pub fn force(&mut self, done: oneshot::Sender<()>) {
        self.waiting.push(done);
    }

    /// Waits until a round is due by age or because of the recovery bound, or to be tried again.
    pub async fn due(&self) {
        if self.running {
            return std::future::pending().await;
        }
        let by_age = self.dirty_since.map(|since| since + self.config.persist_age);
        let timed = async {
            match self.retry_at.or(by_age) {
                Some(at) => self.parts.env.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.backlog.wanted() => {}
            () = timed => {}
        }
    }

    /// Begins a round if one is due.
    pub fn start_if_due(&mut self, channel: &Channel, feed: &mut Feed) {
        let now = self.parts.env.clock.monotonic();
        let old = self.dirty_since.is_some_and(|since| now >= since + self.config.persist_age);
        let due = self.backlog.is_wanted()
            || self.seals
            || old
            || !self.waiting.is_empty()
            || self.retry_at.is_some();
        if self.running || !due || self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        let round = self.collect(channel, feed);
        self.running = true;
        let (control, cancelled) = (self.control.clone(), channel.tasks.clone());
        channel.tasks.spawn("persist", async move {
            let persisted = tokio::select! {
                biased;
                () = cancelled.cancelled() => return,
                persisted = round.run() => persisted,
            };
            let _ = control.send(Control::Persisted(persisted)).await;
        });
    }

    /// Takes a cut between two deliveries, and what lies before it.
    fn collect(&mut self, channel: &Channel, feed: &mut Feed) -> Round {
        let shards = channel.shards.all();
        let shards = shards.iter().map(|delegator| ShardRound::of(delegator, &self.parts)).collect();
        // This round seals every closed segment: the state that is stored with it waits for none. Those
        // that no shard holds have no rows.
        let sealed: Vec<SegmentId> = feed.recovered().seals().keys().copied().collect();
        feed.settle(&sealed);
        let cut = feed.cut();
        let now = Tick::from_unix_ms(self.parts.env.clock.unix_ms());
        // Invariant W7.
        let keeps = self.retention.note(cut.checkpoint, cut.log_bytes_since_last_cut, now);
        let truncate_below = if mutated("TruncatesMore") { keeps.next() } else { keeps };
        self.backlog.begin();
        (self.dirty_since, self.retry_at, self.seals) = (None, None, false);
        Round {
            parts: self.parts.clone(),
            chunk_bytes_min: self.config.chunk_bytes_min,
            space_reserve: self.config.wal.space_reserve_bytes,
            channel: channel.clone(),
            cut,
            truncate_below,
            shards,
            dropped_vchannels: std::mem::take(&mut self.dropped_vchannels),
            dropped_segments: std::mem::take(&mut self.dropped_segments),
            waiting: std::mem::take(&mut self.waiting),
        }
    }

    /// Has the oldest open transactions rolled back until so much less is held, and a round after that.
    fn let_go(&mut self, channel: &Channel, held: &[Held], excess: u64) {
        let Some(below) = below(held, excess).filter(|_| !self.letting_go) else { return };
        self.letting_go = true;
        let (control, tasks) = (self.control.clone(), channel.tasks.clone());
        let (channel, clock) = (channel.clone(), self.parts.env.clock.clone());
        tasks.clone().spawn("let go", async move {
            tokio::select! {
                biased;
                () = tasks.cancelled() => return,
                () = roll_back(channel, clock, below) => {}
            }
            let _ = control.send(Control::LetGo).await;
        });
    }

    /// Transactions were rolled back: asks for a round, that nobody waits for.
    pub fn let_go_done(&mut self) {
        self.letting_go = false;
        self.force(oneshot::channel().0);
    }

    /// Notes how the round ended; one that failed is tried again, from the position that is reached then.
    pub fn ended(&mut self, channel: &Channel, round: PersistedRound) {
        self.running = false;
        if round.committed.is_err() {
            self.retry_at = Some(self.parts.env.clock.monotonic() + FAILED_ROUND_PAUSE);
            self.dropped_vchannels.extend(round.dropped_vchannels);
            self.dropped_segments.extend(round.dropped_segments);
            self.waiting.extend(round.waiting);
        }
        let bytes = round.held.first().map_or(0, |oldest| oldest.bytes);
        if let Some(excess) = self.backlog.ended(round.committed.map(|()| bytes)) {
            self.let_go(channel, &round.held, excess);
        }
    }
}

/// Below which begin transactions are to be over, so that so much less is held.
fn below(held: &[Held], excess: u64) -> Option<MessageId> {
    let (first, last) = (held.first()?, held.last()?);
    let stays = held.iter().find(|held| held.bytes.saturating_add(excess) <= first.bytes);
    Some(stays.map_or(last.begin.next(), |stays| stays.begin))
}

/// Rolls transactions back and waits until the pump has seen it, so that the next round commits a checkpoint behind
/// their begins.
async fn roll_back(channel: Channel, clock: DynClock, below: MessageId) {
    loop {
        match channel.wal.roll_back_below(below).await {
            Ok(tick) if channel.tsafe.wait(&*clock, tick, LET_GO_PATIENCE).await.is_ok() => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(channel = %channel.channel, %error, "transactions are not rolled back");
            }
        }
        clock.sleep(FAILED_ROUND_PAUSE).await;
    }
}

/// Whether a message closes segments, so that somebody may wait for them to be persisted.
fn seals(header: &Header) -> bool {
    match header {
        Header::Flush { .. } | Header::ManualFlush { .. } | Header::TruncateCollection { .. } => true,
        Header::AlterCollection { segments, .. } => !segments.is_empty(),
        Header::DropCollection { .. } | Header::DropPartition { .. } => true,
        Header::TimeTick
        | Header::Insert { .. }
        | Header::Delete { .. }
        | Header::CreateSegment { .. }
        | Header::CreateCollection { .. }
        | Header::CreatePartition { .. }
        | Header::AlterLoadConfig { .. }
        | Header::DropLoadConfig { .. }
        | Header::CreateDatabase { .. }
        | Header::AlterDatabase { .. }
        | Header::DropDatabase { .. }
        | Header::AlterAlias { .. }
        | Header::DropAlias { .. }
        | Header::CreateIndex { .. }
        | Header::AlterIndex { .. }
        | Header::DropIndex { .. }
        | Header::BeginTxn { .. }
        | Header::CommitTxn
        | Header::RollbackTxn => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_transactions_are_rolled_back_until_little_enough_is_held() {
        let held = |begin, bytes| Held { begin: MessageId(begin), bytes };
        let all = [held(3, 100), held(5, 80), held(9, 30)];
        assert_eq!(below(&[], 1), None);
        for (excess, until) in [(1, 5), (20, 5), (21, 9), (70, 9), (71, 10), (200, 10)] {
            assert_eq!(below(&all, excess), Some(MessageId(until)), "{excess}");
        }
    }
}
