//! What a reader asks for.

use cinclus_types::message::{Kind, Message};
use cinclus_types::{Checkpoint, Tick, VChannel};

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanFrom {
    /// At the earliest record that is still there.
    Earliest,
    /// Behind the published frontier of the moment when the reader first reads.
    Latest,
    /// Where another reader stopped.
    Checkpoint(Checkpoint),
    /// With everything of an effective tick above this one that is still there.
    Tick(Tick),
}

/// Which messages a reader gets. TimeTicks are always delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanFilter {
    /// Of this VChannel only.
    pub vchannel: Option<VChannel>,
    /// Of these kinds only; in a transaction its bodies count.
    pub kinds: Option<Vec<Kind>>,
}

impl ScanFilter {
    /// Every message of one VChannel.
    #[must_use]
    pub fn of(vchannel: VChannel) -> ScanFilter {
        ScanFilter { vchannel: Some(vchannel), kinds: None }
    }

    /// Whether a record may matter: messages of the whole log always do.
    pub(super) fn takes_channel_of(&self, message: &Message) -> bool {
        match (&self.vchannel, message.vchannel()) {
            (Some(wanted), Some(vchannel)) => wanted == vchannel,
            (None, _) | (_, None) => true,
        }
    }

    /// Whether a message is to be delivered.
    pub(super) fn takes(&self, message: &Message) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&message.kind()))
    }
}
