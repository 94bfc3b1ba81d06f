//! A log's owner in another process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::TaskGroup;
use cinclus_types::message::{Draft, Header, TxnContext};
use cinclus_types::{PChannel, Term, VChannel};
use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};

use super::producer::Producer;
use super::remote_deliveries::RemoteDeliveries;
use super::{CONNECTION_WINDOW_BYTES, FRAME_BYTES, STREAM_WINDOW_BYTES};
use crate::{AppendError, Appended, ConsumeError, Deliveries, LogApi, Subscription};

/// The place of a producer; its lock is held while one is opened, so that there is one.
type Place = Arc<tokio::sync::Mutex<Option<Arc<Producer>>>>;

/// A node that is called over gRPC as the owner of logs. It has one stream for the appends to each log, and one
/// for each subscription; a connection that broke is made again by the next call.
pub struct RemoteLog {
    node: Channel,
    tasks: TaskGroup,
    producers: Mutex<BTreeMap<(PChannel, Term), Place>>,
}

/// The connection to an address such as `http://127.0.0.1:19530`; it is made when it is needed.
///
/// # Errors
/// The address is none.
pub(super) fn connection(address: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(address.to_owned());
    let endpoint = endpoint.map_err(|error| format!("{address:?} is no address: {error}"))?;
    Ok(endpoint
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(10))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .connect_lazy())
}

impl RemoteLog {
    /// The node at an address such as `http://127.0.0.1:19530`. Called within a runtime; its streams are tasks
    /// of `tasks`.
    ///
    /// # Errors
    /// The address is none.
    pub fn at(address: &str, tasks: &TaskGroup) -> Result<RemoteLog, String> {
        Ok(RemoteLog { node: connection(address)?, tasks: tasks.child(), producers: Mutex::default() })
    }

    async fn producer(&self, channel: &PChannel, term: Term) -> Result<Arc<Producer>, AppendError> {
        let place = {
            let mut producers = self.producers.lock();
            producers.retain(|(of, known), _| of != channel || *known >= term);
            producers.entry((channel.clone(), term)).or_default().clone()
        };
        let mut place = place.lock().await;
        if let Some(producer) = place.as_ref().filter(|producer| !producer.is_over()) {
            return Ok(producer.clone());
        }
        let producer = Arc::new(Producer::open(self.node.clone(), channel, term, &self.tasks).await?);
        *place = Some(producer.clone());
        Ok(producer)
    }

    async fn end(
        &self,
        vchannel: &VChannel,
        term: Term,
        (txn, header): (TxnContext, Header),
    ) -> Result<Appended, AppendError> {
        let end = Draft { txn: Some(txn), ..Draft::new(vchannel.clone(), header, Bytes::new()) };
        self.producer(&vchannel.pchannel(), term).await?.append(&[end]).await
    }
}

#[async_trait]
impl LogApi for RemoteLog {
    async fn check_owner(&self, channel: &PChannel, term: Term) -> Result<(), AppendError> {
        self.producer(channel, term).await.map(|_| ())
    }

    async fn append(
        &self,
        channel: &PChannel,
        term: Term,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        self.producer(channel, term).await?.append(&batch).await
    }

    async fn begin_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        keepalive: Option<Duration>,
    ) -> Result<TxnContext, AppendError> {
        // None is the log's default, which is what nothing says too.
        let header = Header::BeginTxn { keepalive: keepalive.unwrap_or_default() };
        let begin = Draft::new(vchannel.clone(), header, Bytes::new());
        self.producer(&vchannel.pchannel(), term).await?.begin(begin).await
    }

    async fn append_in_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        let batch: Vec<Draft> = batch.into_iter().map(|draft| Draft { txn: Some(txn), ..draft }).collect();
        self.producer(&vchannel.pchannel(), term).await?.append(&batch).await
    }

    async fn commit_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
    ) -> Result<Appended, AppendError> {
        self.end(vchannel, term, (txn, Header::CommitTxn)).await
    }

    async fn rollback_txn(
        &self,
        vchannel: &VChannel,
        term: Term,
        txn: TxnContext,
    ) -> Result<(), AppendError> {
        self.end(vchannel, term, (txn, Header::RollbackTxn)).await.map(|_| ())
    }

    async fn consume(
        &self,
        channel: &PChannel,
        term: Term,
        subscription: Subscription,
    ) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let deliveries = RemoteDeliveries::open(self.node.clone(), channel, term, &subscription).await?;
        Ok(Box::new(deliveries))
    }
}

impl Drop for RemoteLog {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}
