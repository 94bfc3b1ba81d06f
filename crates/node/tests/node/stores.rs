//! Logs and objects as files of a disk whose power can go.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::disk::{MemoryDisk, create_dir_synced};
use cinclus_env::{DiskError, Env};
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_log_storage::{DynLogStorage, LogError};
use cinclus_meta::DynMetaStore;
use cinclus_segment::LocalObjects;
use object_store::ObjectStore;

/// Small enough that a truncation removes whole segments.
const SEGMENT_BYTES: u64 = 2_000;

pub(crate) async fn log_on_disk(
    disk: &MemoryDisk,
    env: &Env,
    meta: DynMetaStore,
) -> Result<DynLogStorage, LogError> {
    let env = Env { disk: Arc::new(disk.clone()), ..env.clone() };
    let roll = RollPolicy { bytes_max: SEGMENT_BYTES, age_max: Duration::from_secs(600) };
    let config = LocalConfig { roll, ..LocalConfig::new("/data/wal") };
    Ok(Arc::new(WoodpeckerLocal::open(config, env, meta).await?))
}

/// As a server opens them.
pub(crate) async fn objects_on_disk(disk: &MemoryDisk) -> Result<Arc<dyn ObjectStore>, DiskError> {
    create_dir_synced(disk, Path::new("/data")).await?;
    Ok(Arc::new(LocalObjects::open(Arc::new(disk.clone()), "/data/objects").await?))
}
