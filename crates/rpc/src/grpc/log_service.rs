//! Serves a log's owner over gRPC.

use std::pin::Pin;
use std::sync::Arc;

use cinclus_types::{NodeId, PChannel, Term};
use futures::Stream;
use tokio::sync::watch;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::proto::StreamingError;
use super::proto::streaming_node_handler_service_server::{
    StreamingNodeHandlerService, StreamingNodeHandlerServiceServer,
};
use super::proto::{ConsumeRequest, ConsumeResponse, ProduceRequest, ProduceResponse};
use super::{MESSAGE_BYTES_MAX, consume, error, metadata, produce};
use crate::LogApi;

/// Milvus' `StreamingNodeHandlerService` on a node of ours.
pub struct LogService {
    log: Arc<dyn LogApi>,
    node: NodeId,
    stopping: watch::Receiver<bool>,
}

impl LogService {
    /// Serves `log`, which is the node `node`. Streams end soon after `stopping` says so.
    #[must_use]
    pub fn new(log: Arc<dyn LogApi>, node: NodeId, stopping: watch::Receiver<bool>) -> LogService {
        LogService { log, node, stopping }
    }

    /// As a service of a tonic server.
    #[must_use]
    pub fn into_service(self) -> StreamingNodeHandlerServiceServer<LogService> {
        StreamingNodeHandlerServiceServer::new(self).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The WAL's name in Milvus' words.
pub(super) const WAL_NAME: &str = "woodpecker";

/// What a stream works with: the log that it is for, which is served here, and what its client says.
pub(super) struct Call<R> {
    pub(super) log: Arc<dyn LogApi>,
    pub(super) channel: PChannel,
    pub(super) term: Term,
    pub(super) node: NodeId,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) inbound: Streaming<R>,
}

impl LogService {
    /// Begins a stream for the log that `named` finds in its metadata.
    async fn call<R>(
        &self,
        request: Request<Streaming<R>>,
        named: impl FnOnce(&MetadataMap) -> Result<(PChannel, Term), StreamingError>,
    ) -> Result<Call<R>, Status> {
        let (channel, term) = named(request.metadata()).map_err(error::status)?;
        let owned = self.log.check_owner(&channel, term).await;
        owned.map_err(|refused| error::status(error::of_create(&refused)))?;
        let (log, node, stopping) = (self.log.clone(), self.node, self.stopping.clone());
        Ok(Call { log, channel, term, node, stopping, inbound: request.into_inner() })
    }
}

#[tonic::async_trait]
impl StreamingNodeHandlerService for LogService {
    type ProduceStream = Answers<ProduceResponse>;
    type ConsumeStream = Answers<ConsumeResponse>;

    async fn produce(
        &self,
        request: Request<Streaming<ProduceRequest>>,
    ) -> Result<Response<Self::ProduceStream>, Status> {
        let call = self.call(request, metadata::producer).await?;
        Ok(Response::new(Box::pin(produce::answers(call))))
    }

    async fn consume(
        &self,
        request: Request<Streaming<ConsumeRequest>>,
    ) -> Result<Response<Self::ConsumeStream>, Status> {
        let call = self.call(request, metadata::consumer).await?;
        Ok(Response::new(Box::pin(consume::answers(call))))
    }
}

/// Ends when the node stops.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left to say so: it does not stop.
        std::future::pending::<()>().await;
    }
}
