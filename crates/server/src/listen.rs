//! The ports: Milvus' service with its streaming service, and health and metrics.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use cinclus_rpc::grpc::{LogService, ViewService};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::assemble::Standalone;
use crate::config::ServerConfig;

/// What a client may send in one frame. With the 16 KiB that HTTP/2 begins with, a batch of rows takes hundreds of calls
/// to the kernel on both sides; much larger ones leave the processor's cache before they are decoded.
const FRAME_BYTES_MAX: u32 = 128 << 10;

/// The bound ports.
pub(crate) struct Listeners {
    service: TcpListener,
    management: TcpListener,
}

impl Listeners {
    /// Binds the ports.
    pub(crate) async fn bind(config: &ServerConfig) -> anyhow::Result<Listeners> {
        let bind = |addr: SocketAddr| async move {
            TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))
        };
        let service = bind(config.listen).await?;
        Ok(Listeners { service, management: bind(config.management_listen).await? })
    }

    /// Where Milvus clients connect.
    pub(crate) fn service_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.service.local_addr()?)
    }

    /// Where health and metrics are.
    pub(crate) fn management_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.management.local_addr()?)
    }

    /// Serves until `stop` ends, then lets requests under way finish within a bound.
    pub(crate) async fn serve(
        self,
        standalone: &Standalone,
        config: &ServerConfig,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let stopping = watch::Sender::new(false);
        let stopped = |mut stopping: watch::Receiver<bool>| async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        let (logs, node) = standalone.logs.clone();
        let address = format!("http://{}", self.service_addr()?);
        let view = ViewService::new(standalone.assignments.clone(), address, stopping.subscribe());
        let service = Server::builder()
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .initial_stream_window_size(8 << 20)
            .initial_connection_window_size(32 << 20)
            .max_frame_size(FRAME_BYTES_MAX)
            .add_service(standalone.proxy.clone().into_service())
            .add_service(LogService::new(logs, node, stopping.subscribe()).into_service())
            .add_service(view.into_service())
            .serve_with_incoming_shutdown(NoDelay::wrap(self.service), stopped(stopping.subscribe()));
        let telemetry = standalone.env.telemetry.clone();
        let routes = Router::new()
            .route("/healthz", get(|| async { "OK" }))
            .route("/metrics", get(move || async move { telemetry.render() }));
        let management =
            axum::serve(self.management, routes).with_graceful_shutdown(stopped(stopping.subscribe()));
        let clock = standalone.env.clock.clone();
        let bound = async {
            stop.await;
            stopping.send_replace(true);
            clock.sleep(config.shutdown_timeout).await;
        };
        tokio::select! {
            biased;
            served = async { tokio::join!(service, management) } => {
                served.0.context("the service failed")?;
                served.1.context("the management port failed")?;
            }
            () = bound => tracing::warn!("requests under way did not finish in time"),
        }
        Ok(())
    }
}

/// Accepted connections, without Nagle's delay.
struct NoDelay;

impl NoDelay {
    fn wrap(listener: TcpListener) -> impl futures::Stream<Item = std::io::Result<tokio::net::TcpStream>> {
        use futures::StreamExt;
        TcpListenerStream::new(listener).map(|stream| {
            let stream = stream?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}
