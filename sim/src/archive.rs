//! Everything that was ever in the logs, also what was truncated since.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_log_storage::{DynLogStorage, LogError, StoredRecord};
use cinclus_types::message::Encoded;
use cinclus_types::message::Message;
use cinclus_types::{MessageId, PChannel};
use parking_lot::Mutex;

use crate::checkers::Finding;

/// The records of all logs. Clones are the same.
#[derive(Clone, Default)]
pub struct Archive(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    logs: BTreeMap<PChannel, BTreeMap<MessageId, StoredRecord>>,
    findings: Vec<Finding>,
}

/// One log, decoded, in the order of its ids.
pub type Log = Vec<Message>;

impl Archive {
    /// Reads a log from where it begins now to its durable end.
    ///
    /// # Errors
    /// Those of the storage; nothing is forgotten by them.
    pub async fn read(&self, storage: &DynLogStorage, channel: &PChannel) -> Result<(), LogError> {
        let from = match storage.earliest(channel).await {
            Ok(from) => from,
            // Nobody has opened it yet.
            Err(LogError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut reader = storage.read(channel, from).await?;
        let mut last = None;
        loop {
            let batch = reader.next_batch().await?;
            if batch.is_empty() {
                return Ok(());
            }
            for record in batch {
                self.add(channel, &mut last, record);
            }
        }
    }

    fn add(&self, channel: &PChannel, last: &mut Option<MessageId>, record: StoredRecord) {
        let inner = &mut *self.0.lock();
        let id = record.id;
        let mut say = |text| inner.findings.push(Finding::new("L5", text));
        if last.is_some_and(|last| last >= id) {
            say(format!("{channel}: record {id} was read after {last:?}"));
        }
        *last = Some(id);
        let log = inner.logs.entry(channel.clone()).or_default();
        if let Some(before) = log.get(&id)
            && *before != record
        {
            say(format!("{channel}: record {id} is not what it was before"));
        }
        log.insert(id, record);
    }

    /// The records of all logs: where they stand, and their bytes.
    #[must_use]
    pub fn bytes(&self) -> BTreeMap<PChannel, BTreeMap<MessageId, u64>> {
        let inner = self.0.lock();
        let of_log = |log: &BTreeMap<MessageId, StoredRecord>| {
            log.iter().map(|(id, stored)| (*id, stored.record.bytes())).collect()
        };
        inner.logs.iter().map(|(channel, log)| (channel.clone(), of_log(log))).collect()
    }

    /// All logs, and what is wrong with their records.
    #[must_use]
    pub fn logs(&self) -> (BTreeMap<PChannel, Log>, Vec<Finding>) {
        let inner = self.0.lock();
        let mut findings = inner.findings.clone();
        let mut decode = |channel: &PChannel, stored: &StoredRecord| {
            let StoredRecord { id, record } = stored.clone();
            let encoded = Encoded { payload: record.payload, properties: record.properties };
            let decoded = encoded.into_stored(id);
            decoded
                .map_err(|error| findings.push(Finding::new("L5", format!("{channel} {id}: {error}"))))
                .ok()
        };
        let logs = inner.logs.iter().map(|(channel, log)| {
            let messages = log.values().filter_map(|stored| decode(channel, stored)).collect();
            (channel.clone(), messages)
        });
        let logs = logs.collect();
        (logs, findings)
    }
}
