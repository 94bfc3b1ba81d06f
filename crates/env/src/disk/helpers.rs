//! Whole files and durable directories, on any disk.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Disk, DiskError, OpenMode};

/// The whole content of a file.
///
/// # Errors
/// Of opening and reading.
pub async fn read_file(disk: &dyn Disk, path: &Path) -> Result<Bytes, DiskError> {
    let file = disk.open(path, OpenMode::Read).await?;
    let len = file.length().await?;
    file.read_at(0, len as usize).await
}

/// Puts `content` in the place of a file, durably: whoever reads it finds the old or the new content.
///
/// # Errors
/// Of any step; the old file is still there then, or the new one.
pub async fn replace_file(disk: &dyn Disk, path: &Path, content: Bytes) -> Result<(), DiskError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let file = disk.open(&fresh, OpenMode::OpenOrCreate).await?;
    file.set_len(0).await?;
    file.write_and_sync(0, vec![content]).await?;
    disk.rename(&fresh, path).await?;
    disk.sync_dir(parent(path)).await
}

/// Creates a directory and those above it, each durable before the next is made in it. The last one that is
/// there already may be of a process that ended before its sync, so its name is made durable too.
///
/// # Errors
/// Of any step.
pub async fn create_dir_synced(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = dir;
    while !at.as_os_str().is_empty() && !disk.exists(at).await? {
        missing.push(at.to_owned());
        at = parent(at);
    }
    sync_name_of_existing(disk, at).await?;
    for dir in missing.iter().rev() {
        disk.create_dir_all(dir).await?;
        disk.sync_dir(parent(dir)).await?;
    }
    Ok(())
}

async fn sync_name_of_existing(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    match disk.sync_dir(parent(dir)).await {
        // Who may not look into the directory above did not make this one.
        Err(DiskError::Failed { kind: std::io::ErrorKind::PermissionDenied, .. }) => Ok(()),
        other => other,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ if path.is_absolute() => Path::new("/"),
        _ => Path::new("."),
    }
}
