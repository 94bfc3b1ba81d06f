//! Names of files and how segments are made on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cinclus_env::DynDisk;
use cinclus_env::disk::{DiskError, DiskFile, OpenMode, create_dir_synced, replace_file};
use cinclus_types::PChannel;

/// The lock of the whole storage.
pub(super) const STORAGE_LOCK: &str = "LOCK";
/// The name of a log, for tools that run beside it.
pub(super) const CHANNEL: &str = "CHANNEL";
/// The records of a segment.
pub(super) const DATA: &str = "data.log";
/// Locked by the writer of a segment.
pub(super) const WRITE_LOCK: &str = "write.lock";
/// Tells other writers of a segment to stop.
pub(super) const WRITE_FENCE: &str = "write.fence";

pub(super) fn log_dir(root: &Path, log: i64) -> PathBuf {
    root.join(log.to_string())
}

pub(super) fn segment_dir(log_dir: &Path, segment: u64) -> PathBuf {
    log_dir.join(segment.to_string())
}

/// Makes the directory of a log and notes in it whose it is. Its name becomes durable with that of its first
/// segment, in [`create_segment`]: before that nothing in it counts.
pub(super) async fn create_log(disk: &DynDisk, dir: &Path, channel: &PChannel) -> Result<(), DiskError> {
    disk.create_dir_all(dir).await?;
    let name = dir.join(CHANNEL);
    if disk.exists(&name).await? {
        return Ok(());
    }
    replace_file(&**disk, &name, Bytes::from(channel.name().to_owned())).await
}

/// Makes the directory and the empty file of a segment, durably, and opens it.
pub(super) async fn create_segment(disk: &DynDisk, dir: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
    create_dir_synced(&**disk, dir).await?;
    let file = disk.open(&dir.join(DATA), OpenMode::OpenOrCreate).await?;
    // Invariant L1: an id is durable only if the name of its file is.
    disk.sync_dir(dir).await?;
    Ok(file)
}

/// The segments that have a directory, ascending.
pub(super) async fn segments(disk: &DynDisk, log_dir: &Path) -> Result<Vec<u64>, DiskError> {
    let mut segments: Vec<u64> = match disk.list(log_dir).await {
        Ok(entries) => {
            entries.iter().filter(|entry| entry.is_dir).filter_map(|entry| entry.name.parse().ok()).collect()
        }
        Err(DiskError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    segments.sort_unstable();
    Ok(segments)
}
