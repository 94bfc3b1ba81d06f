//! A producer's stream, at the log's owner.

use std::time::Duration;

use cinclus_types::message::{Draft, Header, Kind, TxnContext};
use cinclus_types::proto::messages::{self, ManualFlushExtraResponse};
use cinclus_types::{MessageId, PChannel, Term};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use prost::Message as _;
use tonic::Status;

use super::error;
use super::log_service::{Call, WAL_NAME, stopped};
use super::message::{draft_of, id_wire};
use super::proto::produce_request::Request;
use super::proto::produce_response::Response;
use super::proto::{
    Any, CloseProducerResponse, CreateProducerResponse, ProduceMessageResponse, ProduceMessageResponseResult,
    ProduceRequest, ProduceResponse, StreamingError, produce_message_response,
};
use crate::{AppendError, Appended, LogApi};

/// Requests, and bytes of them, that one stream may have under way. Beyond, it is not read any further.
const IN_FLIGHT_MAX: usize = 1024;
const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;

/// Why a stream takes no more requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// The client said so, and waits for the answer to that.
    Asked,
    /// The client went away.
    Gone,
    /// The node stops.
    Stopping,
    /// All is said.
    Over,
}

/// A stream under way.
struct State {
    call: Call<ProduceRequest>,
    created: bool,
    in_flight: FuturesUnordered<BoxFuture<'static, (usize, ProduceMessageResponse)>>,
    bytes: usize,
    closing: Option<Closing>,
}

/// The answers: first that the producer is there, then those of its requests as they come.
pub(super) fn answers(
    call: Call<ProduceRequest>,
) -> impl Stream<Item = Result<ProduceResponse, Status>> + Send {
    let state = State { call, created: false, in_flight: FuturesUnordered::new(), bytes: 0, closing: None };
    futures::stream::unfold(state, |mut state| async move {
        let answer = state.next().await?;
        let answer = answer.map(|response| ProduceResponse { response: Some(response) });
        Some((answer, state))
    })
}

impl State {
    async fn next(&mut self) -> Option<Result<Response, Status>> {
        if !self.created {
            self.created = true;
            let created = CreateProducerResponse {
                wal_name: WAL_NAME.to_owned(),
                producer_server_id: self.call.node.0,
            };
            return Some(Ok(Response::Create(created)));
        }
        loop {
            let takes = self.closing.is_none()
                && self.in_flight.len() < IN_FLIGHT_MAX
                && self.bytes < IN_FLIGHT_BYTES_MAX;
            tokio::select! {
                biased;
                Some((bytes, answer)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.bytes -= bytes;
                    return Some(Ok(Response::Produce(answer)));
                }
                () = stopped(&mut self.call.stopping), if self.closing.is_none() => {
                    self.closing = Some(Closing::Stopping);
                }
                request = self.call.inbound.message(), if takes => self.take(request),
                else => return self.over(),
            }
        }
    }

    /// Everything is answered.
    fn over(&mut self) -> Option<Result<Response, Status>> {
        match self.closing.replace(Closing::Over) {
            Some(Closing::Asked) => Some(Ok(Response::Close(CloseProducerResponse {}))),
            Some(Closing::Stopping) => Some(Err(error::status(error::on_shutdown()))),
            Some(Closing::Gone | Closing::Over) | None => None,
        }
    }

    fn take(&mut self, request: Result<Option<ProduceRequest>, Status>) {
        let (id, drafts) = match request.ok().flatten().map(|request| request.request) {
            Some(Some(Request::Produce(produce))) => {
                let draft = produce.message.ok_or_else(|| error::invalid("there is no message"));
                (produce.request_id, draft.and_then(|message| read(message).map(|draft| vec![draft])))
            }
            Some(Some(Request::Batch(batch))) => {
                (batch.request_id, batch.messages.into_iter().map(read).collect())
            }
            Some(Some(Request::Close(_)) | None) => {
                self.closing = Some(Closing::Asked);
                return;
            }
            None => {
                self.closing = Some(Closing::Gone);
                return;
            }
        };
        let bytes = drafts.as_ref().map_or(0, |drafts| drafts.iter().map(|draft| draft.payload.len()).sum());
        self.bytes += bytes;
        let Call { log, channel, term, .. } = &self.call;
        let (log, channel, term) = (log.clone(), channel.clone(), *term);
        let append = async move {
            let answer = match drafts {
                Ok(drafts) => answer(&*log, &channel, term, drafts).await,
                Err(error) => Err(error),
            };
            let response = match answer {
                Ok(result) => produce_message_response::Response::Result(result),
                Err(error) => produce_message_response::Response::Error(error),
            };
            (bytes, ProduceMessageResponse { request_id: id, response: Some(response) })
        };
        self.in_flight.push(append.boxed());
    }
}

