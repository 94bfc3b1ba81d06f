//! The channel table: which node owns which log, under which term.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_client::Nodes;
use cinclus_env::{TaskGroup, timeout};
use cinclus_meta::{CommitOutcome, DynMetaStore, Revision, Txn};
use cinclus_rpc::NodeError;
use cinclus_types::{
    Assignment, AssignmentView, NodeId, NodeInfo, PChannel, Term, Tick, VChannel, ViewVersion,
};
use futures::future::join_all;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use crate::backoff::Backoff;
use crate::{CoordConfig, StartError, keys};

/// A log as it is persisted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRecord {
    /// The version of this format.
    pub format: u32,
    /// The newest term that was ever given out.
    pub term: Term,
    /// Who has it.
    pub node: NodeInfo,
}

const FORMAT: u32 = 1;

/// How a log stands, as far as the coordinator knows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LogState {
    /// It is on its way to its owner.
    Opening,
    /// Its owner serves it.
    Open,
    /// It stays closed; why.
    Corrupt(String),
}

struct Log {
    record: ChannelRecord,
    /// The revision at which the record was read; `None` if it is not stored yet.
    read_at: Option<Revision>,
    state: LogState,
}

/// The logs, their terms and owners. Cheap to clone.
#[derive(Clone)]
pub struct ChannelTable {
    meta: DynMetaStore,
    backoff: Backoff,
    control: VChannel,
    view: watch::Sender<AssignmentView>,
    logs: Arc<Mutex<BTreeMap<PChannel, Log>>>,
}

impl ChannelTable {
    /// Reads the table; makes the logs that configuration asks for and that are not there yet.
    ///
    /// # Errors
    /// If the store does not answer or a record cannot be read.
    pub async fn open(
        meta: DynMetaStore,
        backoff: Backoff,
        config: &CoordConfig,
        view: watch::Sender<AssignmentView>,
    ) -> Result<ChannelTable, StartError> {
        let (_, entries) = meta.scan(keys::CHANNELS).await?;
        let mut logs = BTreeMap::new();
        for entry in entries {
            let corrupt = |reason| StartError::Corrupt { key: entry.key.clone(), reason };
            let record: ChannelRecord =
                serde_json::from_slice(&entry.value).map_err(|error| corrupt(error.to_string()))?;
            if record.format > FORMAT {
                return Err(corrupt(format!("format {} is newer than {FORMAT}", record.format)));
            }
            let read_at = Some(entry.modified);
            let name = PChannel::new(&entry.key[keys::CHANNELS.len()..]);
            logs.insert(name, Log { record, read_at, state: LogState::Opening });
        }
        for index in 0..config.channels.max(1) {
            let nobody = NodeInfo { id: NodeId(0), address: String::new() };
            let record = ChannelRecord { format: FORMAT, term: Term(0), node: nobody };
            let fresh = Log { record, read_at: None, state: LogState::Opening };
            logs.entry(PChannel::numbered(&config.channel_prefix, index)).or_insert(fresh);
        }
        let control = control_channel(&meta, config).await?;
        Ok(ChannelTable { meta, backoff, control, view, logs: Arc::new(Mutex::new(logs)) })
    }

    /// The control channel: chosen once, then fixed.
    #[must_use]
    pub fn control(&self) -> &VChannel {
        &self.control
    }

    /// The logs in which new collections may be placed: those that are open; while there are none, those
    /// that are not known to be corrupt.
    #[must_use]
    pub fn usable(&self) -> Vec<PChannel> {
        let logs = self.logs.lock();
        let with = |usable: fn(&LogState) -> bool| -> Vec<PChannel> {
            logs.iter().filter(|(_, log)| usable(&log.state)).map(|(name, _)| name.clone()).collect()
        };
        let open = with(|state| *state == LogState::Open);
        if open.is_empty() { with(|state| !matches!(state, LogState::Corrupt(_))) } else { open }
    }

    /// Why a log stays closed, if it does.
    #[must_use]
    pub fn corruption(&self, channel: &PChannel) -> Option<String> {
        match &self.logs.lock().get(channel)?.state {
            LogState::Corrupt(reason) => Some(reason.clone()),
            LogState::Opening | LogState::Open => None,
        }
    }

    /// A log turned out to be corrupt.
    pub fn note_corruption(&self, channel: &PChannel, reason: &str) {
        self.set_state(channel, LogState::Corrupt(reason.to_owned()));
    }

