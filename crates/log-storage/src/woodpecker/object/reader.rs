//! Reads one log across its segments.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use cinclus_types::MessageId;
use object_store::path::Path;

use super::ahead::{Ahead, Fetch};
use super::block;
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
    /// Of the next segment.
    following: Option<Ahead>,
    /// Blocks that may be asked for at once; grows as long as the reader goes on.
    width: usize,
    /// The newest segment whose footer was asked for early.
    footer_asked: u64,
    /// The open segment whose blocks were listed: later ones are asked for one by one.
    listed: Option<u64>,
    missing: u32,
    /// While another process may own the log.
    registration: Option<Registration>,
    ready: VecDeque<StoredRecord>,
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
            following: None,
            width: 1,
            footer_asked: 0,
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
        self.log.state.check_readable(id)
    }

    /// The records of the next block from the wanted entry on; none at the durable end.
    async fn read_on(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        self.register();
        let mut asked = false;
        loop {
            self.check_readable()?;
            if let Some(mut ahead) = self.ahead.take()
                && self.fill(&mut ahead, (0, 0))
            {
                self.fill_following(&ahead);
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
                    let following = self.following.take();
                    let following = following.filter(|ahead| ahead.is_at(segment.id, number, edition));
                    self.ahead = following.or_else(|| Some(Ahead::new(segment, number, edition)));
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
                self.count_missing(&objects.footer(place), segment.id, 0).await?;
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

    /// Asks for as many blocks as may be on their way, beside those of another segment. `false` if there is
    /// nothing to wait for.
    fn fill(&self, ahead: &mut Ahead, (blocks, bytes): (usize, u64)) -> bool {
        let config = &self.shared.config;
        while ahead.fetches.len() + blocks < self.width.min(config.reads_max.max(1)) {
            let Some((extent, merged, readable)) = ahead.segment.block(ahead.next, ahead.edition) else {
                break;
            };
            let under_way = ahead.bytes + bytes;
            if under_way > 0 && under_way + extent.bytes > config.read_ahead_bytes {
                break;
            }
            let place = self.place(ahead.segment.id);
            let fetch = Fetch::start(&self.shared, place, ahead.next, extent, (merged, readable));
            ahead.fetches.push_back(fetch);
            ahead.bytes += extent.bytes;
            ahead.next += 1;
        }
        !ahead.fetches.is_empty()
    }

    /// Goes on asking for blocks of the next segment, once all of this one were asked for.
    fn fill_following(&mut self, ahead: &Ahead) {
        if self.width == 1 || ahead.segment.is_open() {
            return;
        }
        let Some(segment) = self.log.segment_from(ahead.segment.id + 1) else { return };
        match segment.view(0) {
            View::InFooter => self.ask_for_footer(segment),
            View::OpenEnd { .. } | View::End => {}
            View::Block { number, edition } => {
                if ahead.segment.block(ahead.next, ahead.edition).is_some() {
                    return;
                }
                let known = self.following.take().filter(|known| known.is_of(segment.id, edition));
                let mut following = known.unwrap_or_else(|| Ahead::new(segment, number, edition));
                self.fill(&mut following, (ahead.fetches.len(), ahead.bytes));
                self.following = Some(following);
            }
        }
    }

    /// Reads the footer of a segment in the background. If that fails, it is read again when it is needed.
    fn ask_for_footer(&mut self, segment: Arc<Segment>) {
        if self.footer_asked >= segment.id {
            return;
        }
        self.footer_asked = segment.id;
        let (shared, place) = (self.shared.clone(), self.place(segment.id));
        self.shared.env.tasks.spawn("log footer read", async move {
            let objects = &shared.objects;
            if let Ok(Some(found)) = objects.get(&objects.footer(place)).await
                && let Ok(layout) = read_footer(objects, place, &found)
                && segment.view(0) == View::InFooter
            {
                segment.finish(layout);
            }
        });
    }

    /// Waits for the next block; if it is not there, gives back what was asked for.
    async fn take(&mut self, ahead: &mut Ahead) -> Result<Result<Vec<StoredRecord>, Fetch>, LogError> {
        let Some(mut fetch) = ahead.fetches.pop_front() else { return Ok(Ok(Vec::new())) };
        ahead.bytes -= fetch.extent.bytes;
        // Who comes for a second block reads on, as a rule.
        self.width = (self.width * 8).min(self.shared.config.reads_max.max(1));
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
        self.count_missing(&fetch.path, segment.id, fetch.number).await?;
        if !segment.is_open() {
            segment.look_into_footer();
        }
        Ok(())
    }

    /// What is missing was taken away by another process, or it is damage: that is said only by whoever is sure that
    /// what it knows of the log is still true.
    async fn count_missing(&mut self, path: &Path, segment: u64, block: u64) -> Result<(), LogError> {
        self.missing += 1;
        if self.missing < MISSING_MAX {
            return Ok(());
        }
        let (metadata, channel) = (&self.shared.metadata, &self.log.channel);
        if let Some(fence) = self.log.live_fence() {
            if metadata.holds_fence(channel, &fence).await? {
                return Err(corrupt(path, segment, block, "it is missing"));
            }
            self.log.give_up(&fence);
            self.missing = 0;
            return Ok(());
        }
        if !metadata.exists(channel).await? {
            return Err(LogError::NotFound(channel.clone()));
        }
        Err(corrupt(path, segment, block, "it is missing"))
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
