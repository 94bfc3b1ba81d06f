//! The pump of one log: takes every delivery once, in order, and feeds recovery storage (inside the
//! feed), growing segments and tsafe. It alone changes delegators.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::mutated;
use cinclus_query::{Delegator, Delete};
use cinclus_types::message::body::{AlterCollectionBody, CreateCollectionBody, DeleteBody, InsertBody};
use cinclus_types::message::{Header, Message};
use cinclus_types::{CollectionId, PartitionId, Tick, VChannel};
use cinclus_wal::{Delivery, Feed, FeedError};
use tokio::sync::mpsc;

use crate::channel::Channel;
use crate::control::{Control, PersistedRound};
use crate::ending::judged;
use crate::host::NodeParts;
use crate::loader::LoaderSignal;
use crate::persist::Persister;
use crate::poison::{Poison, Refused};

const APPLY_RETRY: Duration = Duration::from_millis(50);

/// Why a pump takes no more deliveries.
enum End {
    /// The log was closed.
    Closed,
    /// The log cannot be served any more.
    Lost(FeedError),
}

/// The task that owns the delegators of a log.
pub struct Pump {
    pub(crate) channel: Channel,
    pub(crate) parts: NodeParts,
    pub(crate) feed: Feed,
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) persister: Persister,
    pub(crate) loader: LoaderSignal,
}

impl Pump {
    /// Runs until the log is closed or lost.
    pub async fn run(mut self) {
        let End::Lost(error) = self.pump().await else { return };
        let judging = judge(self.channel.clone(), self.parts.clone(), error);
        let Some(error) = judging.await else { return };
        let Channel { channel, term, wal, ending, .. } = &self.channel;
        if matches!(error, FeedError::Closed(_)) {
            tracing::info!(%channel, %term, %error, "the log is not served here any more");
        } else {
            tracing::error!(%channel, %term, %error, "the log is not served any more");
        }
        ending.set(error);
        // What nobody applies is not to be acknowledged either.
        wal.close().await;
    }

    /// Takes delivery after delivery; answers why it takes no more.
    async fn pump(&mut self) -> End {
        loop {
            tokio::select! {
                biased;
                () = self.channel.tasks.cancelled() => return End::Closed,
                control = self.control.recv() => match control {
                    Some(control) => self.control(control).await,
                    None => return End::Closed,
                },
                () = self.persister.due() => {}
                delivery = self.feed.next() => {
                    let applied = match delivery {
                        Ok(delivery) => self.apply(delivery).await,
                        Err(error) => Err(End::Lost(error)),
                    };
                    if let Err(end) = applied {
                        return end;
                    }
                }
            }
            self.persister.start_if_due(&self.channel, &mut self.feed);
        }
    }

    /// Applies a delivery as a whole, or ends without having noted it.
    async fn apply(&mut self, delivery: Delivery) -> Result<(), End> {
        if mutated("ReadsBeforeApplied") {
            self.channel.tsafe.advance(delivery.tick);
        }
        for message in &delivery.messages {
            while let Err(refused) = self.apply_message(message, delivery.tick).await {
                let error = match refused {
                    // Invariant W2: it is not skipped. Tsafe and the checkpoint stay before it.
                    Refused::Never(poison) => return Err(End::Lost(FeedError::Corrupt(poison.to_string()))),
                    Refused::NotNow(error) => error,
                };
                // Tsafe stays behind this delivery: reads wait instead of missing its deletes.
                tracing::warn!(channel = %self.channel.channel, tick = %delivery.tick, %error, "applying again");
                self.loader.wake();
                tokio::select! {
                    biased;
                    () = self.channel.tasks.cancelled() => return Err(End::Closed),
                    () = self.parts.env.clock.sleep(APPLY_RETRY) => {}
                }
            }
        }
        self.persister.note(&delivery);
        // Invariant W4, Invariant Q1: only now may reads go up to this tick.
        self.channel.tsafe.advance(delivery.tick);
        self.channel.metrics.applied(delivery.tick);
        Ok(())
    }

    async fn apply_message(&mut self, message: &Message, tick: Tick) -> Result<(), Refused> {
        let Some(vchannel) = message.vchannel() else { return Ok(()) };
        if let Header::CreateCollection { collection, .. } = message.header() {
            return Ok(self.create_shard(vchannel, *collection, message)?);
        }
        if let Header::DropCollection { .. } = message.header() {
            self.drop_shard(vchannel).await;
            return Ok(());
        }
        let Some(shard) = self.channel.shards.get(vchannel) else { return Ok(()) };
        match message.header() {
            Header::Insert { .. } => insert(&shard, message, tick)?,
            Header::Delete { .. } => delete(&shard, message, tick).await?,
            Header::Flush { segment, .. } => shard.seal(&[*segment]),
            Header::ManualFlush { segments, .. } => shard.seal(segments),
            Header::AlterCollection { segments, update_mask, .. } => {
                shard.seal(segments);
                alter(&shard, message, update_mask)?;
            }
            // Every segment that was begun before is closed by this message at the latest.
            Header::TruncateCollection { .. } => self.drop_segments(&shard, None).await,
            Header::DropPartition { partition, .. } => self.drop_segments(&shard, Some(*partition)).await,
            Header::TimeTick
            | Header::CreateSegment { .. }
            | Header::CreateCollection { .. }
            | Header::DropCollection { .. }
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
            | Header::RollbackTxn => {}
        }
        Ok(())
    }

