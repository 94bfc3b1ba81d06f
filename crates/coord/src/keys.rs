//! What the coordinator keeps in the metadata store. Values are JSON unless noted.
//!
//! | key | value |
//! | --- | --- |
//! | `coord/tso` | the bound below which ticks may have been given (decimal text) |
//! | `coord/coordinator` | the tick at which the coordinator started whose changes begin (decimal text) |
//! | `coord/control-channel` | the PChannel that holds the control channel (text, written once) |
//! | `coord/pchannel/<name>` | [`ChannelRecord`](crate::channels::ChannelRecord) |
//! | `coord/request/<name>` | the ticks of a request that may come again, and when it came |
//! | `coord/broadcast/<id>` | [`Task`](crate::broadcast::Task): a line of JSON, then the message's body |

use cinclus_types::{BroadcastId, PChannel};

/// The TSO's bound.
pub const TSO: &str = "coord/tso";
/// Whose changes begin: the coordinator that gave out the logs last.
pub const COORDINATOR: &str = "coord/coordinator";
/// The control channel's log.
pub const CONTROL_CHANNEL: &str = "coord/control-channel";
/// The prefix of all logs.
pub const CHANNELS: &str = "coord/pchannel/";
/// The prefix of all broadcasts under way.
pub const BROADCASTS: &str = "coord/broadcast/";

/// The prefix of all requests that may come again.
pub const REQUESTS: &str = "coord/request/";

/// The key of a log.
#[must_use]
pub fn channel(channel: &PChannel) -> String {
    format!("{CHANNELS}{channel}")
}

/// The key of a broadcast.
#[must_use]
pub fn broadcast(id: BroadcastId) -> String {
    format!("{BROADCASTS}{id}")
}

/// The key of a request that may come again.
#[must_use]
pub fn request(name: &str) -> String {
    format!("{REQUESTS}{name}")
}
