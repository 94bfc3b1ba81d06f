//! The answer to an append, while it is on its way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use cinclus_types::MessageId;
use tokio::sync::oneshot;

use crate::error::LogError;

/// Resolves when the batch is durable, with one id a record in the order of the batch, or with the error
/// that ended the writer. Dropping it takes nothing back.
#[must_use = "an append is known to be durable only by its ack"]
pub struct AppendAck(oneshot::Receiver<Result<Vec<MessageId>, LogError>>);

/// The storage's end of an [`AppendAck`].
pub struct AckSender(oneshot::Sender<Result<Vec<MessageId>, LogError>>);

impl AppendAck {
    /// Both ends.
    pub fn pair() -> (AckSender, AppendAck) {
        let (send, receive) = oneshot::channel();
        (AckSender(send), AppendAck(receive))
    }

    /// An answer that is there already.
    pub fn ready(outcome: Result<Vec<MessageId>, LogError>) -> AppendAck {
        let (send, ack) = AppendAck::pair();
        send.resolve(outcome);
        ack
    }
}

impl AckSender {
    /// Gives the answer.
    pub fn resolve(self, outcome: Result<Vec<MessageId>, LogError>) {
        // Nobody may be waiting: that is the waiter's choice.
        let _ = self.0.send(outcome);
    }
}

impl Future for AppendAck {
    type Output = Result<Vec<MessageId>, LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| Err(LogError::Unavailable("the writer ended without an answer".into())))
        })
    }
}
