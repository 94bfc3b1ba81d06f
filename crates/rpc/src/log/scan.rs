//! What a reader of a log asks for.

use cinclus_types::message::{Kind, Message};
use cinclus_types::{Checkpoint, Tick, VChannel};

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanFrom {
    /// With everything that is still there as a whole. Of a log that was truncated this may begin a little behind the
    /// earliest record: after the last transaction that began before that record.
    Earliest,
    /// Behind the published frontier of the moment when the reader first reads. A TimeTick at that frontier is
    /// delivered at once: its checkpoint is the start for who comes again.
    Latest,
    /// Where another reader stopped.
    Checkpoint(Checkpoint),
    /// With everything of an effective tick above this one that is still there as a whole.
    Tick(Tick),
}

/// Which messages a reader gets. TimeTicks are always delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanFilter {
    /// Of this VChannel only.
    pub vchannel: Option<VChannel>,
    /// Of these kinds only; in a transaction its bodies count, and one without any of these is not delivered.
    pub kinds: Option<Vec<Kind>>,
}

impl ScanFilter {
    /// Every message of one VChannel.
    #[must_use]
    pub fn of(vchannel: VChannel) -> ScanFilter {
        ScanFilter { vchannel: Some(vchannel), kinds: None }
    }

    /// Whether a record may matter: messages of the whole log always do.
    #[must_use]
    pub fn takes_channel_of(&self, message: &Message) -> bool {
        match (&self.vchannel, message.vchannel()) {
            (Some(wanted), Some(vchannel)) => wanted == vchannel,
            (None, _) | (_, None) => true,
        }
    }

    /// Whether a message is to be delivered.
    #[must_use]
    pub fn takes(&self, message: &Message) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&message.kind()))
    }
}

/// Where a reader starts, and what it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Where.
    pub from: ScanFrom,
    /// What.
    pub filter: ScanFilter,
}
