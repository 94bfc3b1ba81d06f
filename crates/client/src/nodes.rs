//! From an address to a node that can be called.

use std::sync::Arc;

use cinclus_rpc::NodeApi;
use cinclus_types::NodeInfo;

/// Gives the node behind an assignment.
pub trait Nodes: Send + Sync + 'static {
    /// The node, or `None` when it cannot be reached any more.
    fn node(&self, info: &NodeInfo) -> Option<Arc<dyn NodeApi>>;
}

/// All logs are served by the node in this process.
#[derive(Clone)]
pub struct LocalNode(pub Arc<dyn NodeApi>);

impl Nodes for LocalNode {
    fn node(&self, _info: &NodeInfo) -> Option<Arc<dyn NodeApi>> {
        Some(self.0.clone())
    }
}
