//! The channel table: which node owns which log, under which term.

use std::collections::BTreeMap;

use cinclus_client::Nodes;
use cinclus_env::DynClock;
use cinclus_meta::{CommitOutcome, Condition, DynMetaStore, Txn};
use cinclus_rpc::NodeError;
use cinclus_types::{Advice, Assignment, AssignmentView, NodeInfo, PChannel, Term, VChannel, ViewVersion};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

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

/// The logs, their terms and owners.
pub struct ChannelTable {
    meta: DynMetaStore,
    clock: DynClock,
    records: BTreeMap<PChannel, ChannelRecord>,
    control: VChannel,
    view: watch::Sender<AssignmentView>,
}

impl ChannelTable {
    /// Reads the table; makes the logs that configuration asks for and that are not there yet.
    ///
    /// # Errors
    /// If the store does not answer or a record cannot be read.
    pub async fn open(
        meta: DynMetaStore,
        clock: DynClock,
        config: &CoordConfig,
        view: watch::Sender<AssignmentView>,
    ) -> Result<ChannelTable, StartError> {
        let (_, entries) = meta.scan(keys::CHANNELS).await?;
        let mut records = BTreeMap::new();
        for entry in entries {
            let record: ChannelRecord = serde_json::from_slice(&entry.value)
                .map_err(|e| StartError::Corrupt { key: entry.key.clone(), reason: e.to_string() })?;
            if record.format > FORMAT {
                let reason = format!("format {} is newer than {FORMAT}", record.format);
                return Err(StartError::Corrupt { key: entry.key, reason });
            }
            records.insert(PChannel::new(&entry.key[keys::CHANNELS.len()..]), record);
        }
        for index in 0..config.channels.max(1) {
            let nobody = NodeInfo { id: cinclus_types::NodeId(0), address: String::new() };
            let fresh = ChannelRecord { format: FORMAT, term: Term(0), node: nobody };
            records.entry(PChannel::numbered(&config.channel_prefix, index)).or_insert(fresh);
        }
        let control = control_channel(&meta, config).await?;
        Ok(ChannelTable { meta, clock, records, control, view })
    }

    /// The control channel: chosen once, then fixed.
    #[must_use]
    pub fn control(&self) -> &VChannel {
        &self.control
    }

    /// All logs.
    #[must_use]
    pub fn channels(&self) -> Vec<PChannel> {
        self.records.keys().cloned().collect()
    }

    /// Gives every log to one node under a new term, opens them there, and publishes those that opened.
    ///
    /// # Errors
    /// If the new terms are not known to be durable: no node has heard of them then.
    pub async fn assign_all(&mut self, node: &NodeInfo, nodes: &dyn Nodes) -> Result<(), StartError> {
        let mut txn = Txn::new();
        for (channel, record) in &mut self.records {
            txn = txn.require(match record.term {
                Term(0) => Condition::Absent(keys::channel(channel)),
                Term(_) => Condition::ValueIs(keys::channel(channel), encode(record).into()),
            });
            *record = ChannelRecord { format: FORMAT, term: Term(record.term.0 + 1), node: node.clone() };
            txn = txn.put(keys::channel(channel), encode(record));
        }
        // Invariant C1: the terms are durable before the node hears of them.
        if let CommitOutcome::Conflict(_) = self.meta.commit(txn).await? {
            return Err(StartError::Concurrent);
        }
        join_all(self.records.iter().map(|(channel, record)| self.open(channel, record, nodes))).await;
        Ok(())
    }

    /// Opens one log at its owner and publishes it. A log that is corrupt stays unpublished; the others serve.
    async fn open(&self, channel: &PChannel, record: &ChannelRecord, nodes: &dyn Nodes) {
        loop {
            let Some(node) = nodes.node(&record.node) else { return };
            match node.open_channel(channel, record.term).await {
                Ok(()) => break,
                Err(error) if error.advice() == Advice::Reject => {
                    tracing::error!(%channel, term = %record.term, %error, "the log stays closed");
                    // A corrupt log is published all the same: its owner says what is wrong with it.
                    if matches!(error, NodeError::OldTerm { .. }) {
                        return;
                    }
                    break;
                }
                Err(error) => {
                    tracing::warn!(%channel, term = %record.term, %error, "the log is opened again");
                    self.clock.sleep(std::time::Duration::from_millis(200)).await;
                }
            }
        }
        self.view.send_modify(|view| {
            let assignment = Assignment { term: record.term, node: record.node.clone() };
            view.channels.insert(channel.clone(), assignment);
            view.version = ViewVersion { local: view.version.local + 1, ..view.version };
        });
    }
}

fn encode(record: &ChannelRecord) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record of plain fields has a JSON form")
}

async fn control_channel(meta: &DynMetaStore, config: &CoordConfig) -> Result<VChannel, StartError> {
    let first = PChannel::numbered(&config.channel_prefix, 0);
    let txn = Txn::new().require_absent(keys::CONTROL_CHANNEL).put(keys::CONTROL_CHANNEL, first.name().to_owned());
    meta.commit(txn).await?;
    let key = || keys::CONTROL_CHANNEL.to_owned();
    let entry = meta.get(keys::CONTROL_CHANNEL).await?.ok_or(StartError::Concurrent)?;
    let name = std::str::from_utf8(&entry.value)
        .map_err(|error| StartError::Corrupt { key: key(), reason: error.to_string() })?;
    Ok(PChannel::new(name).control())
}
