//! The pump of one log: takes every delivery once, in order, and feeds recovery storage (inside the
//! feed), growing segments and tsafe. It alone changes delegators.

use std::sync::Arc;
use std::time::Duration;

use cinclus_query::{ApplyError, Delegator, Delete};
use cinclus_types::message::body::{AlterCollectionBody, CreateCollectionBody, DeleteBody, InsertBody};
use cinclus_types::message::{Header, Message};
use cinclus_types::{CollectionId, PartitionId, Tick, VChannel};
use cinclus_wal::{Delivery, Feed, FeedError};
use tokio::sync::mpsc;

use crate::channel::Channel;
use crate::control::{Control, PersistedRound};
use crate::host::NodeParts;
use crate::loader::LoaderSignal;
use crate::persist::Persister;

const APPLY_RETRY: Duration = Duration::from_millis(50);

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
        let Some(error) = self.pump().await else { return };
        let Channel { channel, term, wal, ended, .. } = &self.channel;
        tracing::error!(%channel, %term, %error, "the pump ends");
        *ended.lock() = Some(error);
        // What nobody applies is not to be acknowledged either.
        wal.close().await;
    }

    /// Takes delivery after delivery; answers why there are no more, unless the log was closed.
    async fn pump(&mut self) -> Option<FeedError> {
        loop {
            tokio::select! {
                biased;
                () = self.channel.tasks.cancelled() => return None,
                control = self.control.recv() => self.control(control?).await,
                () = self.persister.due() => {}
                delivery = self.feed.next() => match delivery {
                    Ok(delivery) => self.apply(delivery).await?,
                    Err(error) => return Some(error),
                },
            }
            self.persister.start_if_due(&self.channel, &mut self.feed);
        }
    }

    /// Applies a delivery as a whole. `None` if the log was closed on the way.
    async fn apply(&mut self, delivery: Delivery) -> Option<()> {
        for message in &delivery.messages {
            while let Err(error) = self.apply_message(message, delivery.tick).await {
                // Tsafe stays behind this delivery: reads wait instead of missing its deletes.
                tracing::warn!(channel = %self.channel.channel, tick = %delivery.tick, %error, "applying again");
                self.loader.wake();
                tokio::select! {
                    biased;
                    () = self.channel.tasks.cancelled() => return None,
                    () = self.parts.env.clock.sleep(APPLY_RETRY) => {}
                }
            }
        }
        self.persister.note(&delivery);
        // Invariant W4, Invariant Q1: only now may reads go up to this tick.
        self.channel.tsafe.advance(delivery.tick);
        self.channel.metrics.applied(delivery.tick);
        Some(())
    }

    async fn apply_message(&mut self, message: &Message, tick: Tick) -> Result<(), ApplyError> {
        let Some(vchannel) = message.vchannel() else { return Ok(()) };
        if let Header::CreateCollection { collection, .. } = message.header() {
            self.create_shard(vchannel, *collection, message);
            return Ok(());
        }
        if let Header::DropCollection { .. } = message.header() {
            self.drop_shard(vchannel).await;
            return Ok(());
        }
        let Some(shard) = self.channel.shards.get(vchannel) else { return Ok(()) };
        match message.header() {
            Header::Insert { .. } => insert(&shard, message, tick),
            Header::Delete { .. } => delete(&shard, message, tick).await?,
            Header::Flush { segment, .. } => shard.seal(&[*segment]),
            Header::ManualFlush { segments, .. } => shard.seal(segments),
            Header::AlterCollection { segments, update_mask, .. } => {
                shard.seal(segments);
                alter(&shard, message, update_mask);
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

    fn create_shard(&self, vchannel: &VChannel, collection: CollectionId, message: &Message) {
        if vchannel.is_control() || self.channel.shards.get(vchannel).is_some() {
            return;
        }
        match CreateCollectionBody::decode(message.payload()) {
            Ok(body) => {
                let parts = self.parts.delegator(&self.channel);
                let schema = Arc::new(body.schema);
                self.channel.shards.insert(Arc::new(Delegator::new(
                    vchannel.clone(),
                    collection,
                    schema,
                    parts,
                )));
            }
            Err(error) => {
                tracing::error!(%vchannel, id = %message.id(), %error, "a collection with an unreadable schema");
            }
        }
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
        }
    }

    fn persisted(&mut self, round: PersistedRound) {
        if round.committed {
            for shard in self.channel.shards.all() {
                shard.persisted(round.tick);
            }
            self.loader.wake();
        }
        self.persister.ended(round);
    }
}

fn insert(shard: &Delegator, message: &Message, tick: Tick) {
    let Header::Insert { partition, segment: Some(segment), .. } = message.header() else {
        tracing::error!(id = %message.id(), "an insert without a segment in the log");
        return;
    };
    match InsertBody::decode(message.payload(), &shard.schema()) {
        Ok(rows) => {
            if let Err(error) = shard.insert(*segment, *partition, rows, tick) {
                tracing::error!(id = %message.id(), %error, "an insert in the log does not fit its segment");
            }
        }
        Err(error) => tracing::error!(id = %message.id(), %error, "an unreadable insert in the log"),
    }
}

fn alter(shard: &Delegator, message: &Message, update_mask: &[String]) {
    match AlterCollectionBody::decode(message.payload(), update_mask) {
        Ok(body) => {
            if let Some(schema) = body.schema {
                shard.set_schema(Arc::new(schema));
            }
        }
        Err(error) => tracing::error!(id = %message.id(), %error, "an unreadable change of a collection"),
    }
}

async fn delete(shard: &Delegator, message: &Message, tick: Tick) -> Result<(), ApplyError> {
    match DeleteBody::decode(message.payload()) {
        Ok(DeleteBody { partition, keys }) => {
            shard.delete(Delete { tick, partition, keys: Arc::new(keys) }).await
        }
        Err(error) => {
            tracing::error!(id = %message.id(), %error, "an unreadable delete in the log");
            Ok(())
        }
    }
}
