//! A transaction of several calls.

use std::sync::Arc;
use std::time::Duration;

use cinclus_rpc::{AppendError, Appended, LogApi};
use cinclus_types::message::{Draft, TxnContext};
use cinclus_types::{Advice, Term, Tick, VChannel};

use crate::LogClient;

/// Rows and deletes of one VChannel that become visible together, or never. It goes on when the log gets
/// another owner. One that is dropped without an end expires.
pub struct Transaction {
    client: LogClient,
    vchannel: VChannel,
    txn: TxnContext,
    /// A message of it may be stored or not, which nobody can find out: it can only be rolled back.
    spoiled: Option<AppendError>,
}

impl Transaction {
    pub(crate) async fn begin(
        client: LogClient,
        vchannel: VChannel,
        keepalive: Option<Duration>,
    ) -> Result<Transaction, AppendError> {
        let begin = |log: Arc<dyn LogApi>, term| {
            let vchannel = vchannel.clone();
            async move { log.begin_txn(&vchannel, term, keepalive).await }
        };
        // A transaction that began without our knowledge holds nothing, and expires.
        let txn = certain(&client, &vchannel, begin).await?;
        Ok(Transaction { client, vchannel, txn, spoiled: None })
    }

    /// Its VChannel.
    #[must_use]
    pub fn vchannel(&self) -> &VChannel {
        &self.vchannel
    }

    /// Its name, and how long it lives without a message.
    #[must_use]
    pub fn context(&self) -> TxnContext {
        self.txn
    }

    /// Adds rows and deletes, and renews its life.
    ///
    /// # Errors
    /// See [`AppendError`]. After [`AppendError::Unknown`] it cannot be committed any more.
    pub async fn append(&mut self, batch: Vec<Draft>) -> Result<(), AppendError> {
        if let Some(spoiled) = &self.spoiled {
            return Err(spoiled.clone());
        }
        let txn = self.txn;
        let append = |log: Arc<dyn LogApi>, term: Term| {
            let (vchannel, batch) = (self.vchannel.clone(), batch.clone());
            async move { log.append_in_txn(&vchannel, term, txn, batch).await }
        };
        let channel = self.vchannel.pchannel();
        let appended = self.client.router.call(&channel, |info| self.client.logs.log(info), append).await;
        match appended {
            Ok(_) => Ok(()),
            Err(error) => {
                if matches!(error, AppendError::Unknown(_)) {
                    self.spoiled = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Makes it visible; the tick at which it is. A lost answer is asked for again: the log remembers.
    ///
    /// # Errors
    /// [`AppendError::TxnExpired`], [`AppendError::TxnRolledBack`]: none of it ever becomes visible.
    /// [`AppendError::Unknown`]: no answer came in time.
    pub async fn commit(self) -> Result<Tick, AppendError> {
        if let Some(spoiled) = self.spoiled {
            return Err(spoiled);
        }
        let commit = |log: Arc<dyn LogApi>, term: Term| {
            let (vchannel, txn) = (self.vchannel.clone(), self.txn);
            async move { log.commit_txn(&vchannel, term, txn).await }
        };
        let committed: Appended = certain(&self.client, &self.vchannel, commit).await?;
        Ok(committed.tick)
    }

    /// Ends it; none of it ever becomes visible. One that is over already is a success.
    ///
    /// # Errors
    /// See [`AppendError`]: it expires then.
    pub async fn rollback(self) -> Result<(), AppendError> {
        let rollback = |log: Arc<dyn LogApi>, term: Term| {
            let (vchannel, txn) = (self.vchannel.clone(), self.txn);
            async move { log.rollback_txn(&vchannel, term, txn).await }
        };
        match certain(&self.client, &self.vchannel, rollback).await {
            Err(AppendError::TxnExpired(_) | AppendError::TxnRolledBack(..)) => Ok(()),
            ended => ended,
        }
    }
}

/// Makes a call that may be repeated, until its answer is known or patience ends.
async fn certain<T, F>(
    client: &LogClient,
    vchannel: &VChannel,
    mut call: impl FnMut(Arc<dyn LogApi>, Term) -> F,
) -> Result<T, AppendError>
where
    F: Future<Output = Result<T, AppendError>>,
{
    let (router, channel) = (&client.router, vchannel.pchannel());
    let deadline = router.clock.monotonic() + router.config.ready_patience;
    let mut pause = router.config.backoff_min;
    let mut unknown = None;
    loop {
        match router.call(&channel, |info| client.logs.log(info), &mut call).await {
            Err(error @ AppendError::Unknown(_)) => unknown = Some(error),
            // That this try had no effect says nothing of the one whose answer was lost.
            Err(error) if unknown.is_some() && matches!(error.advice(), Advice::Retry | Advice::Reroute) => {}
            answer => return answer,
        }
        if router.clock.monotonic() + pause >= deadline
            && let Some(unknown) = unknown
        {
            return Err(unknown);
        }
        router.clock.sleep(pause).await;
        pause = (pause * 2).min(router.config.backoff_max);
    }
}
