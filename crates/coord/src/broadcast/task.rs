//! A change that is under way.

use bytes::Bytes;
use cinclus_types::message::{BroadcastHeader, Draft, Header, ResourceKey};
use cinclus_types::{BroadcastId, VChannel};
use serde::{Deserialize, Serialize};

use crate::ddl::{CatalogEdit, Plan};

/// A broadcast as it is persisted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The version of this format.
    pub format: u32,
    /// Its id; logs remember it until the task is gone.
    pub id: BroadcastId,
    /// Its messages.
    pub messages: Vec<TaskMessage>,
    /// The names it holds.
    pub resource_keys: Vec<ResourceKey>,
    /// What becomes visible at the end.
    pub edit: CatalogEdit,
}

/// One message of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskMessage {
    /// Where.
    pub vchannel: VChannel,
    /// What.
    pub header: Header,
    /// Its body.
    pub payload: Vec<u8>,
}

impl Task {
    /// The format that is written.
    pub const FORMAT: u32 = 1;

    /// The task of a plan.
    #[must_use]
    pub fn new(id: BroadcastId, plan: Plan, resource_keys: Vec<ResourceKey>) -> Task {
        let messages = plan
            .messages
            .into_iter()
            .map(|m| TaskMessage { vchannel: m.vchannel, header: m.header, payload: m.payload.to_vec() })
            .collect();
        Task { format: Self::FORMAT, id, messages, resource_keys, edit: plan.edit }
    }

    /// The messages as they are appended.
    #[must_use]
    pub fn drafts(&self) -> Vec<(VChannel, Draft)> {
        let broadcast = BroadcastHeader {
            id: self.id,
            vchannels: self.messages.iter().map(|message| message.vchannel.clone()).collect(),
            ack_sync_up: false,
            resource_keys: self.resource_keys.clone(),
        };
        let draft = |message: &TaskMessage| {
            let payload = Bytes::from(message.payload.clone());
            let mut draft = Draft::new(message.vchannel.clone(), message.header.clone(), payload);
            draft.broadcast = Some(broadcast.clone());
            (message.vchannel.clone(), draft)
        };
        self.messages.iter().map(draft).collect()
    }
}
