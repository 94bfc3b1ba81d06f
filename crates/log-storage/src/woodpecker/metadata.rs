//! Woodpecker's keys and values in the metadata store.
//!
//! | key, under the prefix | value |
//! | --- | --- |
//! | `instance`, `version`, `logidgen`, `quorumidgen` | written once, together; `logidgen` counts logs |
//! | `logs/<name>` | [`LogMeta`] |
//! | `logs/<name>/segments/<id>` | [`SegmentMetadata`] |
//! | `conditionwrite` | `true` once an object storage was seen to keep to conditional puts |
//! | `readers/<log>/<reader>` | [`ReaderTempInfo`], with a lease |
//! | `cleaning/<log>/<segment>`, `marking/<log>/<segment>` | Woodpecker's notes while it removes a segment |
//! | `cinclus/fence/<name>` | ours alone: [`Fence`], the newest term and open of the log |
//! | `cinclus/compacted/<name>` | ours alone: a [`Point`] before which no segment is left to be compacted |
//! | `cinclus/truncated/<name>` | ours alone: [`Point`], the first record that stays; [`LogMeta`] has the last one that does not |
//!
//! Every transaction about a log also requires the opener's fence value, so a writer that was fenced can
//! change nothing here either. Lost answers are not guessed: they end the writer, and the next open reads
//! what is there.

use std::collections::BTreeMap;

use bytes::Bytes;
use cinclus_env::{DynClock, Random};
use cinclus_meta::{CommitOutcome, Condition, DynMetaStore, Revision, Txn};
use cinclus_types::{PChannel, Term};
use prost::Message;

use crate::error::LogError;

pub use super::metadata_values::{
    Fence, LogMeta, Point, QuorumInfo, QuorumNode, ReaderTempInfo, SegmentMetadata, SegmentState, Version,
};

mod instance;
mod objects;
mod truncation;

pub use instance::effective_prefix;

/// The values of one log, with the revisions that transactions compare.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The log.
    pub meta: LogMeta,
    /// When it was last changed.
    pub revision: Revision,
    /// Its segments by id.
    pub segments: BTreeMap<u64, SegmentEntry>,
}

/// The value of one segment.
#[derive(Clone, Debug)]
pub struct SegmentEntry {
    /// The segment.
    pub meta: SegmentMetadata,
    /// When it was last changed.
    pub revision: Revision,
}

/// Reads and writes the keys above.
#[derive(Clone)]
pub struct WoodpeckerMetadata {
    store: DynMetaStore,
    prefix: String,
    clock: DynClock,
    random: Random,
}

impl WoodpeckerMetadata {
    /// Keys under `prefix` (without a slash at either end).
    #[must_use]
    pub fn new(store: DynMetaStore, prefix: &str, clock: DynClock, random: Random) -> WoodpeckerMetadata {
        WoodpeckerMetadata { store, prefix: prefix.to_owned(), clock, random }
    }

    fn key(&self, rest: &str) -> String {
        format!("{}/{rest}", self.prefix)
    }

    fn log_key(&self, channel: &PChannel) -> String {
        self.key(&format!("logs/{}", channel.name()))
    }

    fn segment_key(&self, channel: &PChannel, segment: u64) -> String {
        self.key(&format!("logs/{}/segments/{segment}", channel.name()))
    }

    fn fence_key(&self, channel: &PChannel) -> String {
        self.key(&format!("cinclus/fence/{}", channel.name()))
    }

    /// Writes the keys of the instance if they are not there.
    ///
    /// # Errors
    /// If the keys are there in part, or name a version that is not ours.
    pub async fn init(&self) -> Result<(), LogError> {
        let keys = ["instance", "version", "logidgen", "quorumidgen"].map(|name| self.key(name));
        let instance = format!("{:016x}{:016x}", self.random.u64(), self.random.u64());
        let values = [
            Bytes::from(instance),
            Version::CURRENT.encode_to_vec().into(),
            Bytes::from_static(b"0"),
            Bytes::from_static(b"0"),
        ];
        let mut txn = Txn::new();
        for (key, value) in keys.iter().zip(values) {
            txn = txn.require_absent(key).put(key, value);
        }
        match self.store.commit(txn).await? {
            CommitOutcome::Committed(_) => return Ok(()),
            CommitOutcome::Conflict(there) if there.len() == keys.len() => {}
            CommitOutcome::Conflict(_) => {
                let what = format!("the keys under {} are there in part only", self.prefix);
                return Err(LogError::Invalid(what));
            }
        }
        let version = self.store.get(&keys[1]).await?.map(|entry| entry.value).unwrap_or_default();
        let version = decode::<Version>(&keys[1], &version)?;
        if version.major == Version::CURRENT.major {
            Ok(())
        } else {
            Err(LogError::Invalid(format!("{} is {version:?}, this program knows version 1", keys[1])))
        }
    }

