//! The pump of one log: takes every delivery once, in order, and feeds recovery storage (inside the
//! feed), growing segments and tsafe. It alone changes delegators.

use std::sync::Arc;
use std::time::Duration;

use cinclus_query::{ApplyError, Delegator};
use cinclus_types::message::body::{CreateCollectionBody, DeleteBody, InsertBody};
use cinclus_types::message::{Header, Message};
use cinclus_types::{CollectionId, SegmentId, Tick, VChannel};
use cinclus_wal::{Delivery, Feed};
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
        loop {
            tokio::select! {
                biased;
                () = self.channel.tasks.cancelled() => return,
                control = self.control.recv() => match control {
                    Some(control) => self.control(control).await,
                    None => return,
                },
                () = self.persister.due() => {}
                delivery = self.feed.next() => match delivery {
                    Ok(delivery) => self.apply(delivery).await,
                    Err(error) => {
                        tracing::error!(channel = %self.channel.channel, term = %self.channel.term, %error,
                            "the pump ends");
                        return;
                    }
                },
            }
            self.persister.start_if_due(&self.channel, &mut self.feed);
        }
    }

    async fn apply(&mut self, delivery: Delivery) {
        for message in &delivery.messages {
            while let Err(error) = self.apply_message(message, delivery.tick).await {
                // Tsafe stays behind this delivery: reads wait instead of missing its deletes.
                tracing::warn!(channel = %self.channel.channel, tick = %delivery.tick, %error, "applying again");
                self.parts.env.clock.sleep(APPLY_RETRY).await;
            }
        }
        self.persister.note(&delivery);
        // Invariant W4, Invariant Q1: only now may reads go up to this tick.
        self.channel.tsafe.advance(delivery.tick);
    }

    async fn apply_message(&mut self, message: &Message, tick: Tick) -> Result<(), ApplyError> {
        let Some(vchannel) = message.vchannel() else { return Ok(()) };
        if let Header::CreateCollection { collection, .. } = message.header() {
            self.create_shard(vchannel, *collection, message);
            return Ok(());
        }
        let Some(shard) = self.channel.shards.get(vchannel) else { return Ok(()) };
        match message.header() {
            Header::Insert { .. } => insert(&shard, message, tick),
            Header::Delete { .. } => delete(&shard, message, tick).await?,
            Header::Flush { segment, .. } => shard.seal(&[*segment]),
            Header::ManualFlush { segments, .. } | Header::AlterCollection { segments, .. } => {
                shard.seal(segments);
                self.refresh_schema(&shard);
            }
            Header::TruncateCollection { segments, .. } => self.persister.drop_segments(vchannel, segments),
            Header::DropPartition { partition, .. } => {
                let known = self.parts.segments.view(vchannel);
                let dropped: Vec<SegmentId> =
                    known.segments.values().filter(|s| s.partition == *partition).map(|s| s.id).collect();
                for segment in shard.drop_partition(*partition) {
                    self.parts.workers.of(segment).release(segment).await;
                }
                self.persister.drop_segments(vchannel, &dropped);
            }
            Header::DropCollection { .. } => self.drop_shard(&shard).await,
            Header::TimeTick
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

    fn refresh_schema(&self, shard: &Delegator) {
        if let Some(entry) = shard.entry() {
            shard.set_schema(entry.schema().clone());
        }
    }

    async fn drop_shard(&mut self, shard: &Delegator) {
        self.channel.shards.remove(shard.vchannel());
        for segment in shard.view().sealed.keys() {
            self.parts.workers.of(*segment).release(*segment).await;
        }
        self.persister.drop_vchannel(shard.vchannel().clone());
    }

    async fn control(&mut self, control: Control) {
        match control {
            Control::HandOver { vchannel, entry, applied, done } => {
                if let Some(shard) = self.channel.shards.get(&vchannel)
                    && let Err(error) = shard.hand_over(entry, applied).await
                {
                    tracing::warn!(%vchannel, %error, "a sealed segment is not handed over yet");
                }
                drop(done);
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
                let rows = round.rows.iter().filter(|(vchannel, ..)| vchannel == shard.vchannel());
                let rows: Vec<(SegmentId, u32)> = rows.map(|(_, segment, rows)| (*segment, *rows)).collect();
                shard.persisted(&rows, round.tick);
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

async fn delete(shard: &Delegator, message: &Message, tick: Tick) -> Result<(), ApplyError> {
    match DeleteBody::decode(message.payload()) {
        Ok(body) => shard.delete(Arc::new(body.keys), tick).await,
        Err(error) => {
            tracing::error!(id = %message.id(), %error, "an unreadable delete in the log");
            Ok(())
        }
    }
}
