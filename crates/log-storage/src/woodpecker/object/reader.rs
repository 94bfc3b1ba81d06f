//! Reads one log across its segments.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use cinclus_env::TaskHandle;
use cinclus_types::MessageId;
use object_store::path::Path;

use super::block::{self, Extent};
use super::channel::Log;
use super::objects::{Place, corrupt};
use super::recover::read_footer;
use super::registration::Registration;
use super::scan::scan;
use super::segment::{Segment, View};
use super::shared::Shared;
use crate::error::LogError;
use crate::record::StoredRecord;
use crate::storage::LogReader;

/// Larger blocks are checked and decoded on the compute pool: it takes longer than 200 µs.
const INLINE_BYTES_MAX: u64 = 512 << 10;
/// How often a block may be missing where it must be before that is damage: it may have been compacted, and
/// the footer been read just before.
const MISSING_MAX: u32 = 3;

/// A position in a log, and the blocks that were asked for.
pub(super) struct ObjectReader {
    shared: Arc<Shared>,
    log: Arc<Log>,
    /// The next record wanted: segment and entry.
    segment: u64,
    entry: u64,
    ahead: Option<Ahead>,
    /// The open segment whose blocks were listed: later ones are asked for one by one.
    listed: Option<u64>,
    missing: u32,
    /// While another process may own the log.
    registration: Option<Registration>,
    ready: VecDeque<StoredRecord>,
}

/// Blocks of one segment on their way to a reader, in order.
struct Ahead {
    segment: Arc<Segment>,
    edition: u64,
    next: u64,
    fetches: VecDeque<Fetch>,
    bytes: u64,
    /// Blocks that may be asked for at once; grows as long as the reader goes on.
    width: usize,
}

struct Fetch {
    path: Path,
    number: u64,
    extent: Extent,
    readable: u64,
    task: Option<TaskHandle<Fetched>>,
}

/// The records of a block; `None` if it is not there.
type Fetched = Result<Option<Vec<StoredRecord>>, LogError>;

impl Drop for Fetch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl ObjectReader {
    pub(super) fn new(shared: Arc<Shared>, log: Arc<Log>, from: MessageId) -> ObjectReader {
        // An id of another generation lies before or behind everything here.
        let (segment, entry) = match from.generation().cmp(&shared.config.generation) {
            std::cmp::Ordering::Less => (0, 0),
            std::cmp::Ordering::Equal => (from.segment(), from.entry()),
            std::cmp::Ordering::Greater => (u64::MAX, 0),
        };
        ObjectReader {
            shared,
            log,
            segment,
            entry,
            ahead: None,
            listed: None,
            missing: 0,
            registration: None,
            ready: VecDeque::new(),
        }
    }

    fn register(&mut self) {
        let at = (self.segment, self.entry);
        if self.log.live().is_some() || self.segment == u64::MAX {
            self.registration = None;
        } else if let Some(registration) = &self.registration {
            registration.set(at);
        } else if let Some(log) = self.log.id() {
            self.registration = Some(Registration::start(&self.shared, log, at));
        }
    }

    fn check_readable(&self) -> Result<(), LogError> {
        if self.segment == u64::MAX {
            return Ok(());
        }
        let id = MessageId::from_parts(self.shared.config.generation, self.segment, self.entry);
        self.log.check_readable(id)
    }

    /// The records of the next block from the wanted entry on; none at the durable end.
    async fn read_on(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        self.register();
        let mut asked = false;
        loop {
            self.check_readable()?;
            if let Some(mut ahead) = self.ahead.take()
                && self.fill(&mut ahead)
            {
                let records = self.take(&mut ahead).await?;
                match records {
                    Ok(records) => {
                        self.ahead = Some(ahead);
                        self.missing = 0;
                        if !records.is_empty() {
                            return Ok(records);
                        }
                    }
                    Err(fetch) => self.block_is_missing(&ahead.segment, &fetch).await?,
                }
                continue;
            }
            let Some(segment) = self.log.segment_from(self.segment) else {
                if self.ask_again(&mut asked).await? { continue } else { return Ok(Vec::new()) }
            };
            if segment.id > self.segment {
                (self.segment, self.entry) = (segment.id, 0);
            }
            match segment.view(self.entry) {
                View::Block { number, edition } => {
                    let (fetches, bytes, width) = (VecDeque::new(), 0, 1);
                    self.ahead = Some(Ahead { segment, edition, next: number, fetches, bytes, width });
                }
                View::InFooter => self.load_footer(&segment).await?,
                View::End => (self.segment, self.entry) = (segment.id + 1, 0),
                View::OpenEnd { blocks, next_entry } => {
                    if self.log.live().is_some() {
                        return Ok(Vec::new());
                    }
                    let found = self.look_for(&segment, blocks, next_entry).await?;
                    if !found && !self.ask_again(&mut asked).await? && !self.was_left(&segment).await? {
                        return Ok(Vec::new());
                    }
                }
            }
        }
    }

    /// At the end, where this process does not write the log: reads the metadata, once for each call.
    async fn ask_again(&self, asked: &mut bool) -> Result<bool, LogError> {
        if *asked || self.segment == u64::MAX || self.log.live().is_some() {
            return Ok(false);
        }
        *asked = true;
        self.shared.refresh(&self.log).await?;
        Ok(true)
    }

    fn place(&self, segment: u64) -> Place {
        Place { log: self.log.id().unwrap_or_default(), segment }
    }

    /// Reads the footer of a finished segment.
    async fn load_footer(&mut self, segment: &Segment) -> Result<(), LogError> {
        let (objects, place) = (&self.shared.objects, self.place(segment.id));
        match objects.get(&objects.footer(place)).await? {
            Some(found) => segment.finish(read_footer(objects, place, &found)?),
            None => {
                self.shared.refresh(&self.log).await?;
                self.check_readable()?;
                self.count_missing(&objects.footer(place), segment.id, 0)?;
            }
        }
        Ok(())
    }

