//! From an address to a node that can be called.

use std::sync::Arc;

use cinclus_rpc::{LogApi, NodeApi};
use cinclus_types::NodeInfo;

/// Gives the node behind an assignment.
pub trait Nodes: Send + Sync + 'static {
    /// The node, or `None` when it cannot be reached any more.
    fn node(&self, info: &NodeInfo) -> Option<Arc<dyn NodeApi>>;
}

/// Gives the node behind an assignment, as the owner of logs.
pub trait Logs: Send + Sync + 'static {
    /// The node, or `None` when it cannot be reached any more.
    fn log(&self, info: &NodeInfo) -> Option<Arc<dyn LogApi>>;
}

/// Whoever can be called for everything can be called for its logs.
pub(crate) struct LogsOfNodes(pub(crate) Arc<dyn Nodes>);

impl Logs for LogsOfNodes {
    fn log(&self, info: &NodeInfo) -> Option<Arc<dyn LogApi>> {
        self.0.node(info).map(|node| node as Arc<dyn LogApi>)
    }
}

/// All logs are served by the node in this process.
#[derive(Clone)]
pub struct LocalNode(pub Arc<dyn NodeApi>);

impl Nodes for LocalNode {
    fn node(&self, _info: &NodeInfo) -> Option<Arc<dyn NodeApi>> {
        Some(self.0.clone())
    }
}
