//! Looks at the files of a storage without changing or locking anything, also while a process writes them.
//!
//! [`logs`] lists logs and segments from their names and footers; [`SegmentWalk`] gives the blocks and
//! records of one segment; [`verify_segment`] checks every checksum of one.

use std::path::{Path, PathBuf};

use cinclus_env::DynDisk;
use cinclus_env::disk::{DiskError, OpenMode, read_file};

use super::files;
use super::index::Index;
use super::scan::{Scan, Tail, entries, judge_tail, read_block};
use super::segment::{BlockStart, End};
use super::window::Window;
use crate::error::LogError;
use crate::record::Record;
use crate::woodpecker::codec::{CodecError, FileHeader, HEADER_BYTES};
use crate::woodpecker::entry;

const READ_BYTES: usize = 4 << 20;

/// A log as its directory shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// Its number.
    pub id: i64,
    /// The name of its PChannel, if a file says so.
    pub channel: Option<String>,
    /// Its segments, ascending.
    pub segments: Vec<SegmentReport>,
}

/// A segment as its file shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its number.
    pub id: u64,
    /// Its file.
    pub file: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// How it ends.
    pub shape: Shape,
    /// Whole blocks; as its footer says, unless the segment was verified.
    pub blocks: u64,
    /// Entries in whole blocks.
    pub entries: u64,
}

/// How a segment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// There is nothing in it: it is ready to be written.
    Empty,
    /// It has its footer.
    Finished,
    /// It has no footer. Some bytes at its end may be on their way or a torn tail.
    Unfinished {
        /// Bytes behind the last whole block; `None` if nobody looked.
        tail_bytes: Option<u64>,
    },
    /// It is damaged.
    Damaged {
        /// The number of the first bad block.
        block: u64,
        /// What is wrong.
        reason: String,
    },
}

/// One block of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReport {
    /// Its number.
    pub number: u64,
    /// Where its header stands in the file.
    pub offset: u64,
    /// Bytes of header and records.
    pub bytes: u64,
    /// The id of its first entry.
    pub first_entry: u64,
    /// Its records.
    pub records: Vec<Record>,
}

