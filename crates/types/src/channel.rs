//! Channels: PChannels are logs, VChannels are the shards and control streams inside them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::CollectionId;

/// A physical channel: one log. Its name is `<prefix>_<index>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PChannel(Arc<str>);

/// A virtual channel: one shard of a collection, or the control channel, inside a PChannel.
/// Its name is `<pchannel>_<collection id>v<shard>` or `<pchannel>_vcchan`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VChannel(Arc<str>);

const CONTROL_SUFFIX: &str = "_vcchan";

impl PChannel {
    /// A PChannel of that name.
    pub fn new(name: impl Into<Arc<str>>) -> PChannel {
        PChannel(name.into())
    }

    /// The PChannel `<prefix>_<index>`.
    #[must_use]
    pub fn numbered(prefix: &str, index: u32) -> PChannel {
        PChannel(format!("{prefix}_{index}").into())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The VChannel of a shard of a collection in this log.
    #[must_use]
    pub fn shard(&self, collection: CollectionId, shard: u32) -> VChannel {
        VChannel(format!("{}_{collection}v{shard}", self.0).into())
    }

    /// The control channel in this log.
    #[must_use]
    pub fn control(&self) -> VChannel {
        VChannel(format!("{}{CONTROL_SUFFIX}", self.0).into())
    }
}

impl VChannel {
    /// A VChannel of that name.
    pub fn new(name: impl Into<Arc<str>>) -> VChannel {
        VChannel(name.into())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The log that holds this VChannel: the name up to its last `_`.
    #[must_use]
    pub fn pchannel(&self) -> PChannel {
        let end = self.0.rfind('_').unwrap_or(self.0.len());
        PChannel(self.0[..end].into())
    }

    /// Whether this is a control channel.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.0.ends_with(CONTROL_SUFFIX)
    }
}

macro_rules! text {
    ($($name:ident)*) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text!(PChannel VChannel);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vchannel_names_its_log() {
        let log = PChannel::numbered("by-dev-rootcoord-dml", 3);
        let shard = log.shard(CollectionId(451), 1);
        assert_eq!(shard.name(), "by-dev-rootcoord-dml_3_451v1");
        assert_eq!(shard.pchannel(), log);
        assert_eq!(log.control().name(), "by-dev-rootcoord-dml_3_vcchan");
        assert!(log.control().is_control() && log.control().pchannel() == log);
    }
}
