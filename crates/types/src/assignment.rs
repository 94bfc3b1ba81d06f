//! Which node serves which log: what the coordinator publishes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{NodeId, PChannel, Term};

/// Orders views: the coordinator's own term first, then a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ViewVersion {
    /// Greater for each newer coordinator.
    pub global: i64,
    /// Greater for each change that this coordinator published.
    pub local: i64,
}

/// A node that serves logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Unique for each start of a process.
    pub id: NodeId,
    /// Where it is called; empty in one process.
    pub address: String,
}

/// The binding of one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The term under which the node owns the log.
    pub term: Term,
    /// The owner.
    pub node: NodeInfo,
}

/// The whole topology at one version. A log that is missing is not served at the moment: wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentView {
    /// Readers accept only greater versions.
    pub version: ViewVersion,
    /// The served logs.
    pub channels: BTreeMap<PChannel, Assignment>,
}