/// The logs under a root. Segments show what their footers say; nothing else is read.
///
/// # Errors
/// Of the disk.
pub async fn logs(disk: &DynDisk, root: &Path) -> Result<Vec<LogReport>, LogError> {
    let mut ids: Vec<i64> = disk
        .list(root)
        .await?
        .iter()
        .filter(|entry| entry.is_dir)
        .filter_map(|entry| entry.name.parse().ok())
        .collect();
    ids.sort_unstable();
    let mut logs = Vec::with_capacity(ids.len());
    for id in ids {
        let dir = files::log_dir(root, id);
        let channel = match read_file(&**disk, &dir.join(files::CHANNEL)).await {
            Ok(name) => Some(String::from_utf8_lossy(&name).into_owned()),
            Err(DiskError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut segments = Vec::new();
        for segment in files::segments(disk, &dir).await? {
            // A segment may be truncated while we look.
            segments.extend(look_at(disk, &dir, segment).await?);
        }
        logs.push(LogReport { id, channel, segments });
    }
    Ok(logs)
}

async fn look_at(disk: &DynDisk, log_dir: &Path, id: u64) -> Result<Option<SegmentReport>, LogError> {
    let path = files::segment_dir(log_dir, id).join(files::DATA);
    let file = match disk.open(&path, OpenMode::Read).await {
        Ok(file) => file,
        Err(DiskError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let bytes = file.length().await?;
    let (shape, blocks, entries) = match Index::load(&*file, bytes).await? {
        Ok(index) => (Shape::Finished, index.blocks() as u64, index.end.entries),
        Err(_) if bytes == 0 => (Shape::Empty, 0, 0),
        Err(_) => (Shape::Unfinished { tail_bytes: None }, 0, 0),
    };
    Ok(Some(SegmentReport { id, file: path, bytes, shape, blocks, entries }))
}

/// Checks every checksum of a segment: of its header, blocks, records, indexes and footer.
///
/// # Errors
/// Of the disk; damage is in the report.
pub async fn verify_segment(disk: &DynDisk, file: &Path, id: u64) -> Result<SegmentReport, LogError> {
    let mut walk = SegmentWalk::open(disk, file, id).await?;
    let damage = loop {
        match walk.next_block().await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(LogError::Corrupt { block, reason, .. }) => break Some(Shape::Damaged { block, reason }),
            Err(error) => return Err(error),
        }
    };
    let shape = damage.unwrap_or_else(|| walk.shape());
    let (blocks, entries) = (walk.blocks.len() as u64, walk.end.entries);
    Ok(SegmentReport { id, file: file.to_owned(), bytes: walk.window.limit(), shape, blocks, entries })
}

/// Gives the blocks of a segment's file, as long as it was when the walk began.
pub struct SegmentWalk {
    file: PathBuf,
    id: u64,
    window: Window,
    blocks: Vec<BlockStart>,
    end: End,
    tail: Option<Tail>,
}

impl SegmentWalk {
    /// Opens a segment's file.
    ///
    /// # Errors
    /// Of the disk.
    pub async fn open(disk: &DynDisk, file: &Path, id: u64) -> Result<SegmentWalk, LogError> {
        let open = disk.open(file, OpenMode::Read).await?;
        let len = open.length().await?;
        let window = Window::new(open, len, READ_BYTES);
        Ok(SegmentWalk {
            file: file.to_owned(),
            id,
            window,
            blocks: Vec::new(),
            end: End::default(),
            tail: None,
        })
    }

    /// The next block with its records, every checksum checked; `None` behind the last whole one, if what
    /// stands there is what may.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] at the first bad block that is not the end of an unfinished segment.
    pub async fn next_block(&mut self) -> Result<Option<BlockReport>, LogError> {
        let len = self.window.limit();
        if self.tail.is_some() || len == 0 {
            return Ok(None);
        }
        let number = self.blocks.len() as u64;
        let offset = self.end.bytes.max(HEADER_BYTES as u64);
        let header = self.window.at(0, if number == 0 { HEADER_BYTES } else { 0 }).await?;
        let read = match FileHeader::decode(&header) {
            Err(error) if number == 0 => Err(error),
            Ok(_) | Err(_) if offset >= len => {
                self.tail = Some(Tail::Nothing);
                return Ok(None);
            }
            Ok(_) | Err(_) => read_block(&mut self.window, offset, number, self.end.entries).await?,
        };
        let block = match read {
            Ok(block) => block,
            Err(error) => return self.end_at(offset, error).await.map(|()| None),
        };
        let raw = entries(&block, true).map_err(|error| self.corrupt(&error.to_string()))?;
        let records: Result<Vec<Record>, CodecError> = raw.iter().map(entry::decode).collect();
        let records = records.map_err(|error| self.corrupt(&error.to_string()))?;
        let (bytes, first_entry) = (block.total_bytes(), self.end.entries);
        self.blocks.push(BlockStart { offset, first_entry });
        self.end = End { bytes: offset + bytes, entries: block.header.last_entry as u64 + 1 };
        Ok(Some(BlockReport { number, offset, bytes, first_entry, records }))
    }

    /// How the segment ends; meaningful once [`SegmentWalk::next_block`] has given `None`.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match &self.tail {
            None if self.window.limit() == 0 => Shape::Empty,
            Some(Tail::Footer) => Shape::Finished,
            None | Some(Tail::Nothing | Tail::UnfinishedFooter | Tail::Bad(_)) => {
                let start = self.end.bytes.max(HEADER_BYTES as u64);
                Shape::Unfinished { tail_bytes: Some(self.window.limit().saturating_sub(start)) }
            }
        }
    }

    async fn end_at(&mut self, offset: u64, error: CodecError) -> Result<(), LogError> {
        let scan = Scan { blocks: self.blocks.clone(), end: self.end, tail: Tail::Nothing };
        let tail = judge_tail(&mut self.window, &scan, offset, error).await?;
        let finished = Index::load(&**self.window.file(), self.window.limit()).await?.is_ok();
        if let Tail::Bad(bad) = &tail {
            if let Some(reason) = bad.damage() {
                return Err(self.corrupt(&reason));
            }
            if finished {
                return Err(self.corrupt(&format!("{}; the segment has a footer", bad.reason)));
            }
        }
        self.tail = Some(tail);
        Ok(())
    }

    fn corrupt(&self, reason: &str) -> LogError {
        LogError::Corrupt {
            file: self.file.clone(),
            segment: self.id,
            block: self.blocks.len() as u64,
            reason: reason.to_owned(),
        }
    }
}
