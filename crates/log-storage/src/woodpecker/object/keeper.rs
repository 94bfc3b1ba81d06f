//! The background work of an open log: completing ended segments and making the next one ready.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cinclus_env::TaskGroup;
use cinclus_types::PChannel;
use tokio::sync::mpsc;

use super::channel::Log;
use super::pipe::Pipe;
use super::segment::Segment;
use super::shared::Shared;
use crate::error::LogError;
use crate::woodpecker::metadata::Fence;

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(2);
const COMPLETE_TRIES: u32 = 3;

/// A piece of background work.
pub(super) enum Chore {
    /// A segment has its footer: note it in the metadata.
    Complete {
        /// The segment.
        segment: Arc<Segment>,
    },
    /// Note the next segment in the metadata.
    Prepare {
        /// Its number.
        id: u64,
    },
}

/// Works for one open writer.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) channel: PChannel,
    pub(super) log: Weak<Log>,
    pub(super) pipe: Weak<Pipe>,
    pub(super) fence: Fence,
    pub(super) stop: TaskGroup,
    /// Takes completed segments.
    pub(super) janitor: mpsc::UnboundedSender<u64>,
}

impl Keeper {
    /// Works until the pipe is dropped or the log belongs to somebody else.
    pub(super) async fn run(self, mut chores: mpsc::UnboundedReceiver<Chore>) {
        let mut fenced = std::pin::pin!(self.fenced());
        loop {
            let outcome = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = &mut fenced => Err(LogError::Fenced),
                chore = chores.recv() => match chore {
                    Some(Chore::Complete { segment }) => self.complete(&segment).await,
                    Some(Chore::Prepare { id }) => self.prepare(id).await,
                    None => return,
                },
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

    /// Waits until somebody else has opened the log: then a writer that has nothing to write, and readers
    /// that rely on it, hear of it too.
    async fn fenced(&self) {
        while let Err(error) = self.shared.metadata.fence_is_lost(&self.channel, &self.fence).await {
            tracing::debug!(channel = %self.channel, %error, "the fence is watched again");
            self.shared.env.clock.sleep(RETRY_LONGEST).await;
        }
    }

    async fn pause(&self, span: Duration) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = self.shared.env.clock.sleep(span) => {}
        }
    }

    fn alive(&self) -> bool {
        !self.stop.is_cancelled() && self.pipe.upgrade().is_some_and(|pipe| !pipe.is_dead())
    }

    /// A segment that cannot be completed now is completed by the next open, which finds its footer.
    async fn complete(&self, segment: &Segment) -> Result<(), LogError> {
        let layout = segment.layout();
        let (last_entry, bytes) = (layout.next_entry() as i64 - 1, layout.bytes());
        let mut pause = RETRY_FIRST;
        for _ in 0..COMPLETE_TRIES {
            if !self.alive() {
                break;
            }
            let metadata = &self.shared.metadata;
            let done =
                metadata.complete_segment(&self.channel, &self.fence, segment.id, last_entry, bytes).await;
            match done {
                Ok(()) => {
                    let _ = self.janitor.send(segment.id);
                    return Ok(());
                }
                Err(LogError::Fenced) => return Err(LogError::Fenced),
                Err(error) => {
                    tracing::warn!(
                        channel = %self.channel, segment = segment.id, %error, "not completed yet"
                    );
                    self.pause(pause).await;
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
        }
        Ok(())
    }

    /// Goes on until it is done: the active segment grows meanwhile.
    async fn prepare(&self, id: u64) -> Result<(), LogError> {
        let mut pause = RETRY_FIRST;
        while self.alive() {
            match self.shared.metadata.ensure_segment(&self.channel, &self.fence, id).await {
                Ok(()) => {
                    if let (Some(log), Some(pipe)) = (self.log.upgrade(), self.pipe.upgrade()) {
                        let segment = Arc::new(Segment::open(id));
                        log.add_segment(segment.clone());
                        pipe.set_next(segment);
                    }
                    return Ok(());
                }
                Err(LogError::Fenced) => return Err(LogError::Fenced),
                Err(error) => {
                    tracing::warn!(channel = %self.channel, segment = id, %error, "no next segment yet");
                    self.pause(pause).await;
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
        }
        Ok(())
    }
}
