//! One start of all processes on the stores that are there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use cinclus_catalog::{Collections, Segments};
use cinclus_client::{Client, CoordTicks, LocalNode, Nodes};
use cinclus_coord::{Coordinator, CoordinatorParts};
use cinclus_env::{Env, MemoryBudget};
use cinclus_log_storage::DynLogStorage;
use cinclus_meta::DynMetaStore;
use cinclus_node::{Node, NodeParts};
use cinclus_proxy::Service;
use cinclus_query::OneWorker;
use cinclus_rpc::{CoordApi, NodeApi, WorkerApi};
use cinclus_types::{NodeId, NodeInfo};
use cinclus_wal::BufferBudget;
use cinclus_worker::Worker;

use crate::member::Member;
use crate::mutations::Mutation;
use crate::mutations::calls::DeafWorker;
use crate::mutations::disk::LyingDisk;
use crate::place::Stores;
use crate::proxied::{self, Behind};
use crate::scene::Scene;
use crate::stores::log::SeamLog;
use crate::stores::observed::ObservedLog;
use crate::world::World;

/// A standalone server that runs.
pub struct Life {
    /// What its seams share.
    pub scene: Scene,
    /// The one process.
    pub member: Member,
    /// Its machine.
    pub env: Env,
    /// Its write-ahead buffers.
    pub buffer: BufferBudget,
    /// The coordinator.
    pub coord: Arc<Coordinator>,
    /// The streaming node.
    pub node: Arc<Node>,
    /// What clients call through.
    pub client: Client,
    /// The catalog.
    pub collections: Collections,
    /// The proxy.
    pub proxy: Service,
    /// The metadata without its seam.
    pub meta: DynMetaStore,
    /// The logs as they are, without seams.
    pub logs: DynLogStorage,
    /// Has all tasks; a panic in one of them is kept here.
    pub tasks: cinclus_env::TaskGroup,
}

impl Life {
    /// Assembles a standalone server in the order of `server/assemble.rs`. In a peaceful life it has all the memory
    /// that it wants.
    ///
    /// # Errors
    /// What the parts say.
    pub async fn begin(world: &World, member: &Member, (number, peaceful): (u64, bool)) -> Result<Life> {
        let (member, scene) = (member.clone(), &member.scene);
        let memory = if peaceful { u64::MAX } else { world.plan.memory_bytes };
        let env = Env {
            clock: member.clock(),
            disk: disk(world),
            memory: MemoryBudget::new(memory),
            ..Env::test(world.random.fork(&format!("life {number}")).seed())
        };
        let Stores { meta, bare_meta, logs, objects, proof } = Stores::open(world, &member, &env).await?;
        let collections = Collections::open(meta.clone(), &env).await?;
        let segments = Segments::open(meta.clone(), &env).await?;

        let parts = CoordinatorParts { meta, collections: collections.clone(), env: env.clone() };
        let coord = Coordinator::start(parts, world.plan.coord.clone()).await?;
        let coord_api: Arc<dyn CoordApi> = coord.clone();
        let worker = worker(world, Worker::new(objects.clone(), env.clone()));
        let parts = NodeParts {
            storage: seen(world, &member, number, &env, &logs),
            objects,
            collections: collections.clone(),
            segments: segments.clone(),
            ticks: Arc::new(CoordTicks(coord_api)),
            workers: Arc::new(OneWorker(worker)),
            env: env.clone(),
        };
        let config = world.plan.of_process(proof);
        let buffer = config.wal.buffer.clone();
        let node = Node::new(parts, config);
        let node_api: Arc<dyn NodeApi> = node.clone();
        let nodes: Arc<dyn Nodes> = Arc::new(LocalNode(node_api));
        let config = world.plan.client.clone();
        let client = Client::new(coord.assignments(), nodes.clone(), env.clock.clone(), config);
        let start = coord.ticks(1).await?;
        let info = NodeInfo { id: NodeId(start.first.0 as i64), address: String::new() };
        coord.serve(info, nodes, client.clone()).await?;
        let tasks = env.tasks.clone();
        let behind = Behind {
            coord: coord.clone(),
            collections: collections.clone(),
            segments,
            client: client.clone(),
            env: env.clone(),
        };
        let proxy = proxied::service(behind, world.mutation != Some(Mutation::ProxyForgetsRequests));
        let scene = scene.clone();
        let meta = bare_meta;
        Ok(Life { scene, member, env, buffer, coord, node, client, collections, proxy, meta, logs, tasks })
    }

    /// Waits on its own clock.
    pub async fn pause(&self, span: Duration) {
        self.env.clock.sleep(span).await;
    }
}

fn disk(world: &World) -> cinclus_env::disk::DynDisk {
    if world.mutation == Some(Mutation::LyingSync) || world.lies() {
        Arc::new(LyingDisk(world.disk.clone()))
    } else {
        Arc::new(world.disk.clone())
    }
}

fn worker(world: &World, worker: Worker) -> Arc<dyn WorkerApi> {
    if world.mutation == Some(Mutation::DropsDeletes) {
        Arc::new(DeafWorker(Arc::new(worker)))
    } else {
        Arc::new(worker)
    }
}

/// A storage as a member sees it, looked at from outside.
fn seen(world: &World, member: &Member, life: u64, env: &Env, logs: &DynLogStorage) -> DynLogStorage {
    let observed = ObservedLog::of(world, &member.scene, logs, env.tasks.clone());
    let observed = ObservedLog { life, ..observed };
    Arc::new(SeamLog { inner: Arc::new(observed), member: member.clone() })
}
