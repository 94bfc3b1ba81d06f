//! The data directory of a process.

use std::path::Path;

use anyhow::{Context, bail};
use cinclus_env::disk::DiskLock;
use cinclus_env::{DiskError, Env};

/// The version of the layout of a data directory.
const DATA_FORMAT: u32 = 1;

/// Locks the data directory and checks its format.
pub(crate) async fn take(env: &Env, dir: &Path) -> anyhow::Result<DiskLock> {
    let disk = &*env.disk;
    cinclus_env::disk::create_dir_synced(disk, dir)
        .await
        .with_context(|| format!("cannot make the data directory {}", dir.display()))?;
    // Invariant Q3, Invariant W3: standalone, this lock is the lease on everything in the directory.
    let lock = disk.lock(&dir.join("LOCK")).await.map_err(|error| in_use(dir, error))?;
    let format = dir.join("FORMAT");
    if disk.exists(&format).await? {
        let bytes = cinclus_env::disk::read_file(disk, &format).await?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        match text.parse::<u32>() {
            Ok(version) if version <= DATA_FORMAT => {}
            Ok(version) => bail!(
                "{} has format {version}, this release knows up to {DATA_FORMAT}: use a newer release",
                dir.display()
            ),
            Err(_) => bail!("{} does not hold a format number but {text:?}", format.display()),
        }
    } else {
        let text = bytes::Bytes::from(format!("{DATA_FORMAT}\n"));
        cinclus_env::disk::replace_file(disk, &format, text).await?;
    }
    Ok(lock)
}

fn in_use(dir: &Path, error: DiskError) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("the data directory {} cannot be used", dir.display()))
}

#[cfg(test)]
mod tests {
    use cinclus_env::disk::{Keep, read_file};

    use super::*;

    const DIR: &str = "/srv/cinclus";

    #[tokio::test]
    async fn a_data_directory_is_whole_after_a_power_cut_at_every_operation() {
        let dir = Path::new(DIR);
        let (env, disk) = Env::test_with_disk(0);
        take(&env, dir).await.unwrap();
        disk.crash(Keep::Nothing);
        assert_eq!(read_file(&disk, &dir.join("FORMAT")).await.unwrap(), "1\n", "it was taken, so it stays");
        for n in 1..=disk.operations() {
            for keep in [Keep::Nothing, Keep::Everything, Keep::Random] {
                let (env, disk) = Env::test_with_disk(n);
                disk.crash_at(n);
                assert!(take(&env, dir).await.is_err());
                disk.crash(keep);
                let taken = take(&env, dir).await;
                taken.unwrap_or_else(|error| panic!("operation {n}, {keep:?}: {error:#}"));
            }
        }
    }
}
