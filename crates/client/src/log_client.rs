//! The logs without the shards in them.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::DynClock;
use cinclus_rpc::{AppendError, Appended, ConsumeError, ScanFilter, ScanFrom, Subscription};
use cinclus_types::message::Draft;
use cinclus_types::{AssignmentView, PChannel, VChannel};
use tokio::sync::watch;

use crate::route::Router;
use crate::{ClientConfig, Consumer, Logs, Transaction};

/// A handle to all logs; cheap to clone.
#[derive(Clone)]
pub struct LogClient {
    pub(crate) router: Router,
    pub(crate) logs: Arc<dyn Logs>,
}

impl LogClient {
    /// A client that follows `view` and calls through `logs`.
    #[must_use]
    pub fn new(
        view: watch::Receiver<AssignmentView>,
        logs: Arc<dyn Logs>,
        clock: DynClock,
        config: ClientConfig,
    ) -> LogClient {
        LogClient { router: Router { view, clock, config }, logs }
    }

    /// The logs that have an owner at the moment.
    #[must_use]
    pub fn channels(&self) -> Vec<PChannel> {
        self.router.view.borrow().channels.keys().cloned().collect()
    }

    /// Appends messages of one VChannel: one as it is, several as one transaction.
    ///
    /// # Errors
    /// As [`crate::Client::append`].
    pub async fn append(&self, vchannel: &VChannel, batch: Vec<Draft>) -> Result<Appended, AppendError> {
        let channel = vchannel.pchannel();
        let append = |log: Arc<dyn cinclus_rpc::LogApi>, term| {
            let (channel, batch) = (channel.clone(), batch.clone());
            async move { log.append(&channel, term, batch).await }
        };
        self.router.call(&channel, |info| self.logs.log(info), append).await
    }

    /// Subscribes to a log, or with a filter to a part of it. Nothing is called until the first delivery is
    /// asked for.
    ///
    /// # Errors
    /// [`ConsumeError::Invalid`] for a VChannel of another log.
    pub fn consume(
        &self,
        channel: &PChannel,
        from: ScanFrom,
        filter: ScanFilter,
    ) -> Result<Consumer, ConsumeError> {
        if let Some(vchannel) = filter.vchannel.as_ref().filter(|vchannel| vchannel.pchannel() != *channel) {
            return Err(ConsumeError::Invalid(format!("{vchannel} is not a VChannel of {channel}")));
        }
        Ok(Consumer::new(self.clone(), channel.clone(), Subscription { from, filter }))
    }

    /// Begins a transaction in one VChannel. Without a message for `keepalive` it is over.
    ///
    /// # Errors
    /// As [`crate::Client::append`].
    pub async fn begin(
        &self,
        vchannel: &VChannel,
        keepalive: Option<Duration>,
    ) -> Result<Transaction, AppendError> {
        Transaction::begin(self.clone(), vchannel.clone(), keepalive).await
    }
}
