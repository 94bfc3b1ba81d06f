//! Keeps on the workers what the catalog says should be loaded: sealed segments of loaded partitions.

use std::sync::Arc;
use std::time::Duration;

use cinclus_catalog::CollectionEntry;
use cinclus_query::{ApplyError, Delegator};
use cinclus_rpc::{SegmentLoad, WorkerError};
use cinclus_types::SegmentEntry;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::channel::Channel;
use crate::control::Control;
use crate::host::NodeParts;

const LOAD_RETRY: Duration = Duration::from_secs(1);

/// Wakes the loader of a log.
#[derive(Clone, Default)]
pub struct LoaderSignal(Arc<Notify>);

impl LoaderSignal {
    /// Something changed: look again.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// The loader of one log.
pub struct Loader {
    pub(crate) channel: Channel,
    pub(crate) parts: NodeParts,
    pub(crate) signal: LoaderSignal,
    pub(crate) control: mpsc::Sender<Control>,
}

impl Loader {
    /// Runs until the log is closed.
    pub async fn run(self) {
        let mut changes = self.parts.collections.changes();
        loop {
            let complete = self.load_all().await;
            tokio::select! {
                biased;
                () = self.channel.tasks.cancelled() => return,
                () = self.signal.0.notified() => {}
                changed = changes.changed() => if changed.is_err() { return },
                () = self.parts.env.clock.sleep(LOAD_RETRY), if !complete => {}
            }
        }
    }

    /// Brings every shard to what the catalog says; answers whether that was possible.
    async fn load_all(&self) -> bool {
        let mut complete = true;
        for shard in self.channel.shards.all() {
            self.retire(&shard).await;
            let Some(entry) = shard.entry().filter(|entry| entry.is_loaded()) else {
                shard.set_load_error(None);
                continue;
            };
            let mut failed = None;
            for segment in shard.not_on_workers(&entry) {
                if self.channel.tasks.is_cancelled() {
                    return true;
                }
                shard.pin_deletes();
                let loaded = self.load(&shard, &entry, &segment).await;
                shard.unpin_deletes();
                if let Err(error) = loaded {
                    tracing::warn!(segment = %segment.id, vchannel = %shard.vchannel(), %error, "loading failed");
                    failed = Some(error);
                }
            }
            complete &= failed.is_none();
            shard.set_load_error(failed);
        }
        complete
    }

    async fn load(
        &self,
        shard: &Delegator,
        entry: &CollectionEntry,
        segment: &Arc<SegmentEntry>,
    ) -> Result<(), WorkerError> {
        let worker = self.parts.workers.of(segment.id);
        // The deletes are pinned already: what comes after these files is in the shard's buffer.
        let deletes = self.parts.segments.view(shard.vchannel()).vchannel.clone();
        let applied = deletes.persisted_tick;
        let load = SegmentLoad { segment: segment.clone(), deletes, schema: entry.schema().clone() };
        worker.load(load).await?;
        let (done, told) = oneshot::channel();
        let vchannel = shard.vchannel().clone();
        let hand_over = Control::HandOver { vchannel, entry: segment.clone(), applied, done };
        // A pump that has ended hands nothing over.
        let _ = self.control.send(hand_over).await;
        match told.await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) | Err(_) => {
                worker.release(segment.id).await;
                Ok(())
            }
            Ok(Err(ApplyError::Worker(error))) => {
                worker.release(segment.id).await;
                Err(error)
            }
        }
    }

    async fn retire(&self, shard: &Delegator) {
        let segments = shard.not_wanted();
        if segments.is_empty() {
            return;
        }
        let (done, finished) = oneshot::channel();
        let vchannel = shard.vchannel().clone();
        let retire = Control::Retire { vchannel, segments: segments.clone(), done };
        // The pump drops the sender; an error is the end that was waited for, also of the pump.
        let _ = self.control.send(retire).await;
        let _ = finished.await;
        for segment in segments {
            self.parts.workers.of(segment).release(segment).await;
        }
    }
}
