//! A server on loopback, and ways to it.

use std::sync::Arc;

use cinclus_env::Env;
use cinclus_rpc::LogApi;
use cinclus_rpc::grpc::{LogService, RemoteLog, ViewService};
use cinclus_types::{AssignmentView, NodeId};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::memory_log::MemoryLog;

pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) view: watch::Sender<AssignmentView>,
    pub(crate) address: String,
    pub(crate) stopping: watch::Sender<bool>,
}

impl World {
    pub(crate) async fn new() -> World {
        let (env, log) = (Env::os(), MemoryLog::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (view, stopping) = (watch::Sender::new(AssignmentView::default()), watch::Sender::new(false));
        let api: Arc<dyn LogApi> = log.clone();
        let logs = LogService::new(api, NodeId(7), stopping.subscribe());
        let views = ViewService::new(view.subscribe(), address.clone(), stopping.subscribe());
        let server = Server::builder()
            .add_service(logs.into_service())
            .add_service(views.into_service())
            .serve_with_incoming(TcpListenerStream::new(listener));
        env.tasks.spawn_until_cancelled("server", async move { server.await.unwrap() });
        World { env, log, view, address, stopping }
    }

    pub(crate) fn remote(&self) -> RemoteLog {
        RemoteLog::at(&self.address, &self.env.tasks).unwrap()
    }
}
