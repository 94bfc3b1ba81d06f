//! A consumer's stream, at the client.

use std::collections::VecDeque;

use async_trait::async_trait;
use cinclus_types::message::{Kind, Message};
use cinclus_types::{Checkpoint, PChannel, Term};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::delivered::Delivered;
use super::error;
use super::message::stored_of;
use super::metadata;
use super::proto::consume_response::Response;
use super::proto::streaming_node_handler_service_client::StreamingNodeHandlerServiceClient;
use super::proto::{ConsumeRequest, ConsumeResponse, consume_request, create_v_channel_consumer_response};
use super::{MESSAGE_BYTES_MAX, start};
use crate::{ConsumeError, Deliveries, Delivery, DeliveryKind, Subscription, TxnEnds};

/// A subscription at a node in another process. The stream ends when this is dropped.
pub(super) struct RemoteDeliveries {
    answers: Streaming<ConsumeResponse>,
    _requests: mpsc::Sender<ConsumeRequest>,
    received: VecDeque<Delivered>,
    /// The transaction that is being received.
    begin: Option<Message>,
    bodies: Vec<Message>,
    log_bytes: u64,
    /// Why there is no more behind what was given.
    failed: Option<ConsumeError>,
}

fn unexpected(what: &str) -> ConsumeError {
    ConsumeError::Unavailable(format!("its owner does not answer as a log's owner does: {what}"))
}

impl RemoteDeliveries {
    /// Opens a stream.
    pub(super) async fn open(
        node: Channel,
        channel: &PChannel,
        term: Term,
        subscription: &Subscription,
    ) -> Result<RemoteDeliveries, ConsumeError> {
        let mut client =
            StreamingNodeHandlerServiceClient::new(node).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let (requests, queue) = mpsc::channel(1);
        let mut request = Request::new(ReceiverStream::new(queue));
        metadata::name_consumer(request.metadata_mut(), metadata::channel_wire(channel, term));
        let create = consume_request::Request::CreateVchannelConsumer(start::request(subscription));
        let failed = |status: Status| error::consume_of_status(&status);
        let mut answers = client.consume(request).await.map_err(failed)?.into_inner();
        match answers.message().await.map_err(failed)?.and_then(|answer| answer.response) {
            Some(Response::Create(_)) => {}
            _ => return Err(unexpected("it creates no consumer")),
        }
        let sent = requests.send(ConsumeRequest { request: Some(create) }).await;
        sent.map_err(|_| ConsumeError::Unavailable("the connection broke".to_owned()))?;
        let Some(Response::CreateVchannel(created)) =
            answers.message().await.map_err(failed)?.and_then(|answer| answer.response)
        else {
            return Err(unexpected("it does not say whether it has the vchannel"));
        };
        match created.response {
            Some(create_v_channel_consumer_response::Response::ConsumerId(_)) => {}
            Some(create_v_channel_consumer_response::Response::Error(error)) => {
                return Err(error::to_consume(&error));
            }
            None => return Err(unexpected("an empty answer")),
        }
        let (received, begin, bodies) = (VecDeque::new(), None, Vec::new());
        let _requests = requests;
        Ok(RemoteDeliveries { answers, _requests, received, begin, bodies, log_bytes: 0, failed: None })
    }

    async fn receive(&mut self) -> Result<(), ConsumeError> {
        let answer = self.answers.message().await.map_err(|status| error::consume_of_status(&status))?;
        match answer.map(|answer| answer.response) {
            Some(Some(Response::Consume(message))) => self.received.push_back(message),
            Some(Some(Response::Batch(batch))) => self.received.extend(batch.messages),
            Some(Some(Response::Close(_) | Response::CloseVchannel(_))) | None => {
                return Err(ConsumeError::Closed("its owner ended the stream".to_owned()));
            }
            Some(
                Some(Response::Create(_) | Response::CreateVchannel(_) | Response::CreateVchannels(_)) | None,
            ) => return Err(unexpected("an answer that was not asked for")),
        }
        Ok(())
    }

    /// Takes in a message; whether something is whole with it.
    fn take(&mut self, sent: Delivered) -> Result<Option<Delivery>, ConsumeError> {
        let (message, checkpoint) =
            stored_of(sent).map_err(|status| ConsumeError::Corrupt(status.message().to_owned()))?;
        self.log_bytes += message.payload().len() as u64;
        // Whoever does not tell a checkpoint tells a last confirmed id, which is as good.
        let own = Checkpoint { resume: message.last_confirmed(), tick: message.tick() };
        let checkpoint = checkpoint.unwrap_or(own);
        let tick = message.tick();
        let kind = message.kind();
        let (kind, messages, txn) = if kind == Kind::TimeTick {
            (DeliveryKind::TimeTick, Vec::new(), None)
        } else if kind == Kind::BeginTxn {
            (self.begin, self.bodies) = (Some(message), Vec::new());
            return Ok(None);
        } else if kind == Kind::CommitTxn {
            let Some(begin) = self.begin.take() else {
                return Err(unexpected("a commit without a begin"));
            };
            let ends = TxnEnds { begin, commit: message };
            (DeliveryKind::Txn, std::mem::take(&mut self.bodies), Some(ends))
        } else if message.txn().is_some() {
            self.bodies.push(message);
            return Ok(None);
        } else {
            (DeliveryKind::Message, vec![message], None)
        };
        let log_bytes = std::mem::take(&mut self.log_bytes);
        Ok(Some(Delivery { tick, messages, kind, txn, checkpoint, log_bytes }))
    }
}

#[async_trait]
impl Deliveries for RemoteDeliveries {
    async fn next(&mut self) -> Result<Delivery, ConsumeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            match self.received.pop_front() {
                Some(sent) => {
                    if let Some(delivery) = self.take(sent)? {
                        return Ok(delivery);
                    }
                }
                None => self.receive().await?,
            }
        }
    }

    async fn next_together(&mut self, bytes: usize) -> Result<Vec<Delivery>, ConsumeError> {
        let mut together = vec![self.next().await?];
        let mut taken = together[0].log_bytes;
        while taken < bytes as u64
            && let Some(sent) = self.received.pop_front()
        {
            match self.take(sent) {
                Ok(Some(delivery)) => {
                    taken += delivery.log_bytes;
                    together.push(delivery);
                }
                Ok(None) => {}
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(together)
    }
}
