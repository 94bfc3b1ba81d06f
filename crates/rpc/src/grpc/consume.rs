//! A consumers' stream, at the log's owner.

use std::collections::VecDeque;

use futures::Stream;
use tonic::Status;

use super::consumers::{Consumers, Read};
use super::error;
use super::log_service::{Call, WAL_NAME, stopped};
use super::proto::consume_request::Request;
use super::proto::consume_response::Response;
use super::proto::{
    CloseConsumerResponse, CloseVChannelConsumerResponse, ConsumeBatch, ConsumeRequest, ConsumeResponse,
    CreateConsumerResponse, CreateVChannelConsumerRequest, CreateVChannelConsumerResponse,
    CreateVChannelConsumersResponse, create_v_channel_consumer_response,
};
use super::start::wanted;
use crate::ConsumeError;

/// A stream under way.
struct State {
    call: Call<ConsumeRequest>,
    consumers: Consumers,
    ready: VecDeque<Result<Response, Status>>,
    over: bool,
}

/// The answers: first that the stream is there, then what its consumers want.
pub(super) fn answers(
    call: Call<ConsumeRequest>,
) -> impl Stream<Item = Result<ConsumeResponse, Status>> + Send {
    let created = CreateConsumerResponse { wal_name: WAL_NAME.to_owned(), consumer_server_id: call.node.0 };
    let ready = VecDeque::from([Ok(Response::Create(created))]);
    let state = State { call, consumers: Consumers::default(), ready, over: false };
    futures::stream::unfold(state, |mut state| async move {
        let answer = state.next().await?;
        let answer = answer.map(|response| ConsumeResponse { response: Some(response) });
        Some((answer, state))
    })
}

impl State {
    async fn next(&mut self) -> Option<Result<Response, Status>> {
        loop {
            if let Some(answer) = self.ready.pop_front() {
                return Some(answer);
            }
            if self.over {
                return None;
            }
            tokio::select! {
                biased;
                () = stopped(&mut self.call.stopping) => self.end(error::status(error::on_shutdown())),
                request = self.call.inbound.message() => self.take(request).await,
                read = self.consumers.next() => self.took(read),
            }
        }
    }

    fn end(&mut self, status: Status) {
        self.ready.push_back(Err(status));
        self.over = true;
    }

    async fn take(&mut self, request: Result<Option<ConsumeRequest>, Status>) {
        match request.ok().flatten().map(|request| request.request) {
            Some(Some(Request::CreateVchannelConsumer(create))) => {
                let created = self.open(create).await;
                self.ready.push_back(Ok(Response::CreateVchannel(created)));
            }
            Some(Some(Request::CreateVchannelConsumers(several))) => {
                let mut create_vchannels = Vec::with_capacity(several.create_vchannels.len());
                for create in several.create_vchannels {
                    create_vchannels.push(self.open(create).await);
                }
                let created = CreateVChannelConsumersResponse { create_vchannels };
                self.ready.push_back(Ok(Response::CreateVchannels(created)));
            }
            Some(Some(Request::CloseVchannel(close))) => {
                self.consumers.close(close.consumer_id);
                let closed = CloseVChannelConsumerResponse { consumer_id: close.consumer_id };
                self.ready.push_back(Ok(Response::CloseVchannel(closed)));
            }
            Some(Some(Request::Close(_))) => {
                self.ready.push_back(Ok(Response::Close(CloseConsumerResponse {})));
                self.over = true;
            }
            Some(None) => self.end(error::status(error::invalid("a request without a request"))),
            None => self.over = true,
        }
    }

    /// Opens one more consumer. A failure is its own: the others go on.
    async fn open(&mut self, create: CreateVChannelConsumerRequest) -> CreateVChannelConsumerResponse {
        let Call { log, channel, term, .. } = &self.call;
        let opened = match wanted(channel, create) {
            Ok(wanted) => {
                let deliveries = log.consume(channel, *term, wanted.subscription.clone()).await;
                deliveries.map(|deliveries| self.consumers.add(&wanted, deliveries))
            }
            Err(text) => Err(ConsumeError::Invalid(text)),
        };
        let response = match opened {
            Ok(consumer) => create_v_channel_consumer_response::Response::ConsumerId(consumer),
            Err(error) => create_v_channel_consumer_response::Response::Error(error::of_consume(&error)),
        };
        CreateVChannelConsumerResponse { response: Some(response) }
    }

    /// What a read brought goes out. If a consumer can get no more, the stream ends with the reason.
    fn took(&mut self, read: Read) {
        let taken = self.consumers.take(read, self.call.term);
        let mut messages = taken.messages;
        if taken.together && messages.len() > 1 {
            self.ready.push_back(Ok(Response::Batch(ConsumeBatch { messages })));
        } else {
            self.ready.extend(messages.drain(..).map(|message| Ok(Response::Consume(message))));
        }
        if let Some(error) = taken.ended {
            self.end(error::status(error::of_consume(&error)));
        }
    }
}
