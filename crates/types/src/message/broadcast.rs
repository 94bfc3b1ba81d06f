//! One message to many VChannels.

use serde::{Deserialize, Serialize};

use crate::{BroadcastId, VChannel};

/// Carried by every copy of a broadcast message (property `_bh`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastHeader {
    /// The broadcast.
    pub id: BroadcastId,
    /// All its targets.
    pub vchannels: Vec<VChannel>,
    /// Whether a target acknowledges only when its checkpoint has passed the message.
    pub ack_sync_up: bool,
    /// What is locked until all targets have acknowledged.
    pub resource_keys: Vec<ResourceKey>,
}

/// Something that broadcasts lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey {
    /// What sort of thing.
    pub domain: ResourceDomain,
    /// Its name.
    pub key: String,
    /// Whether other broadcasts may hold it too, if they share as well.
    pub shared: bool,
}

/// The sorts of things that broadcasts lock, with Milvus' numbers (`messages.proto`, ResourceDomain).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(i32)]
pub enum ResourceDomain {
    /// A collection; the key is `database:collection`.
    Collection = 2,
    /// A database, by name.
    Database = 3,
    /// Users, roles, privileges.
    Privilege = 4,
    /// Everything.
    Cluster = 127,
}

impl ResourceDomain {
    /// Milvus' number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The domain of a number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<ResourceDomain> {
        let all = [
            ResourceDomain::Collection,
            ResourceDomain::Database,
            ResourceDomain::Privilege,
            ResourceDomain::Cluster,
        ];
        all.into_iter().find(|domain| domain.number() == number)
    }
}