fn read(message: messages::Message) -> Result<Draft, StreamingError> {
    let draft = draft_of(message).map_err(|error| error::invalid(&error.to_string()))?;
    if draft.kind().is_self_controlled() || draft.kind() == Kind::Txn {
        return Err(error::invalid(&format!("a {} is made by the log itself", draft.kind())));
    }
    Ok(draft)
}

/// Does what a request asks for.
async fn answer(
    log: &dyn LogApi,
    channel: &PChannel,
    term: Term,
    mut drafts: Vec<Draft>,
) -> Result<ProduceMessageResponseResult, StreamingError> {
    let Some(first) = drafts.first() else { return Err(error::invalid("there are no messages")) };
    let Some(vchannel) = first.vchannel.clone() else {
        return Err(error::invalid("the message names no vchannel"));
    };
    if vchannel.pchannel() != *channel {
        return Err(error::invalid(&format!("{vchannel} is not a vchannel of {channel}")));
    }
    let (header, txn) = (first.header.clone(), first.txn);
    if drafts.len() > 1 && drafts.iter().any(|draft| draft.kind().is_system()) {
        return Err(error::invalid("a batch is a transaction by itself"));
    }
    let txn_of = || txn.ok_or_else(|| error::invalid("the message names no transaction"));
    let failed = |error: AppendError| error::of_append(&error);
    if let Header::BeginTxn { keepalive } = header {
        let keepalive = Some(keepalive).filter(|span| *span != Duration::MAX);
        let begun = log.begin_txn(&vchannel, term, keepalive).await.map_err(failed)?;
        return Ok(result(&nothing(), Some(begun)));
    }
    let appended = if header == Header::CommitTxn {
        log.commit_txn(&vchannel, term, txn_of()?).await
    } else if header == Header::RollbackTxn {
        log.rollback_txn(&vchannel, term, txn_of()?).await.map(|()| nothing())
    } else if let Some(txn) = txn {
        drafts.iter_mut().for_each(|draft| draft.txn = None);
        log.append_in_txn(&vchannel, term, txn, drafts).await
    } else {
        log.append(channel, term, drafts).await
    };
    let appended = appended.map_err(failed)?;
    let mut result = result(&appended, txn);
    if matches!(header, Header::ManualFlush { .. }) {
        let extra = ManualFlushExtraResponse { segment_ids: result.sealed.clone() };
        let type_url = "type.googleapis.com/milvus.proto.messages.ManualFlushExtraResponse".to_owned();
        result.extra = Some(Any { type_url, value: extra.encode_to_vec().into() });
    }
    Ok(result)
}

fn nothing() -> Appended {
    let (tick, last_confirmed) = (cinclus_types::Tick::ZERO, MessageId::EARLIEST);
    Appended { ids: Vec::new(), tick, sealed: Vec::new(), last_confirmed }
}

/// The id is that of the last message.
fn result(appended: &Appended, txn: Option<TxnContext>) -> ProduceMessageResponseResult {
    let id = appended.ids.last().copied().unwrap_or(MessageId::EARLIEST);
    ProduceMessageResponseResult {
        id: Some(id_wire(id)),
        timetick: appended.tick.0,
        txn_context: txn.map(|txn| messages::TxnContext {
            txn_id: txn.txn.0,
            keepalive_milliseconds: i64::try_from(txn.keepalive.as_millis()).unwrap_or(-1),
        }),
        extra: None,
        last_confirmed_id: Some(id_wire(appended.last_confirmed)),
        ids: appended.ids.iter().map(MessageId::to_string).collect(),
        sealed: appended.sealed.iter().map(|segment| segment.0).collect(),
    }
}
