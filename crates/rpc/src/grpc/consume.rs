//! A consumer's stream, at the log's owner.

use std::collections::VecDeque;
use std::sync::Arc;

use cinclus_types::{NodeId, PChannel, Term, Tick};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use tokio::sync::watch;
use tonic::{Status, Streaming};

use super::error;
use super::log_service::stopped;
use super::message::{CONSUMER_ID, checkpoint_wire, stored_wire, time_tick_wire};
use super::proto::consume_request::Request;
use super::proto::consume_response::Response;
use super::proto::{
    CloseConsumerResponse, CloseVChannelConsumerResponse, ConsumeBatch, ConsumeMessageReponse,
    ConsumeRequest, ConsumeResponse, CreateConsumerResponse, CreateVChannelConsumerRequest,
    CreateVChannelConsumerResponse, create_v_channel_consumer_response,
};
use super::start::{Wanted, wanted};
use crate::{ConsumeError, Deliveries, Delivery, LogApi};

/// Messages that are sent together to those who take them together.
const BATCH_BYTES: usize = 256 << 10;

/// The WAL's name in Milvus' words.
const WAL_NAME: &str = "woodpecker";

/// What a stream works with.
pub(super) struct Consuming {
    pub(super) log: Arc<dyn LogApi>,
    pub(super) channel: PChannel,
    pub(super) term: Term,
    pub(super) node: NodeId,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) inbound: Streaming<ConsumeRequest>,
}

/// A read under way: it is never given up half way, so nothing is read twice.
type Read = BoxFuture<'static, (Box<dyn Deliveries>, Result<Delivery, ConsumeError>)>;

/// How far a stream is.
enum Phase {
    /// The client has not said yet what it wants.
    Waiting,
    /// It gets what it wants.
    Reading { read: Read, after: Tick, batches: bool },
    /// All is said.
    Over,
}

/// A stream under way.
struct State {
    consuming: Consuming,
    phase: Phase,
    ready: VecDeque<Result<Response, Status>>,
}

fn start(mut deliveries: Box<dyn Deliveries>) -> Read {
    async move {
        let next = deliveries.next().await;
        (deliveries, next)
    }
    .boxed()
}

impl Consuming {
    /// The answers: first that the consumer is there, then what it wants.
    pub(super) fn answers(self) -> impl Stream<Item = Result<ConsumeResponse, Status>> + Send {
        let created =
            CreateConsumerResponse { wal_name: WAL_NAME.to_owned(), consumer_server_id: self.node.0 };
        let ready = VecDeque::from([Ok(Response::Create(created))]);
        let state = State { consuming: self, phase: Phase::Waiting, ready };
        futures::stream::unfold(state, |mut state| async move {
            let answer = state.next().await?;
            let answer = answer.map(|response| ConsumeResponse { response: Some(response) });
            Some((answer, state))
        })
    }
}

impl State {
    async fn next(&mut self) -> Option<Result<Response, Status>> {
        loop {
            if let Some(answer) = self.ready.pop_front() {
                return Some(answer);
            }
            match &mut self.phase {
                Phase::Waiting => {
                    let request = tokio::select! {
                        biased;
                        () = stopped(&mut self.consuming.stopping) => {
                            self.end(error::status(error::on_shutdown()));
                            continue;
                        }
                        request = self.consuming.inbound.message() => request,
                    };
                    self.take(request).await;
                }
                Phase::Reading { read, .. } => {
                    let (deliveries, next) = tokio::select! {
                        biased;
                        () = stopped(&mut self.consuming.stopping) => {
                            self.end(error::status(error::on_shutdown()));
                            continue;
                        }
                        request = self.consuming.inbound.message() => {
                            self.take(request).await;
                            continue;
                        }
                        read = read => read,
                    };
                    self.took(deliveries, next);
                }
                Phase::Over => return None,
            }
        }
    }

    fn end(&mut self, status: Status) {
        self.ready.push_back(Err(status));
        self.phase = Phase::Over;
    }

