//! Why a log is not served any more although nobody closed it.

use cinclus_rpc::{AppendError, NodeError, ReadError};
use cinclus_types::{PChannel, Term, VChannel};
use cinclus_wal::FeedError;
use tokio::sync::watch;

/// Set once by the pump when it ends; everybody else looks. Clones are the same.
#[derive(Clone)]
pub(crate) struct Ending {
    channel: PChannel,
    why: watch::Sender<Option<FeedError>>,
}

/// What the end of a feed comes to, if the catalog says under which term the log was last persisted: an owner under a
/// later term lets go of what is not read here yet, and nothing is wrong with the log then.
pub(crate) fn judged(error: FeedError, own: Term, persisted: Option<Term>) -> FeedError {
    match (error, persisted) {
        (FeedError::Truncated { .. }, Some(later)) if later > own => {
            FeedError::Closed(format!("it was taken over under term {later}"))
        }
        (error, _) => error,
    }
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

#[cfg(test)]
mod tests {
    use cinclus_types::MessageId;

    use super::*;

    #[test]
    fn a_log_that_a_later_owner_truncated_is_not_corrupt() {
        let truncated = || FeedError::Truncated { earliest: MessageId::from_parts(0, 6, 4) };
        let corruption = |persisted| {
            let ending = Ending::of(&PChannel::new("log"));
            ending.set(judged(truncated(), Term(3), persisted));
            ending.corruption()
        };
        assert_eq!(corruption(Some(Term(4))), None, "somebody else goes on with it");
        let lost = Some(truncated().to_string());
        assert_eq!(corruption(Some(Term(3))), lost, "what was needed is gone");
        assert_eq!(corruption(None), lost);
    }
}
