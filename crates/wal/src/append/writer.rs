//! The task of one PChannel: opens the storage, serves, and opens it again after a failure.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{TickSource, mutated};
use cinclus_log_storage::{LogError, LogWriter, OpenOptions};
use cinclus_rpc::AppendError;
use cinclus_types::Tick;
use tokio::sync::{mpsc, oneshot};

use super::request::Request;
use super::session::{Ended, Session};
use crate::shared::{Handover, Shared, WriterState};
use crate::tick::Ticks;

/// Owns the append path of one PChannel under one term.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    ticks: Arc<dyn TickSource>,
    queue: mpsc::Receiver<Request>,
    backoff: Duration,
}

/// Why a try to serve ended.
enum Outcome {
    /// For good.
    Over(AppendError),
    /// The storage failed.
    Failed(LogError),
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        ticks: Arc<dyn TickSource>,
        queue: mpsc::Receiver<Request>,
    ) -> Writer {
        let backoff = shared.config.reopen_backoff_min;
        Writer { shared, ticks, queue, backoff }
    }

    /// Serves until the Wal is closed, a newer term opens the log, or the log is found corrupt.
    pub(crate) async fn serve(mut self, first: Box<dyn LogWriter>) {
        let mut opened = Some(first);
        let over = loop {
            let outcome = match opened.take() {
                Some(writer) => self.serve_opened(writer).await,
                None => match self.open_again().await {
                    Ok(writer) => {
                        opened = Some(writer);
                        continue;
                    }
                    Err(outcome) => outcome,
                },
            };
            match outcome {
                Outcome::Over(error) => break error,
                Outcome::Failed(error) => {
                    if let Some(over) = final_error(&error) {
                        break over;
                    }
                    tracing::warn!(
                        channel = %self.shared.channel, term = %self.shared.term, %error,
                        "the log's writer failed, opening it again"
                    );
                    self.shared.metrics.reopens.inc();
                    if self.pause().await.is_none() {
                        break AppendError::Closing;
                    }
                }
            }
        };
        self.shared.closing.cancel();
        self.queue.close();
        self.shared.set_state(WriterState::Closed(over.clone()));
        while let Ok(request) = self.queue.try_recv() {
            request.work.refuse(over.clone());
        }
    }

    /// One session: has the feed read to the end of the storage, which nothing is added to any more by
    /// writers opened before (L3), and goes on from there.
    async fn serve_opened(&mut self, writer: Box<dyn LogWriter>) -> Outcome {
        let Some(from) = self.handover().await else { return Outcome::Over(AppendError::Closing) };
        // Invariant W1. Ticks are asked for only now: all of them lie above what is in the log.
        let after = if mutated("StaleTicks") { Tick::ZERO } else { from.tick };
        let ticks = Ticks::new(self.ticks.clone(), after);
        self.shared.buffer.reset(from.next, from.tick);
        self.shared.frontier.send_if_modified(|frontier| {
            let further = from.tick > *frontier;
            *frontier = from.tick.max(*frontier);
            further
        });
        self.shared.tell();
        let session = Session::new(self.shared.clone(), writer, ticks, from);
        let was_ready = |shared: &Shared| *shared.state.borrow() == WriterState::Ready;
        let shared = self.shared.clone();
        let served = session.run(&mut self.queue).await;
        if was_ready(&shared) {
            self.backoff = self.shared.config.reopen_backoff_min;
        }
        match served {
            Ended::Closed => Outcome::Over(AppendError::Closing),
            Ended::Failed(error) => Outcome::Failed(error),
        }
    }

    /// What the feed has recovered at the end of the storage. `None` when the Wal is closed first.
    async fn handover(&mut self) -> Option<Handover> {
        let (send, receive) = oneshot::channel();
        *self.shared.handover.lock() = Some(send);
        self.shared.tell();
        self.unless_closed(receive).await?.ok()
    }

    async fn open_again(&mut self) -> Result<Box<dyn LogWriter>, Outcome> {
        let shared = self.shared.clone();
        let acknowledged = *shared.acknowledged.lock();
        let options = OpenOptions { term: shared.term, acknowledged };
        match self.unless_closed(shared.storage.open_writer(&shared.channel, options)).await {
            None => Err(Outcome::Over(AppendError::Closing)),
            Some(Ok(writer)) => Ok(writer),
            Some(Err(error)) => {
                self.shared.set_state(WriterState::after_failed_open(&error));
                Err(Outcome::Failed(error))
            }
        }
    }

    async fn pause(&mut self) -> Option<()> {
        let shared = self.shared.clone();
        let pause = self.backoff;
        self.backoff = (self.backoff * 2).min(shared.config.reopen_backoff_max);
        self.unless_closed(shared.env.clock.sleep(pause)).await
    }

    /// Waits for something outside of a session; requests that come meanwhile are refused.
    async fn unless_closed<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                () = self.shared.closing.cancelled() => return None,
                output = &mut future => return Some(output),
                request = self.queue.recv() => {
                    let error = self.shared.refusal();
                    let not_yet = || AppendError::NotReady("the log is being opened".to_owned());
                    request?.work.refuse(error.unwrap_or_else(not_yet));
                }
            }
        }
    }
}

/// What ends a writer for good; every other error may pass.
fn final_error(error: &LogError) -> Option<AppendError> {
    if matches!(error, LogError::Fenced | LogError::StaleTerm { .. }) {
        Some(AppendError::NotOwner)
    } else if matches!(error, LogError::Corrupt { .. }) {
        Some(AppendError::Corrupt(error.to_string()))
    } else {
        None
    }
}
