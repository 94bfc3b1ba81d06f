//! Recovery is bounded: what a restart replays stays below twice the configured bytes, and a request.

use cinclus_node::Node;

use super::Finding;
use crate::tally::Tally;

/// What one request, and what is stored beside rows, may add.
const SLACK_BYTES: u64 = 64 << 10;

/// Looks at a node as it is now.
#[must_use]
pub fn check(node: &Node, bound: u64, tally: &Tally) -> Option<Finding> {
    tally.count("checked: recovery bound");
    let bytes = node.backlog_bytes();
    (bytes > 2 * bound + SLACK_BYTES).then(|| {
        Finding::new("recovery bound", format!("{bytes} bytes are to be replayed, the bound is {bound}"))
    })
}