    /// Gives every log to one node under a new term, all in one transaction; `coordinator` is the one whose changes
    /// begin from now on. No node hears of it yet.
    ///
    /// # Errors
    /// If the new terms are not known to be durable.
    pub async fn assign_all(&self, node: &NodeInfo, coordinator: Tick) -> Result<(), StartError> {
        let mut txn = Txn::new().put(keys::COORDINATOR, coordinator.to_string());
        let mut terms = BTreeMap::new();
        for (channel, log) in self.logs.lock().iter() {
            let term = Term(log.record.term.0 + 1);
            let record = ChannelRecord { format: FORMAT, term, node: node.clone() };
            let key = keys::channel(channel);
            txn = txn.require_unchanged(key.clone(), log.read_at).put(key, encode(&record));
            terms.insert(channel.clone(), record);
        }
        // Invariant C1: the terms are durable before any node hears of them. After a lost answer nobody
        // does: the next start reads what is stored and goes beyond it.
        let CommitOutcome::Committed(revision) = self.meta.commit(txn).await? else {
            return Err(StartError::Concurrent);
        };
        let mut logs = self.logs.lock();
        for (channel, record) in terms {
            logs.insert(channel, Log { record, read_at: Some(revision), state: LogState::Opening });
        }
        Ok(())
    }

    /// Opens every log at its owner, all at once, and publishes each as soon as it serves. Returns when all
    /// have been tried once, or when patience ends; those that did not open by then go on in the background.
    pub async fn open_all(&self, nodes: &Arc<dyn Nodes>, tasks: &TaskGroup, config: &CoordConfig) {
        let logs: Vec<(PChannel, ChannelRecord)> =
            self.logs.lock().iter().map(|(name, log)| (name.clone(), log.record.clone())).collect();
        let open = |(channel, record): (PChannel, ChannelRecord)| {
            let (tried, first_try) = oneshot::channel();
            let opening = Opening { table: self.clone(), channel, record, nodes: nodes.clone() };
            tasks.spawn_until_cancelled("open-log", opening.run(tried));
            first_try
        };
        let first_tries: Vec<oneshot::Receiver<()>> = logs.into_iter().map(open).collect();
        if timeout(&**self.backoff.clock(), config.open_patience, join_all(first_tries)).await.is_err() {
            tracing::warn!("not all logs are open yet; they are served when they are");
        }
    }

    fn set_state(&self, channel: &PChannel, state: LogState) {
        if let Some(log) = self.logs.lock().get_mut(channel) {
            log.state = state;
        }
    }

    fn publish(&self, channel: &PChannel, record: &ChannelRecord) {
        self.view.send_modify(|view| {
            let assignment = Assignment { term: record.term, node: record.node.clone() };
            view.channels.insert(channel.clone(), assignment);
            view.version = ViewVersion { local: view.version.local + 1, ..view.version };
        });
    }
}

/// One log on its way to its owner.
struct Opening {
    table: ChannelTable,
    channel: PChannel,
    record: ChannelRecord,
    nodes: Arc<dyn Nodes>,
}

impl Opening {
    /// Tries until the log is open, or can never be. `tried` is dropped after the first try.
    async fn run(self, tried: oneshot::Sender<()>) {
        let (channel, term) = (&self.channel, self.record.term);
        let (mut tried, mut backoff) = (Some(tried), self.table.backoff.clone());
        loop {
            match self.open().await {
                Ok(()) => {
                    self.table.set_state(channel, LogState::Open);
                    break;
                }
                Err(error @ NodeError::OldTerm { .. }) => {
                    tracing::error!(%channel, %term, %error, "the log has another owner");
                    return;
                }
                Err(NodeError::Corrupt { reason, .. }) => {
                    tracing::error!(%channel, %term, %reason, "the log is corrupt and stays closed");
                    // Published all the same: its owner says what is wrong with it.
                    self.table.note_corruption(channel, &reason);
                    break;
                }
                Err(error @ NodeError::Unavailable(_)) => {
                    tracing::warn!(%channel, %term, %error, "the log is opened again");
                    // Published all the same: until it is open, its owner says why it is not.
                    if tried.take().is_some() {
                        self.table.publish(channel, &self.record);
                    }
                    backoff.pause().await;
                }
            }
        }
        self.table.publish(channel, &self.record);
    }

    async fn open(&self) -> Result<(), NodeError> {
        let Some(node) = self.nodes.node(&self.record.node) else {
            return Err(NodeError::Unavailable("its owner cannot be reached".to_owned()));
        };
        node.open_channel(&self.channel, self.record.term).await
    }
}

fn encode(record: &ChannelRecord) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record of plain fields has a JSON form")
}

async fn control_channel(meta: &DynMetaStore, config: &CoordConfig) -> Result<VChannel, StartError> {
    let first = PChannel::numbered(&config.channel_prefix, 0);
    let key = keys::CONTROL_CHANNEL;
    let mut stored = meta.get(key).await?;
    if stored.is_none() {
        meta.commit(Txn::new().require_absent(key).put(key, first.name().to_owned())).await?;
        stored = meta.get(key).await?;
    }
    let entry = stored.ok_or(StartError::Concurrent)?;
    let corrupt = |reason: String| StartError::Corrupt { key: key.to_owned(), reason };
    let name = std::str::from_utf8(&entry.value).map_err(|error| corrupt(error.to_string()))?;
    Ok(PChannel::new(name).control())
}
