//! The background work of an open log: completing ended segments and making the next one ready.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use cinclus_env::{DynClock, DynDisk, TaskGroup};
use cinclus_types::PChannel;
use tokio::sync::mpsc;

use super::active::Active;
use super::channel::Log;
use super::files;
use super::pipe::Pipe;
use super::segment::{End, Segment};
use crate::error::LogError;
use crate::woodpecker::metadata::{Fence, WoodpeckerMetadata};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(2);
const COMPLETE_TRIES: u32 = 3;

/// A piece of background work.
pub(super) enum Chore {
    /// A segment has its footer: note it in the metadata.
    Complete {
        /// The segment.
        segment: Arc<Segment>,
        /// Its end.
        end: End,
    },
    /// Make a segment ready to be written.
    Prepare {
        /// Its number.
        id: u64,
    },
}

/// Does the chores of one open, in order.
pub(super) struct Keeper {
    pub(super) channel: PChannel,
    pub(super) log: Weak<Log>,
    pub(super) stop: TaskGroup,
    pub(super) log_dir: PathBuf,
    pub(super) pipe: Weak<Pipe>,
    pub(super) fence: Fence,
    /// Empty segments of earlier opens, which the metadata knows already.
    pub(super) empty: Vec<u64>,
    pub(super) metadata: WoodpeckerMetadata,
    pub(super) disk: DynDisk,
    pub(super) clock: DynClock,
}

impl Keeper {
    /// Works until the pipe is dropped or the log belongs to somebody else.
    pub(super) async fn run(self, mut chores: mpsc::UnboundedReceiver<Chore>) {
        loop {
            let chore = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                chore = chores.recv() => chore,
            };
            let Some(chore) = chore else { return };
            let outcome = match chore {
                Chore::Complete { segment, end } => self.complete(&segment, end).await,
                Chore::Prepare { id } => self.prepare(id).await,
            };
            if let Err(error) = outcome {
                tracing::info!(channel = %self.channel, %error, "the writer of the log ends");
                if let Some(pipe) = self.pipe.upgrade() {
                    pipe.kill(error);
                }
                return;
            }
        }
    }

    async fn pause(&self, span: Duration) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = self.clock.sleep(span) => {}
        }
    }

    fn alive(&self) -> bool {
        !self.stop.is_cancelled() && self.pipe.upgrade().is_some_and(|pipe| !pipe.is_dead())
    }

    /// A segment that cannot be completed now is completed by the next open, which finds its footer.
    async fn complete(&self, segment: &Segment, end: End) -> Result<(), LogError> {
        // The lock went when the segment was left; the file only says that a writer may be there.
        let _ = self.disk.remove_file(&segment.dir.join(files::WRITE_LOCK)).await;
        let mut pause = RETRY_FIRST;
        for _ in 0..COMPLETE_TRIES {
            if !self.alive() {
                break;
            }
            let last_entry = end.entries as i64 - 1;
            let channel = &self.channel;
            let done =
                self.metadata.complete_segment(channel, &self.fence, segment.id, last_entry, end.bytes);
            match done.await {
                Ok(()) => return Ok(()),
                Err(LogError::Fenced) => return Err(LogError::Fenced),
                Err(error) => {
                    tracing::warn!(channel = %channel, segment = segment.id, %error, "not completed yet");
                    self.pause(pause).await;
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
        }
        Ok(())
    }

    async fn prepare(&self, id: u64) -> Result<(), LogError> {
        let mut pause = RETRY_FIRST;
        while self.alive() {
            match self.make(id).await {
                Ok(active) => {
                    if let (Some(log), Some(pipe)) = (self.log.upgrade(), self.pipe.upgrade()) {
                        log.add_segment(active.segment.clone());
                        pipe.set_next(active);
                    }
                    return Ok(());
                }
                Err(LogError::Fenced) => return Err(LogError::Fenced),
                Err(error) => {
                    tracing::warn!(channel = %self.channel, segment = id, %error, "no next segment yet");
                    if let Some(pipe) = self.pipe.upgrade() {
                        pipe.next_failed(&error);
                    }
                    self.pause(pause).await;
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
        }
        Ok(())
    }

    async fn make(&self, id: u64) -> Result<Active, LogError> {
        if self.empty.contains(&id) {
            return Active::open_empty(&self.disk, &self.log_dir, id).await;
        }
        Active::create(&self.disk, &self.metadata, &self.channel, &self.fence, (&self.log_dir, id)).await
    }
}
