//! The storage: logs by name, opened, read and truncated.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cinclus_env::Env;
use cinclus_env::disk::{DiskError, DiskLock, OpenMode, create_dir_synced};
use cinclus_meta::DynMetaStore;
use cinclus_types::{MessageId, PChannel};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::active::Active;
use super::channel::{Log, Open};
use super::config::LocalConfig;
use super::files;
use super::keeper::Keeper;
use super::pipe::Pipe;
use super::reader::LocalReader;
use super::recover::{Recovered, Recovery};
use super::scan::{Tail, scan};
use super::segment::{Extent, Segment};
use super::writer::LocalWriter;
use crate::error::LogError;
use crate::storage::{LogReader, LogStorage, LogWriter, OpenOptions};
use crate::woodpecker::metadata::{Fence, LogEntry, SegmentState, WoodpeckerMetadata};
use crate::woodpecker::metrics::Metrics;
use crate::woodpecker::truncate::droppable;

/// Woodpecker's local layout as a [`LogStorage`]. One process at a time has it open.
pub struct WoodpeckerLocal {
    config: Arc<LocalConfig>,
    env: Env,
    metadata: WoodpeckerMetadata,
    logs: Mutex<BTreeMap<PChannel, Arc<Log>>>,
    _lock: DiskLock,
}

impl WoodpeckerLocal {
    /// Opens the storage under `config.root`, making it if it is not there.
    ///
    /// # Errors
    /// [`LogError::InUse`] if another process has it open.
    pub async fn open(
        config: LocalConfig,
        env: Env,
        metadata: DynMetaStore,
    ) -> Result<WoodpeckerLocal, LogError> {
        create_dir_synced(&*env.disk, &config.root).await?;
        let lock = env.disk.lock(&config.root.join(files::STORAGE_LOCK)).await?;
        let random = env.random.fork("woodpecker metadata");
        let metadata = WoodpeckerMetadata::new(metadata, &config.metadata_prefix, env.clock.clone(), random);
        metadata.init().await?;
        Ok(WoodpeckerLocal { config: Arc::new(config), env, metadata, logs: Mutex::default(), _lock: lock })
    }

    fn log(&self, channel: &PChannel) -> Arc<Log> {
        let new = || Arc::new(Log::new(channel.clone()));
        self.logs.lock().entry(channel.clone()).or_insert_with(new).clone()
    }

    /// The log, loaded for reading.
    async fn loaded(&self, channel: &PChannel) -> Result<Arc<Log>, LogError> {
        let log = self.log(channel);
        if log.is_loaded() {
            return Ok(log);
        }
        let _turn = log.state.turn().await;
        if log.is_loaded() {
            return Ok(log);
        }
        let Some(entry) = self.metadata.load(channel).await? else {
            return Err(LogError::NotFound(channel.clone()));
        };
        let dir = files::log_dir(&self.config.root, entry.meta.log_id);
        let mut segments = BTreeMap::new();
        for (id, segment) in &entry.segments {
            let segment = match segment.meta.state() {
                SegmentState::Truncated => continue,
                SegmentState::Completed | SegmentState::Sealed => Segment::finished(&dir, *id),
                SegmentState::Active => self.look_at(&dir, *id).await?,
            };
            segments.insert(*id, Arc::new(segment));
        }
        log.set_loaded(dir, self.point(channel, &entry).await?, segments);
        Ok(log)
    }

    /// An unfinished segment, for readers that come before any writer: nothing is cut, and what is shown is
    /// synced before.
    async fn look_at(&self, log_dir: &Path, id: u64) -> Result<Segment, LogError> {
        let path = files::segment_dir(log_dir, id).join(files::DATA);
        let file = match self.env.disk.open(&path, OpenMode::ReadWrite).await {
            Ok(file) => file,
            Err(DiskError::NotFound { .. }) => {
                return Ok(Segment::scanned(log_dir, id, Default::default(), Vec::new()));
            }
            Err(error) => return Err(error.into()),
        };
        let len = file.length().await?;
        let found = scan(file.clone(), len).await?;
        if let Tail::Bad(bad) = &found.tail
            && let Some(reason) = bad.damage()
        {
            return Err(LogError::Corrupt {
                file: path,
                segment: id,
                block: found.blocks.len() as u64,
                reason,
            });
        }
        if len > 0 {
            // Invariant L5: what a reader sees can no longer disappear.
            file.sync_data().await?;
        }
        let finished = found.tail == Tail::Footer;
        Ok(if finished {
            Segment::finished(log_dir, id)
        } else {
            Segment::scanned(log_dir, id, found.end, found.blocks)
        })
    }

    async fn point(&self, channel: &PChannel, entry: &LogEntry) -> Result<MessageId, LogError> {
        let (segment, first) = self.metadata.local_point(channel, entry).await?;
        Ok(self.id(segment, first))
    }

    fn id(&self, segment: u64, entry: u64) -> MessageId {
        match (segment, entry) {
            (0, 0) => MessageId::EARLIEST,
            _ => MessageId::from_parts(self.config.generation, segment, entry),
        }
    }