    /// Raises the fence of a log for a new open.
    ///
    /// # Errors
    /// [`LogError::StaleTerm`] if a newer term has opened it.
    pub async fn raise_fence(&self, channel: &PChannel, term: Term) -> Result<Fence, LogError> {
        check_name(channel)?;
        let key = self.fence_key(channel);
        loop {
            let found = self.store.get(&key).await?;
            let old = match &found {
                Some(entry) => decode::<Fence>(&key, &entry.value)?,
                None => Fence::default(),
            };
            if Term(old.term) > term {
                return Err(LogError::StaleTerm { asked: term, newest: Term(old.term) });
            }
            let fence = Fence { term: term.0, opened: old.opened + 1, nonce: self.random.u64() };
            let txn = Txn::new()
                .require_unchanged(&key, found.map(|entry| entry.modified))
                .put(&key, fence.encode_to_vec());
            if self.store.commit(txn).await?.committed().is_some() {
                return Ok(fence);
            }
        }
    }

    /// The newest term that opened the log.
    ///
    /// # Errors
    /// Of the store, or if the value cannot be read.
    pub async fn term(&self, channel: &PChannel) -> Result<Term, LogError> {
        let key = self.fence_key(channel);
        let found = self.store.get(&key).await?;
        found.map_or(Ok(Term(0)), |entry| Ok(Term(decode::<Fence>(&key, &entry.value)?.term)))
    }

    /// Whether nobody has opened the log since that fence was raised.
    ///
    /// # Errors
    /// Of the store.
    pub async fn holds_fence(&self, channel: &PChannel, fence: &Fence) -> Result<bool, LogError> {
        self.holds(self.require_fence(channel, Some(fence))).await
    }

    /// Whether the log is there.
    ///
    /// # Errors
    /// Of the store: that this process was replaced, among others.
    pub async fn exists(&self, channel: &PChannel) -> Result<bool, LogError> {
        self.holds(Txn::new().require(Condition::Exists(self.log_key(channel)))).await
    }

    /// A commit without writes: what only was read may be from before another process took over (M1).
    async fn holds(&self, conditions: Txn) -> Result<bool, LogError> {
        Ok(matches!(self.store.commit(conditions).await?, CommitOutcome::Committed(_)))
    }

    fn require_fence(&self, channel: &PChannel, fence: Option<&Fence>) -> Txn {
        match fence {
            Some(fence) => {
                let value = fence.encode_to_vec().into();
                Txn::new().require(Condition::ValueIs(self.fence_key(channel), value))
            }
            None => Txn::new(),
        }
    }

    /// The log with its segments, if it is there.
    ///
    /// # Errors
    /// Of the store, or if a value cannot be read.
    pub async fn load(&self, channel: &PChannel) -> Result<Option<LogEntry>, LogError> {
        check_name(channel)?;
        let key = self.log_key(channel);
        // One scan, so log and segments are of one revision. Logs whose names go on differently are
        // skipped.
        let (_, entries) = self.store.scan(&key).await?;
        let segments_prefix = self.key(&format!("logs/{}/segments/", channel.name()));
        let mut log = None;
        let mut segments = BTreeMap::new();
        for entry in entries {
            if entry.key == key {
                log = Some((decode::<LogMeta>(&entry.key, &entry.value)?, entry.modified));
            } else if let Some(id) = entry.key.strip_prefix(&segments_prefix) {
                let id = id.parse().map_err(|_| bad_value(&entry.key, "not a segment number"))?;
                let meta = decode(&entry.key, &entry.value)?;
                segments.insert(id, SegmentEntry { meta, revision: entry.modified });
            }
        }
        Ok(log.map(|(meta, revision)| LogEntry { meta, revision, segments }))
    }