    fn create_shard(
        &self,
        vchannel: &VChannel,
        collection: CollectionId,
        message: &Message,
    ) -> Result<(), Poison> {
        if vchannel.is_control() || self.channel.shards.get(vchannel).is_some() {
            return Ok(());
        }
        let body = CreateCollectionBody::decode(message.payload());
        let schema = Arc::new(body.map_err(|error| Poison::of(message, vchannel, error))?.schema);
        let parts = self.parts.delegator(&self.channel);
        let delegator = Delegator::new(vchannel.clone(), collection, schema, parts);
        self.channel.shards.insert(Arc::new(delegator));
        Ok(())
    }

    async fn drop_segments(&mut self, shard: &Delegator, partition: Option<PartitionId>) {
        let dropped = shard.drop_segments(partition);
        for segment in dropped.on_workers {
            self.parts.workers.of(segment).release(segment).await;
        }
        self.persister.drop_segments(shard.vchannel(), &dropped.all);
    }

    /// The shard is gone, also if its collection was gone from the catalog before the log was opened.
    async fn drop_shard(&mut self, vchannel: &VChannel) {
        if vchannel.is_control() {
            return;
        }
        if let Some(shard) = self.channel.shards.remove(vchannel) {
            for segment in shard.drop_segments(None).on_workers {
                self.parts.workers.of(segment).release(segment).await;
            }
        }
        self.persister.drop_vchannel(vchannel.clone());
    }

    async fn control(&mut self, control: Control) {
        match control {
            Control::HandOver { vchannel, entry, applied, done } => {
                let handed_over = match self.channel.shards.get(&vchannel) {
                    Some(shard) => shard.hand_over(entry, applied).await,
                    None => Ok(false),
                };
                // A loader that has gone lets go of the segment when it is closed.
                let _ = done.send(handed_over);
            }
            Control::Retire { vchannel, segments, done } => {
                if let Some(shard) = self.channel.shards.get(&vchannel) {
                    shard.retire(&segments);
                }
                drop(done);
            }
            Control::Persisted(round) => self.persisted(round),
            Control::Persist(done) => self.persister.force(done),
            Control::LetGo => self.persister.let_go_done(),
        }
    }

    fn persisted(&mut self, round: PersistedRound) {
        if round.committed.is_ok() {
            for shard in self.channel.shards.all() {
                shard.persisted(round.tick);
            }
            self.loader.wake();
        }
        self.persister.ended(&self.channel, round);
    }
}

/// Finds out whether a log that begins too late is another one's by now; `None` if it is closed meanwhile.
async fn judge(channel: Channel, parts: NodeParts, error: FeedError) -> Option<FeedError> {
    if !matches!(error, FeedError::Truncated { .. }) {
        return Some(error);
    }
    let Channel { channel, term, tasks, .. } = &channel;
    loop {
        tokio::select! {
            biased;
            () = tasks.cancelled() => return None,
            saved = parts.segments.checkpoint(channel) => match saved {
                Ok(saved) => return Some(judged(error, *term, saved.map(|saved| saved.term))),
                Err(error) => tracing::warn!(%channel, %term, %error, "whose log is it? asking again"),
            },
        }
        parts.env.clock.sleep(APPLY_RETRY).await;
    }
}

fn insert(shard: &Delegator, message: &Message, tick: Tick) -> Result<(), Poison> {
    let Header::Insert { partition, segment: Some(segment), .. } = message.header() else {
        return Err(Poison::of(message, shard.vchannel(), "it names no segment"));
    };
    let rows = InsertBody::decode(message.payload(), &shard.schema());
    let rows = rows.map_err(|error| Poison::of(message, shard.vchannel(), error))?;
    let inserted = shard.insert(*segment, *partition, rows, tick);
    inserted.map_err(|error| Poison::of(message, shard.vchannel(), error))
}

fn alter(shard: &Delegator, message: &Message, update_mask: &[String]) -> Result<(), Poison> {
    let body = AlterCollectionBody::decode(message.payload(), update_mask);
    let body = body.map_err(|error| Poison::of(message, shard.vchannel(), error))?;
    if let Some(schema) = body.schema {
        shard.set_schema(Arc::new(schema));
    }
    Ok(())
}

async fn delete(shard: &Delegator, message: &Message, tick: Tick) -> Result<(), Refused> {
    let body = DeleteBody::decode(message.payload());
    let DeleteBody { partition, keys } =
        body.map_err(|error| Poison::of(message, shard.vchannel(), error))?;
    shard.delete(Delete { tick, partition, keys: Arc::new(keys) }).await?;
    Ok(())
}
