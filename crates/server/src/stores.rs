//! Picks what logs, metadata and segment files are kept in. The only place that knows more than one
//! implementation of a store.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use cinclus_env::Env;
use cinclus_env::disk::DiskLock;
use cinclus_log_storage::DynLogStorage;
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, ObjectsConfig, WoodpeckerLocal, WoodpeckerObjects};
use cinclus_meta::{
    DynMetaStore, EmbeddedMetaStore, EtcdConfig, EtcdMetaStore, EtcdUser, ObjectConfig, ObjectMetaStore,
};
use cinclus_segment::LocalObjects;
use cinclus_wal::OwnershipProof;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;

use crate::claim::Claim;
use crate::config::ServerConfig;
use crate::config::storage::{MetaPlace, Place};
use crate::{data_dir, remote};

/// The stores of a process.
pub(crate) struct Stores {
    /// Metadata.
    pub(crate) meta: DynMetaStore,
    /// Logs.
    pub(crate) log: DynLogStorage,
    /// Segment files.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// What proves that no other process owns the logs.
    pub(crate) proof: OwnershipProof,
    /// Where it all is, in words.
    pub(crate) place: String,
    /// Ends when another process has taken over; says how.
    pub(crate) superseded: BoxFuture<'static, String>,
    /// Held as long as anything of this is used.
    pub(crate) lock: Option<DiskLock>,
}

impl Stores {
    /// Opens them, and the data directory only if something is in it.
    pub(crate) async fn open(config: &ServerConfig, env: &Env) -> anyhow::Result<Stores> {
        let (dir, storage) = (&config.data_dir, &config.storage);
        let mut places = Vec::new();
        let lock = if storage.uses_disk() {
            places.push(dir.display().to_string());
            Some(data_dir::take(env, dir).await?)
        } else {
            None
        };
        let store = if storage.uses_remote() {
            places.push(remote::describe(&storage.remote));
            Some(remote::open(&storage.remote).await?)
        } else {
            None
        };
        let under = |name: &str| {
            let store = store.as_ref().context("no object storage is configured")?;
            anyhow::Ok(remote::under(store, &storage.remote, name))
        };
        let metadata = match storage.meta() {
            MetaPlace::Embedded => Metadata::embedded(env, &dir.join("meta")).await?,
            MetaPlace::Objects => Metadata::on_objects(env, under("cinclus")?).await?,
            MetaPlace::Etcd => {
                places.push(format!("etcd at {}", storage.etcd.endpoints.join(", ")));
                Metadata::in_etcd(config, env).await?
            }
        };
        let (meta, of_logs) = (metadata.store, metadata.of_logs);
        let log = match storage.log() {
            Place::Local => local_log(config, env, of_logs).await?,
            Place::Remote => {
                let store = store.as_ref().context("no object storage is configured")?;
                log_on_objects(config, env, store.clone(), of_logs).await?
            }
        };
        let objects = match storage.objects() {
            Place::Local => local_objects(env, &dir.join("objects")).await?,
            Place::Remote => under("segments")?,
        };
        let (proof, superseded, place) = (metadata.proof, metadata.superseded, places.join(" and "));
        Ok(Stores { meta, log, objects, proof, place, superseded, lock })
    }
}

/// The metadata store, and what follows from where it is.
struct Metadata {
    store: DynMetaStore,
    /// What the logs keep: where Woodpecker looks for it.
    of_logs: DynMetaStore,
    /// The coordinator with its oracle is in this process, so ticks are always its own: the bound above them, in the
    /// same metadata, is where the oracle of the next process begins.
    proof: OwnershipProof,
    superseded: BoxFuture<'static, String>,
}

impl Metadata {
    async fn embedded(env: &Env, dir: &Path) -> anyhow::Result<Metadata> {
        let store = metadata(env, dir).await?;
        let superseded = std::future::pending().boxed();
        Ok(Metadata { of_logs: store.clone(), store, proof: OwnershipProof::Lock, superseded })
    }

    async fn on_objects(env: &Env, store: Arc<dyn ObjectStore>) -> anyhow::Result<Metadata> {
        let opened =
            ObjectMetaStore::open(store, ObjectPath::from("meta"), &ObjectConfig::default(), env).await;
        let opened = Arc::new(opened.context("the metadata on the object storage cannot be opened")?);
        let superseded = {
            let opened = opened.clone();
            async move { opened.superseded().await }.boxed()
        };
        let proof = OwnershipProof::OwnTicks;
        Ok(Metadata { store: opened.clone(), of_logs: opened, proof, superseded })
    }

