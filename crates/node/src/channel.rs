//! One log that this node serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_env::TaskGroup;
use cinclus_query::{Delegator, Tsafe};
use cinclus_types::{PChannel, Term, Tick, VChannel};
use cinclus_wal::Wal;
use parking_lot::{Mutex, RwLock};

use crate::ending::Ending;
use crate::metrics::NodeMetrics;
use crate::position::OwnPosition;

/// The shards of a log: changed by its pump, read by everybody.
#[derive(Clone, Default)]
pub struct Shards {
    delegators: Arc<RwLock<BTreeMap<VChannel, Arc<Delegator>>>>,
}

impl Shards {
    /// The delegator of a VChannel.
    #[must_use]
    pub fn get(&self, vchannel: &VChannel) -> Option<Arc<Delegator>> {
        self.delegators.read().get(vchannel).cloned()
    }

    /// All delegators.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Delegator>> {
        self.delegators.read().values().cloned().collect()
    }

    /// Adds a delegator.
    pub fn insert(&self, delegator: Arc<Delegator>) {
        self.delegators.write().insert(delegator.vchannel().clone(), delegator);
    }

    /// Removes a delegator.
    pub fn remove(&self, vchannel: &VChannel) -> Option<Arc<Delegator>> {
        self.delegators.write().remove(vchannel)
    }
}

/// A log under one term: its Wal, and what its pump keeps fresh.
#[derive(Clone)]
pub struct Channel {
    /// The log.
    pub channel: PChannel,
    /// The term of ownership.
    pub term: Term,
    /// Appends and scans.
    pub wal: Wal,
    /// How far the pump is.
    pub tsafe: Tsafe,
    /// The shards.
    pub shards: Shards,
    /// The pump and its helpers; cancelled when the log is closed.
    pub tasks: TaskGroup,
    /// The tick of the first round of persisting since the last one that was committed: objects with
    /// names from then on may still come into the catalog.
    pub(crate) unsettled: Arc<Mutex<Option<Tick>>>,
    /// Why the pump ended although the log was not closed.
    pub(crate) ending: Ending,
    pub(crate) metrics: NodeMetrics,
}

impl Channel {
    /// The log as its delegators follow it.
    pub(crate) fn position(&self) -> OwnPosition {
        OwnPosition { wal: self.wal.clone() }
    }
}
