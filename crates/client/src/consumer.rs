//! A reader of a log that survives the log's owners.

use std::sync::Arc;
use std::time::Duration;

use cinclus_rpc::{ConsumeError, Deliveries, Delivery, LogApi, ScanFrom, Subscription};
use cinclus_types::{Advice, Checkpoint, PChannel};

use crate::LogClient;

/// Reads a log from some point on and follows it, whoever owns it: every delivery once, in order, over
/// failovers and broken connections.
///
/// A consumer of another process goes on where this one stopped if it is given its last
/// [`Consumer::checkpoint`].
pub struct Consumer {
    client: LogClient,
    channel: PChannel,
    /// From where a new connection reads.
    subscription: Subscription,
    open: Option<Box<dyn Deliveries>>,
    /// How long to wait before the next connection; grows while none delivers anything.
    pause: Duration,
}

impl Consumer {
    pub(crate) fn new(client: LogClient, channel: PChannel, subscription: Subscription) -> Consumer {
        Consumer { client, channel, subscription, open: None, pause: Duration::ZERO }
    }

    /// The log that it reads.
    #[must_use]
    pub fn channel(&self) -> &PChannel {
        &self.channel
    }

    /// From where to go on after the last delivery; `None` before the first one of a consumer that was not
    /// begun with a checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        match self.subscription.from {
            ScanFrom::Checkpoint(checkpoint) => Some(checkpoint),
            ScanFrom::Earliest | ScanFrom::Latest | ScanFrom::Tick(_) => None,
        }
    }

    /// The next delivery; waits for one, and for an owner of the log. Nothing is lost when the future is
    /// dropped half way.
    ///
    /// # Errors
    /// [`ConsumeError::Unavailable`] when no owner served it in time: asked again, it tries again. Everything
    /// else is final: [`ConsumeError::Truncated`] says from where on there is still something to read.
    pub async fn next(&mut self) -> Result<Delivery, ConsumeError> {
        loop {
            let Some(open) = &mut self.open else {
                self.connect().await?;
                continue;
            };
            match open.next().await {
                Ok(delivery) => {
                    // Invariant W10.
                    self.subscription.from = ScanFrom::Checkpoint(delivery.checkpoint);
                    self.pause = Duration::ZERO;
                    return Ok(delivery);
                }
                Err(error) => {
                    self.open = None;
                    match error.advice() {
                        Advice::Reroute | Advice::Retry | Advice::Unknown => {}
                        Advice::Reject => return Err(error),
                    }
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<(), ConsumeError> {
        let router = &self.client.router;
        router.clock.sleep(self.pause).await;
        let (channel, subscription) = (&self.channel, &self.subscription);
        let consume = |log: Arc<dyn LogApi>, term| async move {
            log.consume(channel, term, subscription.clone()).await
        };
        let opened = router.call(channel, |info| self.client.logs.log(info), consume).await?;
        self.open = Some(opened);
        // An owner that lets it in and then delivers nothing is not asked without end.
        self.pause = (self.pause * 2).clamp(router.config.backoff_min, router.config.backoff_max);
        Ok(())
    }
}
