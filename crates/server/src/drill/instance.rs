//! The throw-away server, and what is done to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;
use tokio::sync::watch;

use super::args::DrillArgs;
use super::ballast::Ballast;
use super::plan::{Fault, FaultKind};
use super::server_config::ServerFile;
use crate::outside::spawned::{Home, SpawnedServer};

/// After so long a server that was asked to end should have ended.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// A server of our own.
pub(super) struct Instance {
    // Dropped in this order: the process ends before its data goes.
    server: SpawnedServer,
    ballast: Option<Ballast>,
    small: Option<Home>,
    home: Home,
    config: PathBuf,
    address: watch::Sender<String>,
}

impl Instance {
    /// Makes its folders and starts it.
    ///
    /// # Errors
    /// Why it does not start.
    pub(super) async fn start(args: &DrillArgs, file: &ServerFile) -> anyhow::Result<Instance> {
        let mut home = Home::create(&args.dir, "drill")?;
        let small = match &args.small_disk {
            None => None,
            Some(dir) => {
                ensure!(dir.is_dir(), "{} is not a folder", dir.display());
                let small = Home::create(dir, "drill-data")?;
                home.put_data(small.data());
                Some(small)
            }
        };
        let ballast = small.as_ref().map(|small| Ballast::new(small.path())).transpose()?;
        let config = home.file("config.yaml");
        std::fs::write(&config, &file.text).with_context(|| format!("cannot write {}", config.display()))?;
        let server = SpawnedServer::start_apart(&home, Some(&config)).await?;
        let (address, _) = watch::channel(server.address.clone());
        Ok(Instance { server, ballast, small, home, config, address })
    }

    /// Where it is; it is elsewhere after each start.
    pub(super) fn address(&self) -> &watch::Sender<String> {
        &self.address
    }

    /// Does something to it; when this returns it runs again.
    ///
    /// # Errors
    /// It did not end or did not start as it should.
    pub(super) async fn suffer(&mut self, fault: &Fault) -> anyhow::Result<()> {
        match fault.kind {
            FaultKind::Kill => self.kill().await,
            FaultKind::Pause => {
                self.server.signal(Signal::STOP)?;
                tokio::time::sleep(fault.span).await;
                self.server.signal(Signal::CONT)
            }
            FaultKind::Stop => {
                self.server.signal(Signal::TERM)?;
                let Some(status) = self.server.ended(STOP_PATIENCE).await else {
                    bail!("SIGTERM did not end the server within {STOP_PATIENCE:?}");
                };
                ensure!(status.success(), "after SIGTERM the server ended with {status}");
                self.start_again().await
            }
            FaultKind::Disk => self.fill_disk(fault).await,
        }
    }

    async fn fill_disk(&mut self, fault: &Fault) -> anyhow::Result<()> {
        self.ballast()?.fill()?;
        tokio::time::sleep(fault.span / 2).await;
        // On a full disk it may start, and refuses writes, or it may say that it cannot.
        let started = if fault.killed { self.kill().await } else { Ok(()) };
        tokio::time::sleep(fault.span / 2).await;
        self.ballast()?.empty()?;
        match started {
            Ok(()) => Ok(()),
            Err(_) => self.start_again().await,
        }
    }

    fn ballast(&mut self) -> anyhow::Result<&mut Ballast> {
        self.ballast.as_mut().context("there is no small disk")
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.kill()?;
        self.start_again().await
    }

    async fn start_again(&mut self) -> anyhow::Result<()> {
        self.server = SpawnedServer::start_apart(&self.home, Some(&self.config)).await?;
        self.address.send_replace(self.server.address.clone());
        Ok(())
    }

    /// If it ended by itself: how, and the last that it logged.
    pub(super) async fn last_words(&mut self) -> Option<String> {
        self.server.last_words(&self.home).await
    }

    /// Ends it and keeps its data and its log; says where they are.
    pub(super) fn keep(&mut self) -> Vec<PathBuf> {
        let _ = self.server.kill();
        self.home.keep();
        let mut kept = vec![self.home.path().to_owned()];
        if let Some(small) = &mut self.small {
            small.keep();
            kept.push(small.path().to_owned());
        }
        kept.iter().map(|path| absolute(path)).collect()
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
