//! A change that is under way.

use bytes::Bytes;
use cinclus_types::message::{BroadcastHeader, Draft, Header, ResourceKey};
use cinclus_types::{BroadcastId, VChannel};
use serde::{Deserialize, Serialize};

use crate::StartError;
use crate::ddl::{CatalogEdit, PlannedMessage};

/// A broadcast as it is persisted.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id; logs remember it until the task is gone.
    pub id: BroadcastId,
    /// Its message and where that goes.
    pub message: PlannedMessage,
    /// The names it holds.
    pub resource_keys: Vec<ResourceKey>,
    /// What becomes visible at the end.
    pub edit: CatalogEdit,
}

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Line {
    v: u32,
    id: BroadcastId,
    vchannels: Vec<VChannel>,
    header: Header,
    resource_keys: Vec<ResourceKey>,
    edit: CatalogEdit,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

impl Task {
    /// The task as it is stored: a line of JSON, then the message's body.
    ///
    /// # Panics
    /// Never: a task is plain data.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let line = Line {
            v: FORMAT,
            id: self.id,
            vchannels: self.message.vchannels.clone(),
            header: self.message.header.clone(),
            resource_keys: self.resource_keys.clone(),
            edit: self.edit.clone(),
        };
        let mut bytes = serde_json::to_vec(&line).expect("a task of plain data has a JSON form");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.message.payload);
        bytes.into()
    }

    /// The task as it was stored.
    ///
    /// # Errors
    /// If it is of a newer release, or not a task.
    pub fn decode(key: &str, value: &Bytes) -> Result<Task, StartError> {
        let corrupt = |reason: String| StartError::Corrupt { key: key.to_owned(), reason };
        let end =
            value.iter().position(|byte| *byte == b'\n').ok_or_else(|| corrupt("no line".to_owned()))?;
        let version: VersionOnly =
            serde_json::from_slice(&value[..end]).map_err(|error| corrupt(error.to_string()))?;
        if version.v > FORMAT {
            return Err(corrupt(format!("format {} is newer than {FORMAT}", version.v)));
        }
        let line: Line = serde_json::from_slice(&value[..end]).map_err(|error| corrupt(error.to_string()))?;
        let Line { id, vchannels, header, resource_keys, edit, .. } = line;
        let message = PlannedMessage { vchannels, header, payload: value.slice(end + 1..) };
        Ok(Task { id, message, resource_keys, edit })
    }

    /// The copy of the message that goes to one of its targets.
    #[must_use]
    pub fn draft(&self, vchannel: &VChannel) -> Draft {
        let PlannedMessage { header, payload, .. } = &self.message;
        let broadcast = BroadcastHeader {
            id: self.id,
            vchannels: self.message.vchannels.clone(),
            ack_sync_up: false,
            resource_keys: self.resource_keys.clone(),
        };
        let draft = Draft::new(vchannel.clone(), header.clone(), payload.clone());
        Draft { broadcast: Some(broadcast), ..draft }
    }
}

#[cfg(test)]
mod tests {
    use cinclus_types::message::ResourceDomain;
    use cinclus_types::{CollectionId, DatabaseId, PChannel};

    use super::*;

    fn task() -> Task {
        let header = Header::DropCollection { collection: CollectionId(7), database: DatabaseId(1) };
        let log = PChannel::new("log_0");
        let vchannels = vec![log.shard(CollectionId(7), 0), log.control()];
        let message = PlannedMessage { vchannels, header, payload: Bytes::from_static(b"any\nbytes\0") };
        let key = "default".to_owned();
        Task {
            id: BroadcastId(9),
            message,
            resource_keys: vec![ResourceKey { domain: ResourceDomain::Database, key, shared: false }],
            edit: CatalogEdit { delete_collections: vec![CollectionId(7)], ..CatalogEdit::default() },
        }
    }

    #[test]
    fn a_task_reads_back() {
        assert_eq!(Task::decode("k", &task().encode()).unwrap(), task());
    }

    #[test]
    fn the_first_format_is_read_for_ever() {
        assert_eq!(task().encode(), Bytes::from_static(GOLDEN));
        assert_eq!(Task::decode("k", &Bytes::from_static(GOLDEN)).unwrap(), task());
    }

    #[test]
    fn a_task_of_a_newer_release_is_refused_by_name() {
        let text =
            |value: &'static [u8]| Task::decode("k", &Bytes::from_static(value)).unwrap_err().to_string();
        assert_eq!(text(b"{\"v\":2,\"odd\":1}\n"), "the record k cannot be read: format 2 is newer than 1");
        assert_eq!(text(b"{\"v\":1}"), "the record k cannot be read: no line");
    }

    const GOLDEN: &[u8] = concat!(
        r#"{"v":1,"id":9,"vchannels":["log_0_7v0","log_0_vcchan"],"#,
        r#""header":{"DropCollection":{"collection":7,"database":1}},"#,
        r#""resource_keys":[{"domain":"Database","key":"default","shared":false}],"#,
        r#""edit":{"put_collections":[],"delete_collections":[7],"put_databases":[],"delete_databases":[],"#,
        r#""put_aliases":[],"delete_aliases":[]}}"#,
        "\nany\nbytes\0"
    )
    .as_bytes();
}
