//! The server that is measured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::TargetArgs;
use super::base;
use super::usage::{Process, Snapshot, Usage};
use crate::outside::client::Client;
use crate::outside::spawned::{Home, SpawnedServer};

/// A server, and where its disk is.
#[derive(Debug)]
pub(super) struct Target {
    address: String,
    process: Option<Process>,
    spawned: Option<(SpawnedServer, Home)>,
    dir: PathBuf,
}

impl Target {
    /// Starts the server, or takes the one that runs.
    ///
    /// # Errors
    /// If it does not start.
    pub(super) async fn open(args: &TargetArgs) -> anyhow::Result<Target> {
        let dir = args.place.dir.clone();
        if !args.spawn {
            let process = args.server_pid.map(Process);
            return Ok(Target { address: args.address.clone(), process, spawned: None, dir });
        }
        let home = Home::create(&dir, "bench-server")?;
        let server = SpawnedServer::start(&home, args.config.as_deref()).await?;
        Ok(Target {
            address: server.address.clone(),
            process: Some(Process::of(&server)),
            spawned: Some((server, home)),
            dir,
        })
    }

    /// What went wrong, with the last words of a server of its own that has ended by itself.
    pub(super) async fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        match &mut self.spawned {
            Some((server, home)) => match server.last_words(home).await {
                Some(words) => error.context(words),
                None => error,
            },
            None => error,
        }
    }

    /// Where the base is measured.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A connection.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        Client::connect(&self.address).await
    }

    /// So many connections.
    pub(super) async fn clients(&self, count: usize) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.client().await?);
        }
        Ok(clients)
    }

    /// The process of the server, if it is known.
    pub(super) fn process(&self) -> Option<Process> {
        self.process
    }

    /// What the server has used up to now, if its process is known.
    pub(super) fn snapshot(&self) -> anyhow::Result<Option<Snapshot>> {
        self.process.map(Process::snapshot).transpose()
    }

    /// What the server has used since.
    pub(super) fn since(&self, start: Option<&Snapshot>) -> anyhow::Result<Option<Usage>> {
        let pair = self.process.zip(start);
        pair.map(|(process, start)| process.since(start)).transpose()
    }

    /// Bytes of the logs of a server of its own.
    pub(super) fn log_bytes(&self) -> Option<u64> {
        self.spawned.as_ref().map(|(_, home)| base::bytes_under(&home.data().join("wal")))
    }

    /// Waits until the server writes nothing any more, so that its work in the background does not slow the
    /// base down; at most a minute. Without a known process it waits for nothing.
    pub(super) async fn quiet(&self) -> anyhow::Result<()> {
        const LOOK: Duration = Duration::from_millis(250);
        let mut quiet = 0;
        let mut last = self.snapshot()?.map(|snapshot| snapshot.written_bytes());
        for _ in 0..240 {
            if last.is_none() || quiet == 2 {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
            let now = self.snapshot()?.map(|snapshot| snapshot.written_bytes());
            quiet = if now == last { quiet + 1 } else { 0 };
            last = now;
        }
        Ok(())
    }
}
