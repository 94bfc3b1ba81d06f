//! C1, as it happens: a term is durable before any node hears of it, and no term has two owners.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_coord::channels::ChannelRecord;
use cinclus_coord::keys;
use cinclus_meta::DynMetaStore;
use cinclus_types::{NodeId, PChannel, Term};
use parking_lot::Mutex;

use crate::checkers::Finding;

/// The terms that nodes heard of. Clones are the same.
#[derive(Clone)]
pub struct Terms {
    meta: DynMetaStore,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    owners: BTreeMap<(PChannel, Term), NodeId>,
    findings: Vec<Finding>,
    asked: u64,
}

impl Terms {
    /// Looks at the metadata as it is stored.
    #[must_use]
    pub fn new(meta: DynMetaStore) -> Terms {
        Terms { meta, seen: Arc::default() }
    }

    /// A node is asked to open a log.
    pub async fn asked(&self, channel: &PChannel, term: Term, node: NodeId) {
        let stored = self.meta.get(&keys::channel(channel)).await.ok().flatten();
        let record: Option<ChannelRecord> =
            stored.and_then(|entry| serde_json::from_slice(&entry.value).ok());
        let seen = &mut *self.seen.lock();
        seen.asked += 1;
        let durable = record.map_or(Term(0), |record| record.term);
        if durable < term {
            let text = format!("{channel}: node {node} hears of {term}, stored is {durable}");
            seen.findings.push(Finding::new("C1", text));
        }
        let owner = *seen.owners.entry((channel.clone(), term)).or_insert(node);
        if owner != node {
            let text = format!("{channel}: {term} is given to node {owner} and to node {node}");
            seen.findings.push(Finding::new("C1", text));
        }
    }

    /// What was wrong, and how often it was looked at.
    #[must_use]
    pub fn findings(&self) -> (Vec<Finding>, u64) {
        let seen = self.seen.lock();
        (seen.findings.clone(), seen.asked)
    }
}
