//! Stores whose effects can be stopped: before or after any of them, everything ends.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::Disk;
use cinclus_env::disk::MemoryDisk;
use cinclus_log_storage::{LogError, LogReader, LogStorage, LogWriter, OpenOptions};
use cinclus_meta::{CommitOutcome, DynMetaStore, Entry, LeaseId, MetaError, MetaStore, Revision, Txn, Watch};
use cinclus_types::{MessageId, PChannel};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Counts the moments before and after each effect, and stops at one of them.
#[derive(Clone)]
pub(crate) struct Effects {
    state: Arc<Mutex<State>>,
    stopped: watch::Sender<bool>,
    gates: watch::Sender<Gates>,
    /// Counts each moment as an operation, so that its power goes there too.
    disk: Option<MemoryDisk>,
}

/// What waits at the moment.
#[derive(Clone, Copy, Default)]
pub(crate) struct Gates {
    pub(crate) puts: bool,
    pub(crate) gets: bool,
}

#[derive(Default)]
struct State {
    moments: u64,
    stop_at: Option<u64>,
    /// How often commits that are done lose their answer from now on.
    lost_commits: u32,
    failing_puts: bool,
}

impl Effects {
    pub(crate) fn new() -> Effects {
        Effects {
            state: Arc::default(),
            stopped: watch::Sender::new(false),
            gates: watch::Sender::new(Gates::default()),
            disk: None,
        }
    }

    pub(crate) fn with_disk(disk: MemoryDisk) -> Effects {
        Effects { disk: Some(disk), ..Effects::new() }
    }

    /// Starts counting again; nothing happens from the moment `stop_at` on.
    pub(crate) fn begin(&self, stop_at: Option<u64>) {
        *self.state.lock() = State { stop_at, ..State::default() };
        self.stopped.send_replace(false);
    }

    /// What a call came to. If it failed because the power went, everything ends, and nobody learns of it.
    pub(crate) async fn powered<T, E: fmt::Display>(&self, outcome: Result<T, E>) -> T {
        match outcome {
            Ok(output) => output,
            Err(_) if self.disk.as_ref().is_some_and(|disk| !disk.is_powered()) => {
                self.stopped.send_replace(true);
                std::future::pending().await
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn moments(&self) -> u64 {
        self.state.lock().moments
    }

    pub(crate) async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        stopped.wait_for(|stopped| *stopped).await.unwrap();
    }

    pub(crate) fn gate(&self, gates: Gates) {
        self.gates.send_replace(gates);
    }

    pub(crate) fn lose_commits(&self, count: u32) {
        self.state.lock().lost_commits = count;
    }

    pub(crate) fn fail_puts(&self, failing: bool) {
        self.state.lock().failing_puts = failing;
    }

    fn loses_commit(&self) -> bool {
        let mut state = self.state.lock();
        let loses = state.lost_commits > 0;
        state.lost_commits -= u32::from(loses);
        loses
    }

    async fn moment(&self) {
        let stops = {
            let mut state = self.state.lock();
            state.moments += 1;
            state.stop_at.is_some_and(|at| state.moments >= at)
        };
        if stops {
            self.stopped.send_replace(true);
            std::future::pending::<()>().await;
        }
        if let Some(disk) = &self.disk {
            self.powered(disk.sync_dir(Path::new("/")).await).await;
        }
    }

    async fn pass(&self, closed: impl Fn(&Gates) -> bool) {
        let mut gates = self.gates.subscribe();
        gates.wait_for(|gates| !closed(gates)).await.unwrap();
    }
}

pub(crate) struct StoppableMeta {
    pub(crate) inner: DynMetaStore,
    pub(crate) effects: Effects,
}

#[async_trait]
impl MetaStore for StoppableMeta {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.inner.scan(prefix).await
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        self.effects.moment().await;
        let outcome = self.inner.commit(txn).await?;
        self.effects.moment().await;
        if self.effects.loses_commit() {
            return Err(MetaError::Unknown("injected".to_owned()));
        }
        Ok(outcome)
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        self.inner.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.inner.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.inner.revoke(lease).await
    }
}

pub(crate) struct StoppableLog {
    pub(crate) inner: Arc<dyn LogStorage>,
    pub(crate) effects: Effects,
}

#[async_trait]
impl LogStorage for StoppableLog {
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError> {
        self.inner.open_writer(channel, options).await
    }

    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError> {
        self.inner.read(channel, from).await
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        self.effects.moment().await;
        self.inner.truncate(channel, upto).await?;
        self.effects.moment().await;
        Ok(())
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

pub(crate) struct StoppableObjects {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) effects: Effects,
}

impl fmt::Debug for StoppableObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Display for StoppableObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[async_trait]
impl ObjectStore for StoppableObjects {
    async fn put_opts(
        &self,
        location: &ObjectPath,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.effects.pass(|gates| gates.puts).await;
        self.effects.moment().await;
        if self.effects.state.lock().failing_puts {
            let source = "injected".into();
            return Err(object_store::Error::Generic { store: "stoppable", source });
        }
        let put = self.inner.put_opts(location, payload, options).await?;
        self.effects.moment().await;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> object_store::Result<GetResult> {
        self.effects.pass(|gates| gates.gets).await;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &ObjectPath,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        self.effects.pass(|gates| gates.gets).await;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<ObjectPath>>,
    ) -> BoxStream<'static, object_store::Result<ObjectPath>> {
        let effects = self.effects.clone();
        let checked = locations.then(move |location| {
            let effects = effects.clone();
            async move {
                effects.moment().await;
                location
            }
        });
        self.inner.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
