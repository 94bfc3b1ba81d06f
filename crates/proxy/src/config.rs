//! What can be set.

use std::time::Duration;

/// The settings of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    /// The version that clients are told; they look for `v2.x.y`.
    pub version: String,
    /// The largest request, in bytes.
    pub request_bytes_max: usize,
    /// The largest answer, in bytes.
    pub answer_bytes_max: usize,
    /// The largest message that a write is cut into, in bytes.
    pub message_bytes_max: usize,
    /// How far a Bounded read may lag behind.
    pub graceful_time: Duration,
    /// The longest wait of a read for its freshness.
    pub patience: Duration,
    /// Whether a write that comes again with the `client-request-id` of an earlier one is the same write.
    pub idempotent_requests: bool,
    /// How many ids are taken from the coordinator at once.
    pub id_block: u32,
    /// Keys that one message of a delete holds, at most.
    pub delete_keys_max: usize,
    /// Partitions of a collection, at most.
    pub partitions_max: usize,
    /// Shards of a collection, at most.
    pub shards_max: u32,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        ProxyConfig {
            version: concat!("v2.6.0-cinclus.", env!("CARGO_PKG_VERSION")).to_owned(),
            request_bytes_max: 64 << 20,
            answer_bytes_max: 256 << 20,
            message_bytes_max: 8 << 20,
            graceful_time: Duration::from_secs(5),
            patience: Duration::from_secs(60),
            idempotent_requests: false,
            id_block: 16384,
            delete_keys_max: 65536,
            partitions_max: 1024,
            shards_max: 16,
        }
    }
}
