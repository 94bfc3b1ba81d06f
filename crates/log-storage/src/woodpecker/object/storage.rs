//! The storage: logs by name, opened, read and truncated.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cinclus_env::Env;
use cinclus_meta::{DynMetaStore, ProbeError, probe_conditional_puts};
use cinclus_types::{MessageId, PChannel};
use object_store::ObjectStore;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

use super::channel::{Log, Open};
use super::collect::collect;
use super::config::ObjectsConfig;
use super::janitor::Janitor;
use super::keeper::Keeper;
use super::objects::{Objects, Place};
use super::pipe::Pipe;
use super::reader::ObjectReader;
use super::recover::Recovery;
use super::scan::scan;
use super::segment::{Segment, View};
use super::shared::Shared;
use super::writer::ObjectWriter;
use crate::error::LogError;
use crate::storage::{LogReader, LogStorage, LogWriter, OpenOptions};
use crate::woodpecker::metadata::{Fence, SegmentEntry, SegmentState, WoodpeckerMetadata, effective_prefix};
use crate::woodpecker::metrics::Metrics;

/// Woodpecker's layout on an object storage as a [`LogStorage`]. Any number of processes may have it open.
pub struct WoodpeckerObjects {
    shared: Arc<Shared>,
    logs: Mutex<BTreeMap<PChannel, Arc<Log>>>,
}

impl WoodpeckerObjects {
    /// Opens the storage under `config.root`.
    ///
    /// # Errors
    /// [`LogError::Invalid`] if the object storage does not keep to conditional puts: nothing would keep two
    /// writers from overwriting each other.
    pub async fn open(
        config: ObjectsConfig,
        store: Arc<dyn ObjectStore>,
        env: Env,
        metadata: DynMetaStore,
    ) -> Result<WoodpeckerObjects, LogError> {
        let config = Arc::new(config);
        let objects = Objects::new(store, env.clock.clone(), config.clone())?;
        let random = env.random.fork("woodpecker on objects");
        if config.probe {
            probe_conditional_puts(objects.store(), &objects.own("probe"), &random).await.map_err(refused)?;
        }
        let prefix = effective_prefix(&metadata, &config.metadata_prefix).await?;
        let metadata = WoodpeckerMetadata::new(metadata, &prefix, env.clock.clone(), random);
        metadata.init().await?;
        metadata.note_conditional_writes().await?;
        let compacting = Semaphore::new(1);
        let shared = Arc::new(Shared { config, objects, metadata, env, compacting });
        Ok(WoodpeckerObjects { shared, logs: Mutex::default() })
    }

    fn log(&self, channel: &PChannel) -> Arc<Log> {
        let new = || Arc::new(Log::new(channel.clone()));
        self.logs.lock().entry(channel.clone()).or_insert_with(new).clone()
    }

    /// The log as it is now: as this process knows it if it writes it, else as the metadata says.
    async fn current(&self, channel: &PChannel) -> Result<Arc<Log>, LogError> {
        let log = self.log(channel);
        if log.live().is_none() {
            self.shared.refresh(&log).await?;
        }
        Ok(log)
    }

