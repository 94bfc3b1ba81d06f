//! Logs in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cinclus_types::{MessageId, PChannel, Term};
use parking_lot::Mutex;

use crate::ack::AppendAck;
use crate::error::LogError;
use crate::record::{Record, StoredRecord};
use crate::storage::{LogReader, LogStorage, LogWriter, OpenOptions};

/// A [`LogStorage`] in memory; "durable" means here: as long as a clone of it lives. Appends are acked at
/// once. Each open starts a new segment number, so ids have gaps as those of real storages do.
#[derive(Clone, Default)]
pub struct MemoryLogStorage {
    logs: Arc<Mutex<BTreeMap<PChannel, Arc<Mutex<Log>>>>>,
}

struct Log {
    term: Term,
    /// Counts opens; only the writer of the newest may append.
    opened: u64,
    records: BTreeMap<MessageId, Record>,
    next: MessageId,
    earliest: MessageId,
}

impl MemoryLogStorage {
    /// A storage without logs.
    #[must_use]
    pub fn new() -> MemoryLogStorage {
        MemoryLogStorage::default()
    }

    fn log(&self, channel: &PChannel) -> Result<Arc<Mutex<Log>>, LogError> {
        self.logs.lock().get(channel).cloned().ok_or_else(|| LogError::NotFound(channel.clone()))
    }
}

#[async_trait]
impl LogStorage for MemoryLogStorage {
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError> {
        let new = || {
            Arc::new(Mutex::new(Log {
                term: options.term,
                opened: 0,
                records: BTreeMap::new(),
                next: MessageId::EARLIEST,
                earliest: MessageId::EARLIEST,
            }))
        };
        let log = self.logs.lock().entry(channel.clone()).or_insert_with(new).clone();
        let mut state = log.lock();
        if options.term < state.term {
            return Err(LogError::StaleTerm { asked: options.term, newest: state.term });
        }
        state.term = options.term;
        // Invariant L3: from here on the writers of earlier opens find another number.
        state.opened += 1;
        state.next = MessageId::from_parts(0, state.opened - 1, 0);
        let opened = state.opened;
        drop(state);
        Ok(Box::new(MemoryWriter { log, opened }))
    }

    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError> {
        let log = self.log(channel)?;
        log.lock().check_from(from)?;
        Ok(Box::new(MemoryReader { log, from }))
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        let log = self.log(channel)?;
        let mut log = log.lock();
        // Invariant L6: only forward.
        log.earliest = log.earliest.max(upto.min(log.next));
        let earliest = log.earliest;
        log.records = log.records.split_off(&earliest);
        Ok(())
    }

    async fn earliest(&self, channel: &PChannel) -> Result<MessageId, LogError> {
        Ok(self.log(channel)?.lock().earliest)
    }

    async fn channels(&self) -> Result<Vec<PChannel>, LogError> {
        Ok(self.logs.lock().keys().cloned().collect())
    }

    async fn available_bytes(&self) -> Result<Option<u64>, LogError> {
        Ok(None)
    }
}

impl Log {
    fn check_from(&self, from: MessageId) -> Result<(), LogError> {
        if from < self.earliest { Err(LogError::Truncated { earliest: self.earliest }) } else { Ok(()) }
    }
}

struct MemoryWriter {
    log: Arc<Mutex<Log>>,
    opened: u64,
}

#[async_trait]
impl LogWriter for MemoryWriter {
    fn append(&mut self, batch: Vec<Record>) -> AppendAck {
        let mut log = self.log.lock();
        if log.opened != self.opened {
            return AppendAck::ready(Err(LogError::Fenced));
        }
        let mut ids = Vec::with_capacity(batch.len());
        for record in batch {
            let id = log.next;
            log.records.insert(id, record);
            log.next = id.next();
            ids.push(id);
        }
        AppendAck::ready(Ok(ids))
    }

    fn in_flight_bytes(&self) -> u64 {
        0
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        if self.log.lock().opened == self.opened { Ok(()) } else { Err(LogError::Fenced) }
    }
}

struct MemoryReader {
    log: Arc<Mutex<Log>>,
    from: MessageId,
}

/// Records that [`LogReader::next_batch`] gives at once.
const BATCH: usize = 256;

impl MemoryReader {
    fn take(&mut self, count: usize) -> Result<Vec<StoredRecord>, LogError> {
        let log = self.log.lock();
        log.check_from(self.from)?;
        let stored = |(id, record): (&MessageId, &Record)| StoredRecord { id: *id, record: record.clone() };
        let records: Vec<StoredRecord> = log.records.range(self.from..).take(count).map(stored).collect();
        if let Some(last) = records.last() {
            self.from = last.id.next();
        }
        Ok(records)
    }
}

#[async_trait]
impl LogReader for MemoryReader {
    async fn next(&mut self) -> Result<Option<StoredRecord>, LogError> {
        Ok(self.take(1)?.pop())
    }

    async fn next_batch(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        self.take(BATCH)
    }
}
