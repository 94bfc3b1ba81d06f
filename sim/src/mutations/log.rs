//! A log storage that breaks its rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cinclus_log_storage::{
    AppendAck, DynLogStorage, LogError, LogReader, LogStorage, LogWriter, OpenOptions, Record, StoredRecord,
};
use cinclus_types::{MessageId, PChannel};
use parking_lot::Mutex;

use super::Mutation;
use crate::archive::Archive;

/// The property that says of which kind a message is, and the number of a commit.
const KIND: &str = "_t";
const COMMIT: &str = "901";
/// The property of a broadcast.
const BROADCAST: &str = "_bh";
/// The property of a transaction.
const TXN: &str = "_tx";

type Shared = Arc<Mutex<Box<dyn LogWriter>>>;

/// A storage with a mutation.
pub struct MutantLog {
    /// The storage itself.
    pub inner: DynLogStorage,
    /// What is wrong with it.
    pub mutation: Mutation,
    /// Keeps what it forgets too early.
    pub archive: Archive,
    writers: Mutex<BTreeMap<PChannel, Shared>>,
}

impl MutantLog {
    /// Breaks a storage.
    #[must_use]
    pub fn new(inner: DynLogStorage, mutation: Mutation, archive: Archive) -> MutantLog {
        MutantLog { inner, mutation, archive, writers: Mutex::default() }
    }
}

#[async_trait]
impl LogStorage for MutantLog {
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError> {
        let known = self.writers.lock().get(channel).cloned();
        let writer = match known.filter(|_| self.mutation == Mutation::NoFence) {
            Some(writer) => writer,
            None => Arc::new(Mutex::new(self.inner.open_writer(channel, options).await?)),
        };
        self.writers.lock().insert(channel.clone(), writer.clone());
        Ok(Box::new(MutantWriter { inner: writer, mutation: self.mutation, batches: 0 }))
    }

    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError> {
        let inner = self.inner.read(channel, from).await?;
        if self.mutation == Mutation::SkipsRecords {
            return Ok(Box::new(SkippingReader { inner, records: 0 }));
        }
        if self.mutation == Mutation::ChangesRecords {
            return Ok(Box::new(ChangingReader { inner, records: 0 }));
        }
        Ok(inner)
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        if self.mutation != Mutation::TruncatesAll {
            return self.inner.truncate(channel, upto).await;
        }
        self.archive.read(&self.inner, channel).await?;
        let mut reader = self.inner.read(channel, upto.max(self.inner.earliest(channel).await?)).await?;
        let mut last = upto;
        while let Some(record) = reader.next().await? {
            last = record.id;
        }
        self.inner.truncate(channel, last).await
    }

    async fn earliest(&self, channel: &PChannel) -> Result<MessageId, LogError> {
        self.inner.earliest(channel).await
    }

    async fn channels(&self) -> Result<Vec<PChannel>, LogError> {
        self.inner.channels().await
    }

    async fn available_bytes(&self) -> Result<Option<u64>, LogError> {
        self.inner.available_bytes().await
    }
}

struct MutantWriter {
    inner: Shared,
    mutation: Mutation,
    batches: u64,
}

#[async_trait]
impl LogWriter for MutantWriter {
    fn append(&mut self, mut batch: Vec<Record>) -> AppendAck {
        self.batches += 1;
        let last = batch.len() - 1;
        #[allow(clippy::wildcard_enum_match_arm, reason = "the others break something else")]
        match self.mutation {
            Mutation::SwapsWrites => batch.swap(0, last),
            Mutation::Overwrites if self.batches.is_multiple_of(10) => batch[last] = batch[0].clone(),
            Mutation::TearsTransactions if last > 0 => {
                let is_commit = |record: &Record| record.property(KIND) == Some(COMMIT);
                if let Some(at) = batch.iter().position(is_commit).filter(|at| *at > 0)
                    && batch[at - 1].property(TXN).is_some()
                {
                    batch.swap(at - 1, at);
                }
            }
            Mutation::RepeatsBroadcasts => {
                let at = batch.iter().position(|record| record.property(BROADCAST).is_some());
                if let Some(record) = at.map(|at| batch[at].clone()) {
                    // Not waited for: nobody asked for it.
                    drop(self.inner.lock().append(vec![record]));
                }
            }
            _ => {}
        }
        self.inner.lock().append(batch)
    }

    fn in_flight_bytes(&self) -> u64 {
        self.inner.lock().in_flight_bytes()
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        // What is shared is not closed; what is in flight is answered all the same.
        Ok(())
    }
}

/// A reader that leaves records out.
pub(super) struct SkippingReader {
    pub(super) inner: Box<dyn LogReader>,
    pub(super) records: u64,
}

#[async_trait]
impl LogReader for SkippingReader {
    async fn next(&mut self) -> Result<Option<StoredRecord>, LogError> {
        self.records += 1;
        if self.records.is_multiple_of(20) {
            let _ = self.inner.next().await?;
        }
        self.inner.next().await
    }

    async fn next_batch(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        let mut batch = self.inner.next_batch().await?;
        self.records += batch.len() as u64;
        if batch.len() > 2 {
            batch.remove(1);
        }
        Ok(batch)
    }
}

/// A reader that says something else of a record now and then.
struct ChangingReader {
    inner: Box<dyn LogReader>,
    records: u64,
}

impl ChangingReader {
    fn change(&mut self, stored: &mut StoredRecord) {
        self.records += 1;
        if self.records.is_multiple_of(7) {
            // Nobody in the house asks for it.
            stored.record.properties = stored.record.properties.with("zz", "changed");
        }
    }
}

#[async_trait]
impl LogReader for ChangingReader {
    async fn next(&mut self) -> Result<Option<StoredRecord>, LogError> {
        let mut next = self.inner.next().await?;
        next.iter_mut().for_each(|stored| self.change(stored));
        Ok(next)
    }

    async fn next_batch(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        let mut batch = self.inner.next_batch().await?;
        batch.iter_mut().for_each(|stored| self.change(stored));
        Ok(batch)
    }
}
