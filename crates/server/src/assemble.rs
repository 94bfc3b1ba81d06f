//! Picks the implementation behind every seam. The only place that knows more than one of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use cinclus_catalog::{Collections, Segments};
use cinclus_client::{Client, CoordTicks, LocalNode, Nodes};
use cinclus_coord::{Coordinator, CoordinatorParts};
use cinclus_env::disk::DiskLock;
use cinclus_env::{DiskError, Env};
use cinclus_log_storage::DynLogStorage;
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_meta::{DynMetaStore, EmbeddedMetaStore};
use cinclus_node::{Node, NodeParts};
use cinclus_proxy::{Proxy, ProxyParts};
use cinclus_query::OneWorker;
use cinclus_rpc::{CoordApi, NodeApi};
use cinclus_segment::LocalObjects;
use cinclus_types::{NodeId, NodeInfo};
use cinclus_worker::Worker;
use object_store::ObjectStore;

use crate::config::ServerConfig;

/// The version of the layout of a data directory.
const DATA_FORMAT: u32 = 1;

/// Everything in one process.
pub(crate) struct Standalone {
    /// This machine.
    pub env: Env,
    /// Answers Milvus' clients.
    pub proxy: Proxy,
    node: Arc<Node>,
    _lock: DiskLock,
}

impl Standalone {
    /// Opens the data directory and starts every role.
    pub(crate) async fn assemble(config: &ServerConfig) -> anyhow::Result<Standalone> {
        let env = Env::os();
        if let Some(limit) = config.memory_limit {
            env.memory.set_limit(limit);
        }
        let dir = &config.data_dir;
        let lock = take_data_dir(&env, dir).await?;
        let meta = metadata(&env, &dir.join("meta")).await?;
        let collections = Collections::open(meta.clone(), &env).await?;
        let segments = Segments::open(meta.clone(), &env).await?;
        let storage = log_storage(config, &env, meta.clone()).await?;
        let objects = object_storage(&env, &dir.join("objects")).await?;

        let parts = CoordinatorParts { meta, collections: collections.clone(), env: env.clone() };
        let coord = Coordinator::start(parts, config.coord.clone()).await?;
        let coord_api: Arc<dyn CoordApi> = coord.clone();
        let worker = Arc::new(Worker::new(objects.clone(), env.clone()));
        let node = Node::new(
            NodeParts {
                storage,
                objects,
                collections: collections.clone(),
                segments: segments.clone(),
                ticks: Arc::new(CoordTicks(coord_api.clone())),
                workers: Arc::new(OneWorker(worker)),
                env: env.clone(),
            },
            config.node.clone(),
        );
        let node_api: Arc<dyn NodeApi> = node.clone();
        let nodes: Arc<dyn Nodes> = Arc::new(LocalNode(node_api));
        let client =
            Client::new(coord.assignments(), nodes.clone(), env.clock.clone(), config.client.clone());
        let start = coord.ticks(1).await?;
        let info = NodeInfo { id: NodeId(start.first.0 as i64), address: String::new() };
        coord.serve(info, nodes, client.clone()).await?;
        let parts = ProxyParts { coord: coord_api, collections, segments, client, env: env.clone() };
        let proxy = Proxy::new(parts, config.proxy.clone());
        Ok(Standalone { env, proxy, node, _lock: lock })
    }

    /// Closes the logs; what is in flight is drained within a bound.
    pub(crate) async fn close(&self) {
        self.node.close().await;
    }
}

/// Locks the data directory and checks its format.
async fn take_data_dir(env: &Env, dir: &Path) -> anyhow::Result<DiskLock> {
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

async fn metadata(env: &Env, dir: &Path) -> anyhow::Result<DynMetaStore> {
    cinclus_env::disk::create_dir_synced(&*env.disk, dir).await?;
    Ok(Arc::new(EmbeddedMetaStore::open(dir, &cinclus_meta::Config::default(), env).await?))
}

async fn log_storage(config: &ServerConfig, env: &Env, meta: DynMetaStore) -> anyhow::Result<DynLogStorage> {
    let roll = RollPolicy { bytes_max: config.log_roll_bytes, age_max: config.log_roll_age };
    let local = LocalConfig { roll, ..LocalConfig::new(config.data_dir.join("wal")) };
    Ok(Arc::new(WoodpeckerLocal::open(local, env.clone(), meta).await?))
}

async fn object_storage(env: &Env, dir: &Path) -> anyhow::Result<Arc<dyn ObjectStore>> {
    Ok(Arc::new(LocalObjects::open(env.disk.clone(), dir).await?))
}

#[cfg(test)]
mod tests {
    use cinclus_env::Disk;
    use cinclus_env::disk::{Keep, OsDisk, read_file};
    use cinclus_meta::Txn;

    use super::*;

    const DIR: &str = "/srv/cinclus";

    #[tokio::test]
    async fn a_data_directory_is_whole_after_a_power_cut_at_every_operation() {
        let dir = Path::new(DIR);
        let (env, disk) = Env::test_with_disk(0);
        take_data_dir(&env, dir).await.unwrap();
        disk.crash(Keep::Nothing);
        assert_eq!(read_file(&disk, &dir.join("FORMAT")).await.unwrap(), "1\n", "it was taken, so it stays");
        for n in 1..=disk.operations() {
            for keep in [Keep::Nothing, Keep::Everything, Keep::Random] {
                let (env, disk) = Env::test_with_disk(n);
                disk.crash_at(n);
                assert!(take_data_dir(&env, dir).await.is_err());
                disk.crash(keep);
                let taken = take_data_dir(&env, dir).await;
                taken.unwrap_or_else(|error| panic!("operation {n}, {keep:?}: {error:#}"));
            }
        }
    }

    #[tokio::test]
    async fn the_metadata_of_a_new_data_directory_survives_a_power_cut() {
        let dir = Path::new(DIR);
        let (env, disk) = Env::test_with_disk(0);
        let lock = take_data_dir(&env, dir).await.unwrap();
        let meta = metadata(&env, &dir.join("meta")).await.unwrap();
        meta.commit(Txn::new().put("key", "value")).await.unwrap();
        disk.crash(Keep::Nothing);
        drop((meta, lock));
        let _lock = take_data_dir(&env, dir).await.unwrap();
        let meta = metadata(&env, &dir.join("meta")).await.unwrap();
        assert_eq!(meta.get("key").await.unwrap().unwrap().value, "value");
    }

    /// The objects themselves go through the operating system, so there is a folder of the same name on both.
    #[tokio::test]
    async fn the_folder_of_the_objects_survives_a_power_cut() {
        let real = tempfile::tempdir().unwrap();
        let dir = real.path().join("objects");
        OsDisk::new().create_dir_all(&dir).await.unwrap();
        let (env, disk) = Env::test_with_disk(0);
        object_storage(&env, &dir).await.unwrap();
        disk.crash(Keep::Nothing);
        assert!(disk.exists(&dir).await.unwrap());
    }
}