    /// Whether an open segment has its footer: it may, before the metadata says so, if there is a later one.
    async fn was_left(&self, segment: &Segment) -> Result<bool, LogError> {
        if self.log.segment_from(segment.id + 1).is_none() {
            return Ok(false);
        }
        let (objects, place) = (&self.shared.objects, self.place(segment.id));
        let Some(found) = objects.get(&objects.footer(place)).await? else { return Ok(false) };
        segment.finish(read_footer(objects, place, &found)?);
        Ok(true)
    }

    /// Looks for blocks behind the known end of a segment that somebody else may be writing.
    async fn look_for(&mut self, segment: &Segment, number: u64, first_entry: u64) -> Result<bool, LogError> {
        let (objects, place) = (&self.shared.objects, self.place(segment.id));
        if self.listed.replace(segment.id) != Some(segment.id) {
            let mut blocks = segment.layout().blocks;
            let known = blocks.len();
            scan(objects, place, &mut blocks, self.shared.config.reads_max).await?;
            for (number, block) in blocks.iter().enumerate().skip(known) {
                segment.advance(number as u64, *block);
            }
            return Ok(blocks.len() > known);
        }
        let path = objects.block(place, number);
        let found = objects.get_head(&path, block::HEAD_BYTES).await?;
        let Some(found) = found.filter(|found| !found.fence) else { return Ok(false) };
        let extent = block::extent(&found.bytes, found.size, number, first_entry)
            .map_err(|error| corrupt(&path, segment.id, number, error))?;
        segment.advance(number, extent);
        Ok(true)
    }

    /// Asks for as many blocks as may be on their way. `false` if there is nothing to wait for.
    fn fill(&self, ahead: &mut Ahead) -> bool {
        let config = &self.shared.config;
        while ahead.fetches.len() < ahead.width.min(config.reads_max.max(1)) {
            let Some((extent, merged, readable)) = ahead.segment.block(ahead.next, ahead.edition) else {
                break;
            };
            if ahead.bytes > 0 && ahead.bytes + extent.bytes > config.read_ahead_bytes {
                break;
            }
            let fetch = self.fetch(ahead.segment.id, ahead.next, extent, (merged, readable));
            ahead.fetches.push_back(fetch);
            ahead.bytes += extent.bytes;
            ahead.next += 1;
        }
        !ahead.fetches.is_empty()
    }

    fn fetch(&self, segment: u64, number: u64, extent: Extent, (merged, readable): (bool, u64)) -> Fetch {
        let (shared, place) = (self.shared.clone(), self.place(segment));
        let objects = &shared.objects;
        let path = if merged { objects.merged(place, number) } else { objects.block(place, number) };
        let (generation, object_path) = (shared.config.generation, path.clone());
        let get = async move {
            let Some(found) = shared.objects.get(&path).await? else { return Ok(None) };
            let object = found.bytes;
            let id = move |entry| MessageId::from_parts(generation, segment, entry);
            let decode = move || block::records(&object, number, extent, id);
            let large = extent.bytes > INLINE_BYTES_MAX;
            let records = if large { shared.env.compute.run(decode).await } else { decode() };
            records.map(Some).map_err(|error| corrupt(&path, segment, number, error))
        };
        let task = self.shared.env.tasks.spawn("log block read", get);
        Fetch { path: object_path, number, extent, readable, task: Some(task) }
    }

    /// Waits for the next block; if it is not there, gives back what was asked for.
    async fn take(&mut self, ahead: &mut Ahead) -> Result<Result<Vec<StoredRecord>, Fetch>, LogError> {
        let Some(mut fetch) = ahead.fetches.pop_front() else { return Ok(Ok(Vec::new())) };
        ahead.bytes -= fetch.extent.bytes;
        // Who comes for a second block reads on, as a rule.
        ahead.width = (ahead.width * 8).min(self.shared.config.reads_max.max(1));
        let Some(task) = fetch.task.take() else { return Ok(Ok(Vec::new())) };
        let fetched = task.join().await;
        let fetched = fetched.ok_or_else(|| LogError::Unavailable("the reading task ended".to_owned()))?;
        let Some(mut records) = fetched? else { return Ok(Err(fetch)) };
        let from = self.entry;
        records.retain(|record| (from..fetch.readable).contains(&record.id.entry()));
        self.entry = self.entry.max(fetch.extent.next_entry);
        Ok(Ok(records))
    }

    /// A block that must be there is not: the segment was truncated, or compacted.
    async fn block_is_missing(&mut self, segment: &Segment, fetch: &Fetch) -> Result<(), LogError> {
        if self.log.live().is_none() {
            self.shared.refresh(&self.log).await?;
        }
        self.check_readable()?;
        self.count_missing(&fetch.path, segment.id, fetch.number)?;
        if !segment.is_open() {
            segment.look_into_footer();
        }
        Ok(())
    }

    fn count_missing(&mut self, path: &Path, segment: u64, block: u64) -> Result<(), LogError> {
        self.missing += 1;
        if self.missing < MISSING_MAX { Ok(()) } else { Err(corrupt(path, segment, block, "it is missing")) }
    }
}

#[async_trait]
impl LogReader for ObjectReader {
    async fn next(&mut self) -> Result<Option<StoredRecord>, LogError> {
        if self.ready.is_empty() {
            self.ready = self.read_on().await?.into();
        }
        Ok(self.ready.pop_front())
    }

    async fn next_batch(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        if self.ready.is_empty() {
            return self.read_on().await;
        }
        Ok(std::mem::take(&mut self.ready).into())
    }
}