    /// Creates a log with the next id.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile.
    pub async fn create_log(&self, channel: &PChannel, fence: &Fence) -> Result<(), LogError> {
        let (counter_key, log_key) = (self.key("logidgen"), self.log_key(channel));
        loop {
            let counter = self.store.get(&counter_key).await?;
            let counter = counter.ok_or_else(|| bad_value(&counter_key, "missing"))?.value;
            let text = std::str::from_utf8(&counter).ok();
            let last: i64 = text
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| bad_value(&counter_key, "not a number"))?;
            let meta = LogMeta::new(last + 1, self.clock.unix_ms());
            let txn = self
                .require_fence(channel, Some(fence))
                .require(Condition::ValueIs(counter_key.clone(), counter))
                .require_absent(&log_key)
                .put(&log_key, meta.encode_to_vec())
                .put(&counter_key, (last + 1).to_string());
            match self.store.commit(txn).await? {
                CommitOutcome::Committed(_) => return Ok(()),
                CommitOutcome::Conflict(failed) if failed.contains(&0) => return Err(LogError::Fenced),
                // Somebody else took the number, or made the log: then there is nothing to do.
                CommitOutcome::Conflict(failed) if failed.contains(&2) => return Ok(()),
                CommitOutcome::Conflict(_) => {}
            }
        }
    }

    /// Adds an active segment.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile or the segment is there.
    pub async fn create_segment(
        &self,
        channel: &PChannel,
        fence: &Fence,
        segment: u64,
    ) -> Result<(), LogError> {
        let key = self.segment_key(channel, segment);
        let meta = SegmentMetadata::active(segment, self.clock.unix_ms());
        let txn = self
            .require_fence(channel, Some(fence))
            .require(Condition::Exists(self.log_key(channel)))
            .require_absent(&key)
            .put(&key, meta.encode_to_vec());
        self.commit_fenced(txn).await
    }

    /// Adds an active segment, or finds that a call before whose answer was lost has added it. Only one
    /// process can, as long as the fence holds; a segment that another program made in its stead is caught by
    /// the conditional put of its first block.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile.
    pub async fn ensure_segment(
        &self,
        channel: &PChannel,
        fence: &Fence,
        segment: u64,
    ) -> Result<(), LogError> {
        match self.create_segment(channel, fence, segment).await {
            Err(LogError::Fenced) => {}
            done => return done,
        }
        let key = self.segment_key(channel, segment);
        let Some(entry) = self.store.get(&key).await? else { return Err(LogError::Fenced) };
        let is_active = decode::<SegmentMetadata>(&key, &entry.value)?.state() == SegmentState::Active;
        if is_active && self.holds_fence(channel, fence).await? { Ok(()) } else { Err(LogError::Fenced) }
    }

    /// Marks a segment as completed. Nothing if it is.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile.
    pub async fn complete_segment(
        &self,
        channel: &PChannel,
        fence: &Fence,
        segment: u64,
        last_entry: i64,
        bytes: u64,
    ) -> Result<(), LogError> {
        let key = self.segment_key(channel, segment);
        let entry = self.store.get(&key).await?.ok_or(LogError::Fenced)?;
        let meta: SegmentMetadata = decode(&key, &entry.value)?;
        if meta.state() != SegmentState::Active {
            return Ok(());
        }
        self.put_completed(channel, fence, (key, entry.modified, meta), (last_entry, bytes)).await
    }

    /// Notes a new end of a segment that was cut, whatever its state.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile.
    pub async fn cut_segment(
        &self,
        channel: &PChannel,
        fence: &Fence,
        segment: u64,
        last_entry: i64,
        bytes: u64,
    ) -> Result<(), LogError> {
        let key = self.segment_key(channel, segment);
        let entry = self.store.get(&key).await?.ok_or(LogError::Fenced)?;
        let meta: SegmentMetadata = decode(&key, &entry.value)?;
        self.put_completed(channel, fence, (key, entry.modified, meta), (last_entry, bytes)).await
    }

    async fn put_completed(
        &self,
        channel: &PChannel,
        fence: &Fence,
        (key, revision, mut meta): (String, Revision, SegmentMetadata),
        (last_entry, bytes): (i64, u64),
    ) -> Result<(), LogError> {
        meta.complete(last_entry, bytes, self.clock.unix_ms());
        let txn = self
            .require_fence(channel, Some(fence))
            .require(Condition::ModifiedAt(key.clone(), revision))
            .put(&key, meta.encode_to_vec());
        self.commit_fenced(txn).await
    }

    /// Forgets segments whose files are gone.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if the fence was raised meanwhile.
    pub async fn remove_segments(
        &self,
        channel: &PChannel,
        fence: Option<&Fence>,
        segments: &[u64],
    ) -> Result<(), LogError> {
        let mut txn = self.require_fence(channel, fence);
        for segment in segments {
            txn = txn.delete(self.segment_key(channel, *segment));
        }
        self.commit_fenced(txn).await
    }

    /// The names and ids of all logs, sorted by name.
    ///
    /// # Errors
    /// Of the store, or if a value cannot be read.
    pub async fn logs(&self) -> Result<Vec<(PChannel, i64)>, LogError> {
        let prefix = self.key("logs/");
        let (_, entries) = self.store.scan(&prefix).await?;
        let mut logs = Vec::new();
        for entry in entries {
            let name = &entry.key[prefix.len()..];
            if !name.contains('/') {
                let meta = decode::<LogMeta>(&entry.key, &entry.value)?;
                logs.push((PChannel::new(name), meta.log_id));
            }
        }
        Ok(logs)
    }

    async fn commit_fenced(&self, txn: Txn) -> Result<(), LogError> {
        match self.store.commit(txn).await? {
            CommitOutcome::Committed(_) => Ok(()),
            CommitOutcome::Conflict(_) => Err(LogError::Fenced),
        }
    }
}

/// Keys are split at slashes, so a name has none.
fn check_name(channel: &PChannel) -> Result<(), LogError> {
    if channel.name().is_empty() || channel.name().contains('/') {
        return Err(LogError::Invalid(format!("{:?} cannot be the name of a log", channel.name())));
    }
    Ok(())
}

fn bad_value(key: &str, what: &str) -> LogError {
    LogError::Invalid(format!("metadata key {key}: {what}"))
}

fn decode<M: Message + Default>(key: &str, value: &[u8]) -> Result<M, LogError> {
    M::decode(value).map_err(|error| bad_value(key, &error.to_string()))
}
