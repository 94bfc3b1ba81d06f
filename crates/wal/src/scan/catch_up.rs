//! Reading the storage.

use std::collections::VecDeque;

use cinclus_log_storage::{LogError, LogReader, StoredRecord};
use cinclus_types::MessageId;

use crate::shared::Shared;

/// A reader of the storage and what it read ahead.
#[derive(Default)]
pub(super) struct CatchUp {
    reader: Option<Box<dyn LogReader>>,
    records: VecDeque<StoredRecord>,
}

impl CatchUp {
    /// The next record from `from` on; `None` at the durable end. Nothing is lost when this is dropped
    /// half way: the reader is opened again at `from` then.
    pub(super) async fn next(
        &mut self,
        shared: &Shared,
        from: MessageId,
    ) -> Result<Option<StoredRecord>, LogError> {
        if let Some(record) = self.records.pop_front() {
            return Ok(Some(record));
        }
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => shared.storage.read(&shared.channel, from).await?,
        };
        let batch = reader.next_batch().await?;
        self.reader = Some(reader);
        self.records = batch.into();
        Ok(self.records.pop_front())
    }

    /// The next record, if it is at hand without a read.
    pub(super) fn at_hand(&mut self) -> Option<StoredRecord> {
        self.records.pop_front()
    }

    /// Whether records are at hand without a read.
    pub(super) fn has_records(&self) -> bool {
        !self.records.is_empty()
    }
}
