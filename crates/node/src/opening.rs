//! Opens a log, whoever waits for it.

use std::sync::Arc;
use std::time::Duration;

use cinclus_query::Tsafe;
use cinclus_rpc::{AppendError, NodeError};
use cinclus_types::{PChannel, Term};
use cinclus_wal::{OpenError, Wal, WalParts};
use tokio_util::sync::CancellationToken;

use crate::channel::{Channel, Shards};
use crate::ending::Ending;
use crate::failure::Failure;
use crate::host::{Broken, Node};
use crate::metrics::NodeMetrics;
use crate::restore::{RestorePoint, restore};

/// How long the writer of a log may fail to open it before opening the log counts as failed.
const OPENING_PATIENCE: Duration = Duration::from_secs(1);

/// One try to open a log. What it opened is hosted at its end, or closed.
pub(crate) struct Opening {
    pub(crate) node: Arc<Node>,
    pub(crate) channel: PChannel,
    pub(crate) term: Term,
    /// A later term was asked for, or the log is to be closed.
    pub(crate) over: CancellationToken,
}

impl Opening {
    /// Opens it, unless it is open under that term.
    pub(crate) async fn run(self) -> Result<(), NodeError> {
        let turn = self.node.turn(&self.channel);
        let _turn = turn.lock().await;
        if self.node.channel(&self.channel).is_some_and(|hosted| hosted.term == self.term) {
            return Ok(());
        }
        let opened = self.open().await;
        let broken = match &opened {
            Ok(()) | Err(NodeError::OldTerm { .. }) => return opened,
            Err(NodeError::Corrupt { reason, .. }) => Broken::Corrupt(reason.clone()),
            Err(NodeError::Unavailable(reason)) => {
                let error = anyhow::anyhow!(reason.clone());
                let reserve = self.node.config.wal.space_reserve_bytes;
                Broken::Failing(self.term, Failure::of(error, &*self.node.parts.storage, reserve).await)
            }
        };
        self.node.broken.lock().insert(self.channel.clone(), broken);
        opened
    }

    async fn open(&self) -> Result<(), NodeError> {
        let Opening { node, channel, term, .. } = self;
        node.ask(channel, *term)?;
        let replaced = node.hosted.lock().remove(channel);
        if let Some(replaced) = replaced {
            node.shut(replaced).await;
        }
        let parts = WalParts {
            storage: node.parts.storage.clone(),
            segments: node.parts.segments.clone(),
            ticks: node.parts.ticks.clone(),
            env: node.parts.env.clone(),
        };
        let opened = cinclus_wal::open(parts, node.config.wal.clone(), channel.clone(), *term);
        let opened = self.unless_over(opened).await?;
        let (wal, feed) = opened.map_err(|error| open_failed(channel, error))?;
        let opened = self.served_by(wal);
        let restored = self.unless_over(restore(&node.parts, &opened, RestorePoint::of(&feed))).await;
        if let Err(error) = restored.flatten() {
            drop(feed);
            opened.wal.close().await;
            opened.tasks.cancel();
            return Err(error);
        }
        let hosted = node.start(opened, feed);
        let ready = self.unless_over(self.until_ready(&hosted.channel.wal)).await;
        let failed = match ready {
            Ok(Ok(())) => {
                let mut all = node.hosted.lock();
                // Whoever closes all logs ends openings first.
                if !self.over.is_cancelled() {
                    all.insert(channel.clone(), hosted);
                    drop(all);
                    node.broken.lock().remove(channel);
                    return Ok(());
                }
                self.given_up()
            }
            Ok(Err(error)) => hosted.channel.ending.of_opening(error),
            Err(error) => error,
        };
        node.shut(hosted).await;
        Err(failed)
    }

    fn served_by(&self, wal: Wal) -> Channel {
        let parts = &self.node.parts;
        Channel {
            channel: self.channel.clone(),
            term: self.term,
            wal,
            tsafe: Tsafe::default(),
            shards: Shards::default(),
            tasks: parts.env.tasks.child(),
            unsettled: Arc::default(),
            ending: Ending::of(&self.channel),
            metrics: NodeMetrics::new(&parts.env.telemetry, &self.channel),
        }
    }

    /// Waits until a log takes appends. Its writer tries again by itself when the storage does not let it;
    /// but whoever waits is told in time.
    async fn until_ready(&self, wal: &Wal) -> Result<(), AppendError> {
        let Err(error) = wal.opened().await else { return Ok(()) };
        let clock = &*self.node.parts.env.clock;
        let ready = cinclus_env::timeout(clock, OPENING_PATIENCE, wal.ready()).await;
        ready.unwrap_or(Err(error))
    }

    /// Waits for something as long as the log is to be opened under this term.
    async fn unless_over<T>(&self, what: impl Future<Output = T>) -> Result<T, NodeError> {
        tokio::select! {
            biased;
            () = self.over.cancelled() => Err(self.given_up()),
            () = self.node.parts.env.tasks.cancelled() => Err(self.given_up()),
            done = what => Ok(done),
        }
    }

    fn given_up(&self) -> NodeError {
        let asked = self.node.ask(&self.channel, self.term);
        asked.err().unwrap_or_else(|| NodeError::Unavailable("the log is to be closed".to_owned()))
    }
}

fn open_failed(channel: &PChannel, error: OpenError) -> NodeError {
    if let OpenError::Corrupt(reason) = error {
        NodeError::Corrupt { channel: channel.clone(), reason }
    } else {
        NodeError::Unavailable(error.to_string())
    }
}