    async fn in_etcd(config: &ServerConfig, env: &Env) -> anyhow::Result<Metadata> {
        let etcd = &config.storage.etcd;
        let user = etcd.auth.then(|| EtcdUser { name: etcd.user.clone(), password: etcd.password.0.clone() });
        let plain = EtcdConfig {
            endpoints: etcd.endpoints.clone(),
            user,
            tls: etcd.tls.read()?,
            request_timeout: etcd.request_timeout,
            txn_operations_max: etcd.txn_operations_max,
            ..EtcdConfig::default()
        };
        let ours = EtcdConfig { key_prefix: format!("{}/cinclus/", etcd.root), ..plain.clone() };
        let open = |config| async move {
            let opened = EtcdMetaStore::open(&config, env.clock.clone()).await;
            anyhow::Ok(Arc::new(opened.context("the metadata in etcd cannot be opened")?))
        };
        let store: DynMetaStore = open(ours).await?;
        let who = format!("process {} at {}", std::process::id(), config.listen);
        let claim = Claim::take(&store, env, &who).await?;
        let superseded = claim.lost().boxed();
        Ok(Metadata { store, of_logs: open(plain).await?, proof: OwnershipProof::OwnTicks, superseded })
    }
}

async fn metadata(env: &Env, dir: &Path) -> anyhow::Result<DynMetaStore> {
    cinclus_env::disk::create_dir_synced(&*env.disk, dir).await?;
    Ok(Arc::new(EmbeddedMetaStore::open(dir, &cinclus_meta::Config::default(), env).await?))
}

async fn local_log(config: &ServerConfig, env: &Env, meta: DynMetaStore) -> anyhow::Result<DynLogStorage> {
    let local = LocalConfig {
        roll: roll(config),
        metadata_prefix: config.storage.log_metadata_prefix(),
        ..LocalConfig::new(config.data_dir.join("wal"))
    };
    Ok(Arc::new(WoodpeckerLocal::open(local, env.clone(), meta).await?))
}

fn roll(config: &ServerConfig) -> RollPolicy {
    RollPolicy { bytes_max: config.log_roll_bytes, age_max: config.log_roll_age }
}

/// In Woodpecker's own place, so that it finds them.
async fn log_on_objects(
    config: &ServerConfig,
    env: &Env,
    store: Arc<dyn ObjectStore>,
    meta: DynMetaStore,
) -> anyhow::Result<DynLogStorage> {
    let objects = ObjectsConfig {
        roll: roll(config),
        // Metadata on the same objects has seen to it.
        probe: config.storage.meta() != MetaPlace::Objects,
        metadata_prefix: config.storage.log_metadata_prefix(),
        ..ObjectsConfig::new(format!("{}/wp", config.storage.remote.root))
    };
    let opened = WoodpeckerObjects::open(objects, store, env.clone(), meta).await;
    Ok(Arc::new(opened.context("the logs on the object storage cannot be opened")?))
}

async fn local_objects(env: &Env, dir: &Path) -> anyhow::Result<Arc<dyn ObjectStore>> {
    Ok(Arc::new(LocalObjects::open(env.disk.clone(), dir).await?))
}

#[cfg(test)]
mod tests {
    use cinclus_env::Disk;
    use cinclus_env::disk::{Keep, OsDisk};
    use cinclus_meta::Txn;

    use super::*;

    const DIR: &str = "/srv/cinclus";

    #[tokio::test]
    async fn the_metadata_of_a_new_data_directory_survives_a_power_cut() {
        let dir = Path::new(DIR);
        let (env, disk) = Env::test_with_disk(0);
        let lock = data_dir::take(&env, dir).await.unwrap();
        let meta = metadata(&env, &dir.join("meta")).await.unwrap();
        meta.commit(Txn::new().put("key", "value")).await.unwrap();
        disk.crash(Keep::Nothing);
        drop((meta, lock));
        let _lock = data_dir::take(&env, dir).await.unwrap();
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
        local_objects(&env, &dir).await.unwrap();
        disk.crash(Keep::Nothing);
        assert!(disk.exists(&dir).await.unwrap());
    }
}
