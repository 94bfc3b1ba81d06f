//! A segment that is being written, or will be.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::DynDisk;
use cinclus_env::disk::{DiskFile, DiskLock};
use cinclus_types::PChannel;

use super::files;
use super::segment::Segment;
use crate::error::LogError;
use crate::woodpecker::metadata::{Fence, WoodpeckerMetadata};

/// The file of a segment with the place where the next block goes.
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next block goes; 0 before the file header is written.
    pub(super) offset: u64,
    /// The number of the next block.
    pub(super) blocks: u64,
    /// The id of the next entry.
    pub(super) entries: u64,
    /// When the first block was written, on the monotonic clock.
    pub(super) first_write: Option<Duration>,
    pub(super) lock: Option<DiskLock>,
}

impl Active {
    /// Makes a segment ready: first its file, durably, then its metadata. It may be called again after an error,
    /// also if only the answer was lost.
    pub(super) async fn create(
        disk: &DynDisk,
        metadata: &WoodpeckerMetadata,
        channel: &PChannel,
        fence: &Fence,
        place: (&Path, u64),
    ) -> Result<Active, LogError> {
        let active = Active::open_empty(disk, place.0, place.1).await?;
        metadata.ensure_segment(channel, fence, place.1).await?;
        Ok(active)
    }

    /// Opens the empty file of a segment, making it if it is not there.
    pub(super) async fn open_empty(disk: &DynDisk, log_dir: &Path, id: u64) -> Result<Active, LogError> {
        let segment = Arc::new(Segment::fresh(log_dir, id));
        let file = files::create_segment(disk, &segment.dir).await?;
        if file.length().await? > 0 {
            return Err(LogError::Corrupt {
                file: segment.path(),
                segment: id,
                block: 0,
                reason: "it holds records of which the metadata does not know".to_owned(),
            });
        }
        let lock = disk.lock(&segment.dir.join(files::WRITE_LOCK)).await?;
        Ok(Active { segment, file, offset: 0, blocks: 0, entries: 0, first_write: None, lock: Some(lock) })
    }
}