    async fn open_log(&self, log: &Arc<Log>, options: OpenOptions) -> Result<ObjectWriter, LogError> {
        let (shared, channel) = (&self.shared, &log.channel);
        let fence = shared.metadata.raise_fence(channel, options.term).await?;
        if let Some(open) = log.take_open() {
            open.end().await;
        }
        let recovery = Recovery { shared, channel, fence: &fence, acknowledged: options.acknowledged };
        loop {
            let entry = recovery.run().await?;
            let id = entry.segments.keys().next_back().map_or(0, |last| last + 1);
            match shared.metadata.create_segment(channel, &fence, id).await {
                Ok(()) => {
                    log.take_up(&entry, shared.point(channel, &entry).await?);
                    let segment = Arc::new(Segment::open(id));
                    log.add_segment(segment.clone());
                    let first = shared.metadata.first_to_compact(channel).await?;
                    let is_new = |(id, found): (&u64, &SegmentEntry)| {
                        (*id >= first && found.meta.state() == SegmentState::Completed).then_some(*id)
                    };
                    let completed = entry.segments.iter().filter_map(is_new).collect();
                    return Ok(self.start(log, entry.meta.log_id, (fence, segment), completed));
                }
                // Another program may have made a segment meanwhile; then that is fenced too.
                Err(LogError::Fenced) if shared.metadata.holds_fence(channel, &fence).await? => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn start(
        &self,
        log: &Arc<Log>,
        log_id: i64,
        (fence, segment): (Fence, Arc<Segment>),
        to_compact: Vec<u64>,
    ) -> ObjectWriter {
        let (shared, channel) = (self.shared.clone(), log.channel.clone());
        let (chores, queue) = mpsc::unbounded_channel();
        let (completed, segments) = mpsc::unbounded_channel();
        for id in to_compact {
            let _ = completed.send(id);
        }
        let metrics = Metrics::new(&shared.env.telemetry, &channel);
        let pipe = Arc::new(Pipe::new(shared.clone(), log_id, chores, segment, metrics));
        let keeper_group = shared.env.tasks.child();
        let keeper = Keeper {
            shared: shared.clone(),
            channel: channel.clone(),
            log: Arc::downgrade(log),
            pipe: Arc::downgrade(&pipe),
            fence,
            stop: keeper_group.clone(),
            janitor: completed,
        };
        let janitor = Janitor { shared: shared.clone(), log: Arc::downgrade(log), log_id, fence };
        keeper_group.spawn_until_cancelled("log janitor", janitor.run(segments));
        let keeper = keeper_group.spawn("log keeper", keeper.run(queue));
        log.set_open(Open { pipe: pipe.clone(), fence, keeper, keeper_group });
        ObjectWriter { shared, channel, fence, pipe }
    }

    /// A point behind the durable end means the durable end: what is appended later stays.
    async fn clamp(&self, log: &Log, upto: MessageId) -> Result<MessageId, LogError> {
        let id = |(segment, entry)| MessageId::from_parts(self.shared.config.generation, segment, entry);
        if let Some(pipe) = log.live() {
            return Ok(upto.min(id(pipe.durable_end())));
        }
        let Some(last) = log.last_segment() else { return Ok(MessageId::EARLIEST) };
        if upto < id((last.id, 0)) {
            return Ok(upto);
        }
        match last.view(u64::MAX) {
            View::OpenEnd { .. } => {
                let (objects, mut blocks) = (&self.shared.objects, last.layout().blocks);
                let place = Place { log: log.id().unwrap_or_default(), segment: last.id };
                scan(objects, place, &mut blocks, self.shared.config.reads_max).await?;
                Ok(upto.min(id((last.id, blocks.last().map_or(0, |block| block.next_entry)))))
            }
            View::InFooter | View::End | View::Block { .. } => Ok(upto.min(id((last.id + 1, 0)))),
        }
    }
}

fn refused(error: ProbeError) -> LogError {
    match error {
        ProbeError::Unconditional { reason } => LogError::Invalid(format!(
            "the object storage cannot hold logs, as it does not keep to If-None-Match: {reason}"
        )),
        ProbeError::Failed { path, reason } => LogError::Unavailable(format!("{}: {reason}", path.display())),
    }
}

#[async_trait]
impl LogStorage for WoodpeckerObjects {
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError> {
        let log = self.log(channel);
        let _turn = log.state.turn().await;
        let opened = self.open_log(&log, options).await;
        if let Err(damage @ LogError::Corrupt { .. }) = &opened {
            tracing::error!(channel = %channel, %damage, "the log stays closed");
            log.state.set_damage(damage.clone());
        }
        Ok(Box::new(opened?))
    }

    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError> {
        let log = self.current(channel).await?;
        log.state.check_readable(from)?;
        Ok(Box::new(ObjectReader::new(self.shared.clone(), log, from)))
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        let log = self.current(channel).await?;
        let fence = {
            let _turn = log.state.turn().await;
            let fence = log.fence();
            let point = self.clamp(&log, upto).await?;
            if point > log.state.earliest() {
                let first = (point.segment(), point.entry());
                self.shared.metadata.truncate_before(channel, fence.as_ref(), first).await?;
                log.state.raise_earliest(point);
            }
            fence
        };
        // The records are truncated whether their objects can be removed now or not.
        if let Err(error) = collect(&self.shared, &log, fence.as_ref()).await {
            tracing::warn!(%channel, %error, "truncated segments are left for later");
        }
        Ok(())
    }

    async fn earliest(&self, channel: &PChannel) -> Result<MessageId, LogError> {
        Ok(self.current(channel).await?.state.earliest())
    }

    async fn channels(&self) -> Result<Vec<PChannel>, LogError> {
        Ok(self.shared.metadata.logs().await?.into_iter().map(|(channel, _)| channel).collect())
    }

    async fn available_bytes(&self) -> Result<Option<u64>, LogError> {
        Ok(None)
    }
}
