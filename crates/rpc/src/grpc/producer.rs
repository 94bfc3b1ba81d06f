//! A producer's stream, at the client.

use std::sync::Arc;

use cinclus_env::TaskGroup;
use cinclus_types::message::{Draft, TxnContext};
use cinclus_types::{MessageId, PChannel, SegmentId, Term, Tick, TxnId};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use super::MESSAGE_BYTES_MAX;
use super::error;
use super::message::{draft_wire, id_of};
use super::metadata;
use super::proto::produce_request;
use super::proto::produce_response::Response;
use super::proto::streaming_node_handler_service_client::StreamingNodeHandlerServiceClient;
use super::proto::{
    ProduceBatchRequest, ProduceMessageRequest, ProduceMessageResponse, ProduceMessageResponseResult,
    ProduceRequest, ProduceResponse, produce_message_response,
};
use crate::{AppendError, Appended};

/// Requests that wait for the connection.
const QUEUE: usize = 64;

type Answer = Result<ProduceMessageResponseResult, AppendError>;

/// Requests whose answers are to come; `None` when the stream is over.
type Pending = Arc<Mutex<Option<Waiting>>>;

#[derive(Default)]
struct Waiting {
    next: i64,
    answers: FxHashMap<i64, oneshot::Sender<Answer>>,
}

/// A stream of appends to one log under one term.
pub(super) struct Producer {
    requests: mpsc::Sender<ProduceRequest>,
    pending: Pending,
}

impl Producer {
    /// Opens a stream.
    pub(super) async fn open(
        node: Channel,
        channel: &PChannel,
        term: Term,
        tasks: &TaskGroup,
    ) -> Result<Producer, AppendError> {
        let mut client =
            StreamingNodeHandlerServiceClient::new(node).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let (requests, queue) = mpsc::channel(QUEUE);
        let mut request = Request::new(ReceiverStream::new(queue));
        metadata::name_producer(request.metadata_mut(), metadata::channel_wire(channel, term));
        // Nothing is appended yet, so whatever goes wrong here had no effect.
        let refused = |status: tonic::Status| match error::of_status(&status) {
            Some(error) => error::to_append(&error),
            None => AppendError::NotReady(format!("its owner cannot be reached: {}", error::told(&status))),
        };
        let mut answers = client.produce(request).await.map_err(refused)?.into_inner();
        match answers.message().await.map_err(refused)?.and_then(|first| first.response) {
            Some(Response::Create(_)) => {}
            Some(Response::Produce(_) | Response::Close(_)) | None => {
                return Err(AppendError::NotReady(
                    "its owner does not answer as a log's owner does".to_owned(),
                ));
            }
        }
        let pending: Pending = Arc::new(Mutex::new(Some(Waiting::default())));
        tasks.spawn_until_cancelled("producer", receive(answers, pending.clone()));
        Ok(Producer { requests, pending })
    }

    /// Whether it takes no more.
    pub(super) fn is_over(&self) -> bool {
        self.pending.lock().is_none()
    }

    /// Appends messages: one as it is, several as one transaction.
    pub(super) async fn append(&self, batch: &[Draft]) -> Result<Appended, AppendError> {
        let result = self.call(batch).await?;
        appended(&result)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, begin: Draft) -> Result<TxnContext, AppendError> {
        let result = self.call(&[begin]).await?;
        let txn = result.txn_context.ok_or_else(|| unreadable("it names no transaction"))?;
        let keepalive = u64::try_from(txn.keepalive_milliseconds);
        let keepalive = keepalive.map_or(std::time::Duration::MAX, std::time::Duration::from_millis);
        Ok(TxnContext { txn: TxnId(txn.txn_id), keepalive })
    }

    async fn call(&self, batch: &[Draft]) -> Answer {
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut pending = self.pending.lock();
            let over = || AppendError::NotReady("the connection to its owner broke".to_owned());
            let waiting = pending.as_mut().ok_or_else(over)?;
            waiting.next += 1;
            waiting.answers.insert(waiting.next, answer);
            waiting.next
        };
        let request = match batch {
            [only] => produce_request::Request::Produce(ProduceMessageRequest {
                request_id: id,
                message: Some(draft_wire(only)),
            }),
            batch => produce_request::Request::Batch(ProduceBatchRequest {
                request_id: id,
                messages: batch.iter().map(draft_wire).collect(),
            }),
        };
        // If it is not sent, the stream is over, and the answer says so.
        let _ = self.requests.send(ProduceRequest { request: Some(request) }).await;
        answered.await.unwrap_or_else(|_| Err(broken()))
    }
}

fn broken() -> AppendError {
    AppendError::Unknown("the connection to its owner broke".to_owned())
}

fn unreadable(what: &str) -> AppendError {
    AppendError::Unknown(format!("the answer cannot be read: {what}"))
}

/// Gives every request its answer, and those without one the end of the stream.
async fn receive(mut answers: Streaming<ProduceResponse>, pending: Pending) {
    let _over = Over(pending.clone());
    while let Ok(Some(ProduceResponse { response: Some(response) })) = answers.message().await {
        let ProduceMessageResponse { request_id, response } = match response {
            Response::Produce(answer) => answer,
            Response::Create(_) => continue,
            Response::Close(_) => return,
        };
        let answer = match response {
            Some(produce_message_response::Response::Result(result)) => Ok(result),
            Some(produce_message_response::Response::Error(error)) => Err(error::to_append(&error)),
            None => Err(unreadable("it is empty")),
        };
        let ends = matches!(answer, Err(AppendError::NotOwner | AppendError::Closing));
        let waiting = pending.lock().as_mut().and_then(|waiting| waiting.answers.remove(&request_id));
        if let Some(waiting) = waiting {
            // Whoever asked may have gone.
            let _ = waiting.send(answer);
        }
        if ends && pending.lock().as_ref().is_some_and(|waiting| waiting.answers.is_empty()) {
            return;
        }
    }
}

/// Ends a stream however it ends.
struct Over(Pending);

impl Drop for Over {
    fn drop(&mut self) {
        let waiting = self.0.lock().take().unwrap_or_default();
        for answer in waiting.answers.into_values() {
            let _ = answer.send(Err(broken()));
        }
    }
}

fn appended(result: &ProduceMessageResponseResult) -> Result<Appended, AppendError> {
    let mut ids = Vec::with_capacity(result.ids.len());
    for text in &result.ids {
        let id: MessageId = text.parse().map_err(|_| unreadable("an id is no id"))?;
        ids.push(id);
    }
    if ids.is_empty()
        && let Some(id) = &result.id
    {
        let id = id_of(id, 0).map_err(|error| unreadable(&error.to_string()))?;
        // Ends of transactions have none of their own.
        ids.extend(Some(id).filter(|id| *id != MessageId::EARLIEST));
    }
    let sealed = result.sealed.iter().map(|segment| SegmentId(*segment)).collect();
    let generation = ids.last().map_or(0, |id| id.generation());
    let confirmed = result.last_confirmed_id.as_ref().map(|id| id_of(id, generation)).transpose();
    let last_confirmed = confirmed.map_err(|error| unreadable(&error.to_string()))?;
    let last_confirmed = last_confirmed.unwrap_or(MessageId::EARLIEST);
    Ok(Appended { ids, tick: Tick(result.timetick), sealed, last_confirmed })
}
