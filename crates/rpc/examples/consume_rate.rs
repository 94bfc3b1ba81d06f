//! How fast deliveries go through gRPC on loopback: both ends in one process on one thread, the log itself left
//! out. `cargo run --release -p cinclus-rpc --example consume_rate`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example that prints what it measures")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::Env;
use cinclus_rpc::grpc::{LogService, RemoteLog};
use cinclus_rpc::{
    AppendError, Appended, ConsumeError, Deliveries, Delivery, DeliveryKind, LogApi, ScanFilter, ScanFrom,
    Subscription,
};
use cinclus_types::message::{Draft, Header, LastConfirmed, Message, Placement, TxnContext};
use cinclus_types::{
    Checkpoint, CollectionId, MessageId, NodeId, PChannel, PartitionId, SegmentId, Term, Tick, VChannel,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

const TOTAL_BYTES: usize = 4 << 30;

/// A log whose messages all have the same bytes.
struct Same {
    payload: Bytes,
}

struct Reader {
    payload: Bytes,
    next: u64,
}

#[async_trait]
impl Deliveries for Reader {
    async fn next(&mut self) -> Result<Delivery, ConsumeError> {
        self.next += 1;
        let header = Header::Insert {
            collection: CollectionId(7),
            partition: PartitionId(8),
            rows: 100,
            binary_size: self.payload.len() as u64,
            segment: None,
            schema_version: 0,
        };
        let draft = Draft::new(VChannel::new("p_0_7v0"), header, self.payload.clone());
        let (id, tick) = (MessageId::from_parts(0, 1, self.next), Tick(self.next));
        let stamped = draft.stamp(tick, Term(1), LastConfirmed::Own);
        let message: Message = stamped.place(Placement::Into(SegmentId(9))).stored(id);
        let checkpoint = Checkpoint { resume: id.next(), tick };
        let (messages, kind) = (vec![message], DeliveryKind::Message);
        Ok(Delivery { tick, messages, kind, txn: None, checkpoint, log_bytes: 0 })
    }
}

#[async_trait]
impl LogApi for Same {
    async fn check_owner(&self, _: &PChannel, _: Term) -> Result<(), AppendError> {
        Ok(())
    }

    async fn append(&self, _: &PChannel, _: Term, _: Vec<Draft>) -> Result<Appended, AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn begin_txn(&self, _: &VChannel, _: Term, _: Option<Duration>) -> Result<TxnContext, AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn append_in_txn(
        &self,
        _: &VChannel,
        _: Term,
        _: TxnContext,
        _: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn commit_txn(&self, _: &VChannel, _: Term, _: TxnContext) -> Result<Appended, AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn rollback_txn(&self, _: &VChannel, _: Term, _: TxnContext) -> Result<(), AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn consume(
        &self,
        _: &PChannel,
        _: Term,
        _: Subscription,
    ) -> Result<Box<dyn Deliveries>, ConsumeError> {
        Ok(Box::new(Reader { payload: self.payload.clone(), next: 0 }))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let env = Env::os();
    for bytes in [1 << 10, 16 << 10, 64 << 10, 1 << 20] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let log = Arc::new(Same { payload: vec![7; bytes].into() });
        let service = LogService::new(log, NodeId(1), stopping).into_service();
        let server = Server::builder().tcp_nodelay(true).add_service(service);
        let server = server.serve_with_incoming(TcpListenerStream::new(listener));
        env.tasks.spawn_until_cancelled("server", server);
        let remote = RemoteLog::at(&address, &env.tasks).unwrap();
        let subscription = Subscription { from: ScanFrom::Earliest, filter: ScanFilter::default() };
        let mut reader = remote.consume(&PChannel::new("p_0"), Term(1), subscription).await.unwrap();
        let total = TOTAL_BYTES.min(bytes * 400_000);
        let start = env.clock.monotonic();
        for _ in 0..total / bytes {
            reader.next().await.unwrap();
        }
        let seconds = (env.clock.monotonic() - start).as_secs_f64();
        println!("{bytes:>8} bytes a message: {:>6.0} MB/s on one thread", total as f64 / 1e6 / seconds);
        stop.send_replace(true);
    }
}