    async fn open_log(&self, log: &Arc<Log>, options: OpenOptions) -> Result<LocalWriter, LogError> {
        let channel = &log.channel;
        let fence = self.metadata.raise_fence(channel, options.term).await?;
        if let Some(open) = log.take_open() {
            open.end().await;
        }
        let entry = self.entry(channel, &fence).await?;
        let log_dir = files::log_dir(&self.config.root, entry.meta.log_id);
        files::create_log(&self.env.disk, &log_dir, channel).await?;
        let recovery = Recovery {
            disk: &self.env.disk,
            metadata: &self.metadata,
            channel,
            fence: &fence,
            log_dir: &log_dir,
            generation: self.config.generation,
            acknowledged: options.acknowledged,
        };
        let recovered = recovery.run(&entry, |id| log.segment(id)).await?;
        let active = self.first_active(channel, &fence, &log_dir, &recovered).await?;
        let Recovered { mut segments, empty, next_id: _ } = recovered;
        segments.insert(active.segment.id, active.segment.clone());
        log.set_loaded(log_dir.clone(), self.point(channel, &entry).await?, segments);
        let open = self.start(log, fence, active, empty, &log_dir);
        let pipe = open.pipe.clone();
        log.set_open(open);
        Ok(LocalWriter { pipe, batch_bytes_max: self.config.batch_bytes_max })
    }

    async fn entry(&self, channel: &PChannel, fence: &Fence) -> Result<LogEntry, LogError> {
        if let Some(entry) = self.metadata.load(channel).await? {
            return Ok(entry);
        }
        self.metadata.create_log(channel, fence).await?;
        self.metadata.load(channel).await?.ok_or(LogError::Fenced)
    }

    async fn first_active(
        &self,
        channel: &PChannel,
        fence: &Fence,
        log_dir: &Path,
        recovered: &Recovered,
    ) -> Result<Active, LogError> {
        let disk = &self.env.disk;
        match recovered.empty.first() {
            Some(id) => Active::open_empty(disk, log_dir, *id).await,
            None => Active::create(disk, &self.metadata, channel, fence, (log_dir, recovered.next_id)).await,
        }
    }

    fn start(&self, log: &Arc<Log>, fence: Fence, active: Active, empty: Vec<u64>, log_dir: &Path) -> Open {
        let (chores, queue) = mpsc::unbounded_channel();
        let metrics = Metrics::new(&self.env.telemetry, &log.channel);
        let pipe = Pipe::new(self.config.clone(), self.env.clock.clone(), chores, active, metrics);
        let pipe = Arc::new(pipe);
        let keeper_group = self.env.tasks.child();
        let keeper = Keeper {
            channel: log.channel.clone(),
            log: Arc::downgrade(log),
            stop: keeper_group.clone(),
            log_dir: log_dir.to_owned(),
            pipe: Arc::downgrade(&pipe),
            fence,
            empty,
            metadata: self.metadata.clone(),
            disk: self.env.disk.clone(),
            clock: self.env.clock.clone(),
        };
        let keeper = keeper_group.spawn("log keeper", keeper.run(queue));
        Open { pipe, fence, keeper, keeper_group }
    }

    /// Removes the files of segments that lie below the truncation point, then forgets them.
    async fn drop_segments(&self, log: &Log, fence: Option<&Fence>) -> Result<(), LogError> {
        let ids = log.segment_ids();
        let gone = droppable(&ids, log.state.earliest());
        let Some(log_dir) = log.dir().filter(|_| !gone.is_empty()) else { return Ok(()) };
        for id in gone {
            match self.env.disk.remove_dir_all(&files::segment_dir(&log_dir, *id)).await {
                Ok(()) | Err(DiskError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.env.disk.sync_dir(&log_dir).await?;
        self.metadata.remove_segments(&log.channel, fence, gone).await?;
        log.remove_segments(gone);
        Ok(())
    }

    /// A point behind the durable end means the durable end: what is appended later stays.
    fn clamp(&self, log: &Log, upto: MessageId) -> MessageId {
        let end = match log.last_with_records() {
            None => MessageId::EARLIEST,
            Some(segment) => match segment.extent() {
                Extent::Open(end) => MessageId::from_parts(self.config.generation, segment.id, end.entries),
                Extent::Finished(_) | Extent::InFooter => {
                    MessageId::from_parts(self.config.generation, segment.id + 1, 0)
                }
            },
        };
        upto.min(end)
    }
}

#[async_trait]
impl LogStorage for WoodpeckerLocal {
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
        let log = self.loaded(channel).await?;
        log.state.check_readable(from)?;
        Ok(Box::new(LocalReader::new(log, &self.env, self.config.clone(), from)))
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        let log = self.loaded(channel).await?;
        let _turn = log.state.turn().await;
        let fence = log.fence();
        let point = self.clamp(&log, upto);
        if point > log.state.earliest() {
            let first = (point.segment(), point.entry());
            self.metadata.truncate_before(channel, fence.as_ref(), first).await?;
            log.state.raise_earliest(point);
        }
        self.drop_segments(&log, fence.as_ref()).await
    }

    async fn earliest(&self, channel: &PChannel) -> Result<MessageId, LogError> {
        Ok(self.loaded(channel).await?.state.earliest())
    }

    async fn channels(&self) -> Result<Vec<PChannel>, LogError> {
        Ok(self.metadata.logs().await?.into_iter().map(|(channel, _)| channel).collect())
    }

    async fn available_bytes(&self) -> Result<Option<u64>, LogError> {
        Ok(Some(self.env.disk.available_bytes(&self.config.root).await?))
    }
}