    async fn take(&mut self, request: Result<Option<ConsumeRequest>, Status>) {
        let waiting = matches!(self.phase, Phase::Waiting);
        match request.ok().flatten().map(|request| request.request) {
            Some(Some(Request::CreateVchannelConsumer(create))) if waiting => self.open(create).await,
            Some(Some(Request::CreateVchannelConsumer(_) | Request::CreateVchannelConsumers(_))) => {
                self.end(error::status(error::out_of_turn("a stream serves one consumer of one vchannel")));
            }
            Some(Some(Request::CloseVchannel(close))) => {
                let closed = CloseVChannelConsumerResponse { consumer_id: close.consumer_id };
                self.ready.push_back(Ok(Response::CloseVchannel(closed)));
                self.phase = Phase::Waiting;
            }
            Some(Some(Request::Close(_))) => {
                self.ready.push_back(Ok(Response::Close(CloseConsumerResponse {})));
                self.phase = Phase::Over;
            }
            Some(None) => self.end(error::status(error::invalid("a request without a request"))),
            None => self.phase = Phase::Over,
        }
    }

    async fn open(&mut self, create: CreateVChannelConsumerRequest) {
        let Consuming { log, channel, term, .. } = &self.consuming;
        let opened = match wanted(channel, create) {
            Ok(Wanted { subscription, after, batches }) => {
                let deliveries = log.consume(channel, *term, subscription).await;
                deliveries.map(|deliveries| Phase::Reading { read: start(deliveries), after, batches })
            }
            Err(text) => Err(ConsumeError::Invalid(text)),
        };
        let response = match opened {
            Ok(phase) => {
                self.phase = phase;
                create_v_channel_consumer_response::Response::ConsumerId(CONSUMER_ID)
            }
            Err(error) => {
                self.phase = Phase::Over;
                create_v_channel_consumer_response::Response::Error(error::of_consume(&error))
            }
        };
        let created = CreateVChannelConsumerResponse { response: Some(response) };
        self.ready.push_back(Ok(Response::CreateVchannel(created)));
    }

    /// A read ended: what is at hand beside it goes out with it.
    fn took(&mut self, mut deliveries: Box<dyn Deliveries>, mut next: Result<Delivery, ConsumeError>) {
        let Phase::Reading { after, batches, .. } = self.phase else { return };
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let read = loop {
            match next {
                Ok(delivery) => bytes += write(&delivery, after, self.consuming.term, &mut messages),
                Err(error) => {
                    self.send(messages, batches);
                    self.end(error::status(error::of_consume(&error)));
                    return;
                }
            }
            let mut read = start(deliveries);
            if bytes >= BATCH_BYTES || !batches {
                break read;
            }
            match (&mut read).now_or_never() {
                Some(done) => (deliveries, next) = done,
                None => break read,
            }
        };
        self.send(messages, batches);
        self.phase = Phase::Reading { read, after, batches };
    }

    fn send(&mut self, messages: Vec<ConsumeMessageReponse>, batches: bool) {
        if batches && messages.len() > 1 {
            self.ready.push_back(Ok(Response::Batch(ConsumeBatch { messages })));
        } else {
            self.ready.extend(messages.into_iter().map(|message| Ok(Response::Consume(message))));
        }
    }
}

/// The messages of a delivery, the last one with its checkpoint; their bytes.
fn write(delivery: &Delivery, after: Tick, term: Term, into: &mut Vec<ConsumeMessageReponse>) -> usize {
    if delivery.tick <= after {
        return 0;
    }
    let first = into.len();
    match &delivery.txn {
        // Invariant W5. With nothing in between.
        Some(txn) => {
            let whole = std::iter::once(&txn.begin).chain(&delivery.messages).chain([&txn.commit]);
            into.extend(whole.map(stored_wire));
        }
        None if delivery.messages.is_empty() => into.push(time_tick_wire(term, delivery.checkpoint)),
        None => into.extend(delivery.messages.iter().map(stored_wire)),
    }
    if let Some(last) = into.last_mut() {
        last.checkpoint = Some(checkpoint_wire(delivery.checkpoint));
    }
    let bytes =
        |sent: &ConsumeMessageReponse| sent.message.as_ref().map_or(0, |message| message.payload.len());
    into[first..].iter().map(|sent| bytes(sent) + 256).sum()
}
