//! Where a standalone server has its data.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cinclus_env::Env;
use cinclus_env::disk::{DynDisk, create_dir_synced};
use cinclus_log_storage::DynLogStorage;
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, ObjectsConfig, WoodpeckerLocal, WoodpeckerObjects};
use cinclus_meta::{DynMetaStore, EmbeddedMetaStore, ObjectConfig, ObjectMetaStore};
use cinclus_segment::LocalObjects;
use cinclus_wal::OwnershipProof;
use object_store::ObjectStore;

use crate::member::Member;
use crate::mutations::Mutation;
use crate::mutations::disk::LyingDisk;
use crate::mutations::objects::CarelessObjects;
use crate::stores::checkpoints::ObservedMeta;
use crate::stores::late::Late;
use crate::stores::meta::SeamMeta;
use crate::stores::objects::SeamObjects;
use crate::world::World;

/// The folder on its disk.
pub const DIR: &str = "/data";

/// A kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Logs and segment files on its disk, metadata in memory that outlives it.
    Disk,
    /// Logs, segment files and metadata on its disk.
    Files,
    /// Everything on an object storage.
    Objects,
}

/// The stores of a standalone server in one life, as `server/stores.rs` picks them.
pub struct Stores {
    /// Metadata behind its seam.
    pub meta: DynMetaStore,
    /// Metadata without it.
    pub bare_meta: DynMetaStore,
    /// Logs without a seam of their own.
    pub logs: DynLogStorage,
    /// Segment files behind their seam.
    pub objects: Arc<dyn ObjectStore>,
    /// What proves that the logs are its own.
    pub proof: OwnershipProof,
}

impl Stores {
    /// Opens them.
    ///
    /// # Errors
    /// What they say.
    pub async fn open(world: &World, member: &Member, env: &Env) -> Result<Stores> {
        match world.place() {
            Place::Disk | Place::Files => Stores::on_disk(world, member, env).await,
            Place::Objects => Stores::on_objects(world, member, env).await,
        }
    }

    async fn on_disk(world: &World, member: &Member, env: &Env) -> Result<Stores> {
        let bare_meta = match world.place() {
            Place::Files => embedded(world, env).await?,
            Place::Disk | Place::Objects => world.meta.clone(),
        };
        let meta: DynMetaStore = Arc::new(SeamMeta::of(&bare_meta, member));
        create_dir_synced(&*env.disk, Path::new(DIR)).await?;
        let config = LocalConfig { roll: roll(world), ..LocalConfig::new(Path::new(DIR).join("wal")) };
        let logs = WoodpeckerLocal::open(config, env.clone(), meta.clone()).await;
        let logs: DynLogStorage = Arc::new(logs.context("the logs do not open")?);
        let objects = LocalObjects::open(env.disk.clone(), Path::new(DIR).join("objects")).await?;
        let objects = seam(member, Arc::new(objects), Late::default());
        Ok(Stores { meta, bare_meta, logs, objects, proof: OwnershipProof::Lock })
    }

    async fn on_objects(world: &World, member: &Member, env: &Env) -> Result<Stores> {
        let objects = seam(member, objects(world), world.late.clone());
        let config = ObjectConfig { snapshot_bytes_min: 16 << 10, ..ObjectConfig::default() };
        let meta = ObjectMetaStore::open(objects.clone(), "cinclus/meta".into(), &config, env).await;
        let checkpoints = world.checkpoints.clone();
        let bare_meta = Arc::new(meta.context("the metadata does not open")?);
        let bare_meta: DynMetaStore = Arc::new(ObservedMeta { inner: bare_meta, checkpoints });
        let meta: DynMetaStore = Arc::new(SeamMeta::of(&bare_meta, member));
        let config = ObjectsConfig {
            roll: roll(world),
            probe: false,
            roll_blocks_max: 40,
            ..ObjectsConfig::new("files/wp")
        };
        let logs = WoodpeckerObjects::open(config, objects.clone(), env.clone(), meta.clone()).await;
        let logs: DynLogStorage = Arc::new(logs.context("the logs do not open")?);
        Ok(Stores { meta, bare_meta, logs, objects, proof: OwnershipProof::OwnTicks })
    }
}

/// The embedded store, whose writer is a task: one thread has everything here. It waits for its disk on that thread,
/// so its syncs take no time; all else happens to them that happens to others.
async fn embedded(world: &World, env: &Env) -> Result<DynMetaStore> {
    let dir = Path::new(DIR).join("meta");
    create_dir_synced(&*env.disk, &dir).await?;
    let config = cinclus_meta::Config { writer_thread: false, ..cinclus_meta::Config::default() };
    let disk: DynDisk = match world.mutation {
        Some(Mutation::LyingMeta) => Arc::new(LyingDisk(world.disk.prompt())),
        Some(_) | None => Arc::new(world.disk.prompt()),
    };
    let env = Env { disk, ..env.clone() };
    let store = EmbeddedMetaStore::open(&dir, &config, &env).await.context("the metadata does not open")?;
    Ok(Arc::new(ObservedMeta { inner: Arc::new(store), checkpoints: world.checkpoints.clone() }))
}

fn roll(world: &World) -> RollPolicy {
    RollPolicy { bytes_max: world.plan.log_roll_bytes, age_max: Duration::from_secs(600) }
}

/// The object storage, broken if it is to be.
pub(crate) fn objects(world: &World) -> Arc<dyn ObjectStore> {
    if world.mutation == Some(Mutation::CreatesOver) {
        return Arc::new(CarelessObjects(world.objects.clone()));
    }
    world.objects.clone()
}

fn seam(member: &Member, inner: Arc<dyn ObjectStore>, late: Late) -> Arc<dyn ObjectStore> {
    Arc::new(SeamObjects { inner, member: member.clone(), late })
}
