//! Serves a log's owner over gRPC.

use std::pin::Pin;
use std::sync::Arc;

use cinclus_types::NodeId;
use futures::Stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::MESSAGE_BYTES_MAX;
use super::consume::Consuming;
use super::error;
use super::metadata;
use super::produce::Producing;
use super::proto::streaming_node_handler_service_server::{
    StreamingNodeHandlerService, StreamingNodeHandlerServiceServer,
};
use super::proto::{ConsumeRequest, ConsumeResponse, ProduceRequest, ProduceResponse};
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

#[tonic::async_trait]
impl StreamingNodeHandlerService for LogService {
    type ProduceStream = Answers<ProduceResponse>;
    type ConsumeStream = Answers<ConsumeResponse>;

    async fn produce(
        &self,
        request: Request<Streaming<ProduceRequest>>,
    ) -> Result<Response<Self::ProduceStream>, Status> {
        let (channel, term) = metadata::producer(request.metadata()).map_err(error::status)?;
        let owned = self.log.check_owner(&channel, term).await;
        owned.map_err(|refused| error::status(error::of_create(&refused)))?;
        let producing = Producing {
            log: self.log.clone(),
            channel,
            term,
            node: self.node,
            stopping: self.stopping.clone(),
            inbound: request.into_inner(),
        };
        Ok(Response::new(Box::pin(producing.answers())))
    }

    async fn consume(
        &self,
        request: Request<Streaming<ConsumeRequest>>,
    ) -> Result<Response<Self::ConsumeStream>, Status> {
        let (channel, term) = metadata::consumer(request.metadata()).map_err(error::status)?;
        let owned = self.log.check_owner(&channel, term).await;
        owned.map_err(|refused| error::status(error::of_create(&refused)))?;
        let consuming = Consuming {
            log: self.log.clone(),
            channel,
            term,
            node: self.node,
            stopping: self.stopping.clone(),
            inbound: request.into_inner(),
        };
        Ok(Response::new(Box::pin(consuming.answers())))
    }
}

/// Ends when the node stops.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left to say so: it does not stop.
        std::future::pending::<()>().await;
    }
}
