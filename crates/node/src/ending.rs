//! Why a log is not served any more although nobody closed it.

use cinclus_rpc::{AppendError, NodeError, ReadError};
use cinclus_types::{PChannel, VChannel};
use cinclus_wal::FeedError;
use tokio::sync::watch;

/// Set once by the pump when it ends; everybody else looks. Clones are the same.
#[derive(Clone)]
pub(crate) struct Ending {
    channel: PChannel,
    why: watch::Sender<Option<FeedError>>,
}

impl Ending {
    pub(crate) fn of(channel: &PChannel) -> Ending {
        Ending { channel: channel.clone(), why: watch::Sender::new(None) }
    }

    /// The pump ends.
    pub(crate) fn set(&self, error: FeedError) {
        self.why.send_replace(Some(error));
    }

    /// What makes the log corrupt, if that is why the pump ended.
    pub(crate) fn corruption(&self) -> Option<String> {
        match &*self.why.borrow() {
            None | Some(FeedError::Closed(_)) => None,
            Some(FeedError::Corrupt(reason)) => Some(reason.clone()),
            Some(error @ FeedError::Truncated { .. }) => Some(error.to_string()),
        }
    }

    /// A reason that names the log too.
    pub(crate) fn named(&self, reason: &str) -> String {
        format!("{}: {reason}", self.channel)
    }

    /// What a read of a shard comes to, unless the pump has ended, or ends while the read waits for it.
    pub(crate) async fn or<T>(
        &self,
        vchannel: &VChannel,
        read: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let mut why = self.why.subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as `self`.
            _ = why.wait_for(Option::is_some) => {}
            output = read => return output,
        }
        Err(match self.corruption() {
            Some(reason) => corrupt_read(&self.channel, &reason),
            None => ReadError::NotServed(vchannel.clone()),
        })
    }

    /// The error of opening the log.
    pub(crate) fn of_opening(&self, error: AppendError) -> NodeError {
        match (self.corruption(), error) {
            (Some(reason), _) | (None, AppendError::Corrupt(reason)) => {
                NodeError::Corrupt { channel: self.channel.clone(), reason }
            }
            (None, error) => NodeError::Unavailable(error.to_string()),
        }
    }
}

/// The error of reading a corrupt log: it names the log too.
pub(crate) fn corrupt_read(channel: &PChannel, reason: &str) -> ReadError {
    ReadError::Corrupt(format!("{channel}: {reason}"))
}

/// The error of appending to a corrupt log: it names the log too.
pub(crate) fn corrupt_append(channel: &PChannel, reason: &str) -> AppendError {
    AppendError::Corrupt(format!("{channel}: {reason}"))
}
