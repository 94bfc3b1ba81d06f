//! `cinclus standalone`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use futures::FutureExt;
use tracing_subscriber::EnvFilter;

use crate::assemble::Standalone;
use crate::config::ServerConfig;
use crate::shutdown::Stop;
use crate::{give_back, listen};

/// What `cinclus standalone` can be told; flags win over the configuration file.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StandaloneArgs {
    /// A YAML file with Milvus' key names; an unknown key is an error.
    #[arg(long, value_name = "FILE", env = "CINCLUS_CONFIG")]
    config: Option<PathBuf>,
    /// Where logs, metadata and segments are kept [default: ./cinclus-data].
    #[arg(long, value_name = "DIR", env = "CINCLUS_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where Milvus clients connect [default: 127.0.0.1:19530].
    #[arg(long, value_name = "ADDR", env = "CINCLUS_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where /healthz and /metrics are served [default: 127.0.0.1:9091].
    #[arg(long, value_name = "ADDR", env = "CINCLUS_MANAGEMENT_LISTEN")]
    management_listen: Option<SocketAddr>,
    /// What is logged, as in RUST_LOG: `info`, `cinclus_wal=debug`, … [default: info]
    #[arg(long, value_name = "FILTER", env = "RUST_LOG")]
    log: Option<String>,
}

/// Runs until a signal ends it.
pub(crate) fn run(args: &StandaloneArgs) -> anyhow::Result<()> {
    let mut config = match &args.config {
        Some(file) => ServerConfig::read(file)?,
        None => ServerConfig::default(),
    };
    if let Some(dir) = &args.data_dir {
        config.data_dir.clone_from(dir);
    }
    config.listen = args.listen.unwrap_or(config.listen);
    config.management_listen = args.management_listen.unwrap_or(config.management_listen);
    if let Some(filter) = &args.log {
        config.log.clone_from(filter);
    }
    config.validate()?;
    let filter = EnvFilter::try_new(&config.log)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("cinclus").build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: ServerConfig) -> anyhow::Result<()> {
    let mut asked_to_stop = Stop::listen().context("signals cannot be listened for")?;
    // The ports first: a second process on them fails before it touches any data.
    let listeners = listen::Listeners::bind(&config).await?;
    let (standalone, superseded) = tokio::select! {
        biased;
        // As after a crash: what is begun is taken up by the next start.
        () = asked_to_stop.asked() => return Ok(()),
        assembled = Standalone::assemble(&config) => assembled?,
    };
    let env = standalone.env.clone();
    give_back::start(&env);
    let (service, management) = (listeners.service_addr()?, listeners.management_addr()?);
    tracing::info!(
        "Cinclus {} serves Milvus clients on {service}, health and metrics on {management}, data in {}",
        env!("CARGO_PKG_VERSION"),
        standalone.place
    );
    let (over, ended) = tokio::sync::oneshot::channel();
    let stop = async {
        tokio::select! {
            biased;
            () = asked_to_stop.asked() => {}
            reason = superseded => {
                tracing::error!("this process ends: {reason}");
                let _ = over.send(reason);
            }
        }
    };
    listeners.serve(&standalone, &config, stop).await?;
    standalone.close().await;
    if env.tasks.join(&*env.clock, config.shutdown_timeout).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
    match ended.now_or_never() {
        Some(Ok(reason)) => anyhow::bail!("another process took over: {reason}"),
        Some(Err(_)) | None => Ok(()),
    }
}
