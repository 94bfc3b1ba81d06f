//! Finds the logs of a data directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cinclus_env::DynDisk;
use cinclus_log_storage::woodpecker::local::inspect::{LogReport, SegmentReport, SegmentWalk, logs};

use super::args::PlaceArgs;

/// Where the logs of a data directory are; a directory of logs is taken as it is.
pub(super) async fn log_root(disk: &DynDisk, dir: &Path) -> anyhow::Result<PathBuf> {
    let inside = dir.join("wal");
    if disk.exists(&inside).await? {
        return Ok(inside);
    }
    if !disk.exists(dir).await? {
        bail!("there is no directory {}", dir.display());
    }
    Ok(dir.to_owned())
}

/// The logs that are meant.
pub(super) async fn find_logs(disk: &DynDisk, place: &PlaceArgs) -> anyhow::Result<Vec<LogReport>> {
    let root = log_root(disk, &place.dir).await?;
    let mut found =
        logs(disk, &root).await.with_context(|| format!("cannot list the logs in {}", root.display()))?;
    if found.is_empty() {
        bail!("{} holds no logs", root.display());
    }
    // Channels end in a number: dml_2 comes before dml_10.
    found.sort_by_cached_key(|log| (name(log).len(), name(log)));
    let Some(wanted) = &place.channel else { return Ok(found) };
    let names: Vec<String> = found.iter().map(name).collect();
    found.retain(|log| log.channel.as_ref() == Some(wanted) || log.id.to_string() == *wanted);
    if found.is_empty() {
        bail!("{} holds no log {wanted:?}; there are {}", root.display(), names.join(", "));
    }
    Ok(found)
}

/// Opens a segment; `None` if it was truncated since it was listed.
pub(super) async fn walk(disk: &DynDisk, segment: &SegmentReport) -> anyhow::Result<Option<SegmentWalk>> {
    match SegmentWalk::open(disk, &segment.file, segment.id).await {
        Ok(walk) => Ok(Some(walk)),
        Err(_) if !disk.exists(&segment.file).await? => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The name of a log: its PChannel, or its number.
pub(super) fn name(log: &LogReport) -> String {
    log.channel.clone().unwrap_or_else(|| format!("log {}", log.id))
}
