//! Several streaming nodes, a coordinator that moves, clients that follow it: one life of all of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use cinclus_catalog::{Collections, Segments};
use cinclus_client::{Client, CoordTicks, Nodes};
use cinclus_coord::{Coordinator, CoordinatorParts};
use cinclus_env::{DynTickSource, Env, TaskGroup};
use cinclus_log_storage::{DynLogStorage, FaultyLogStorage};
use cinclus_meta::DynMetaStore;
use cinclus_node::{Node, NodeParts};
use cinclus_query::OneWorker;
use cinclus_rpc::{CoordApi, NodeApi, WorkerApi};
use cinclus_types::{AssignmentView, NodeId, NodeInfo};
use cinclus_wal::OwnershipProof;
use cinclus_worker::Worker;
use object_store::ObjectStore;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::member::{Condition, Member};
use crate::mutations::Mutation;
use crate::mutations::meta::ForgetfulMeta;
use crate::mutations::ticks::StaleTicks;
use crate::network::Network;
use crate::remote_coord::{RemoteCoord, Seat};
use crate::remote_node::RemoteNode;
use crate::remote_worker::RemoteWorker;
use crate::scene::Scene;
use crate::stores::late::Late;
use crate::stores::log::SeamLog;
use crate::stores::meta::SeamMeta;
use crate::stores::objects::SeamObjects;
use crate::stores::observed::ObservedLog;
use crate::terms::Terms;
use crate::world::World;

/// How late news of owners is at most: some clients are quick, some call old owners for a long time.
const NEWS_MS: [u64; 4] = [20, 200, 2_000, 8_000];

/// A streaming node and the worker in its process.
#[derive(Clone)]
pub struct Slot {
    /// Its process.
    pub member: Member,
    /// What assignments call it.
    pub info: NodeInfo,
    /// Itself.
    pub node: Arc<Node>,
    env: Env,
}

/// A coordinator that serves, or did.
#[derive(Clone)]
pub struct Seated {
    /// Its process.
    pub member: Member,
    /// Itself.
    pub coord: Arc<Coordinator>,
}

/// A cluster. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    /// What all seams share.
    pub scene: Scene,
    /// What lies between members.
    pub network: Network,
    /// What was asked under which term.
    pub terms: Terms,
    /// The logs as they are, below everything that fails.
    pub logs: DynLogStorage,
    /// The logs as everybody reaches them.
    pub faulty: Arc<FaultyLogStorage>,
    /// The coordinator that there is.
    pub seat: Seat,
    shared: Arc<Shared>,
}

struct Shared {
    meta: DynMetaStore,
    objects: Arc<dyn ObjectStore>,
    late: Late,
    slots: Mutex<Vec<Slot>>,
    coords: Mutex<Vec<Seated>>,
    /// The services' own machine.
    services: Env,
    world: WorldParts,
}

/// What a cluster needs of its world.
struct WorldParts {
    random: cinclus_env::Random,
    plan: crate::plan::Plan,
    mutation: Option<Mutation>,
}

/// A process of a client.
pub struct ClientSide {
    /// The process.
    pub member: Member,
    /// Reaches the owners of logs.
    pub client: Client,
    /// Reaches the coordinator.
    pub coord: Arc<dyn CoordApi>,
}

impl Cluster {
    /// Services only; no node yet.
    #[must_use]
    pub fn new(world: &World, scene: &Scene, logs: DynLogStorage, objects: Arc<dyn ObjectStore>) -> Cluster {
        let services = Env { clock: scene.clock.clone(), ..Env::test(world.random.fork("services").seed()) };
        let observed = ObservedLog::of(world, scene, &logs, services.tasks.clone());
        let faulty = Arc::new(FaultyLogStorage::new(Arc::new(observed), &services));
        let shared = Shared {
            meta: stored(world),
            objects,
            late: world.late.clone(),
            slots: Mutex::default(),
            coords: Mutex::default(),
            services,
            world: WorldParts {
                random: world.random.clone(),
                plan: world.plan.clone(),
                mutation: world.mutation,
            },
        };
        Cluster {
            scene: scene.clone(),
            network: Network::default(),
            terms: Terms::new(world.meta.clone()),
            logs,
            faulty,
            seat: Seat::default(),
            shared: Arc::new(shared),
        }
    }

    /// All nodes that ever were, the dead too.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        self.shared.slots.lock().clone()
    }

    /// All coordinators that ever were.
    #[must_use]
    pub fn coords(&self) -> Vec<Seated> {
        self.shared.coords.lock().clone()
    }

    /// The nodes that are not dead.
    #[must_use]
    pub fn living(&self) -> Vec<Slot> {
        let alive = |slot: &Slot| slot.member.condition() != Condition::Dead;
        self.slots().into_iter().filter(alive).collect()
    }

    /// Panics of any task so far.
    pub fn check_tasks(&self) {
        self.shared.services.tasks.check();
        self.slots().iter().for_each(|slot| slot.env.tasks.check());
    }

    /// Whether it is broken in this way.
    fn is(&self, mutation: Mutation) -> bool {
        self.shared.world.mutation == Some(mutation)
    }

    fn env(&self, member: &Member, tasks: TaskGroup) -> Env {
        let seed = self.shared.world.random.fork(&member.name).seed();
        Env { clock: member.clock(), tasks, ..Env::test(seed) }
    }

    fn meta(&self, member: &Member) -> DynMetaStore {
        let forgets_conditions = self.is(Mutation::LateCommitsWithoutConditions);
        Arc::new(SeamMeta { forgets_conditions, ..SeamMeta::of(&self.shared.meta, member) })
    }

    /// Starts a node.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub async fn start_node(&self) -> Result<Slot> {
        let id = self.shared.slots.lock().len() as i64 + 1;
        let member = Member::new(format!("node {id}"), &self.scene);
        let env = self.env(&member, self.shared.services.tasks.child());
        let meta = self.meta(&member);
        let collections = Collections::open(meta.clone(), &env).await?;
        let segments = Segments::open(meta, &env).await?;
        let late = self.shared.late.clone();
        let objects: Arc<dyn ObjectStore> =
            Arc::new(SeamObjects { inner: self.shared.objects.clone(), member: member.clone(), late });
        let worker: Arc<dyn WorkerApi> = Arc::new(Worker::new(objects.clone(), env.clone()));
        let worker = Arc::new(RemoteWorker { from: member.clone(), worker });
        let parts = NodeParts {
            storage: Arc::new(SeamLog { inner: self.faulty.clone(), member: member.clone() }),
            objects,
            collections,
            segments,
            ticks: self.ticks_for(&member),
            workers: Arc::new(OneWorker(worker)),
            env: env.clone(),
        };
        let unproved = self.is(Mutation::StrongWithoutProof);
        let proof = if unproved { OwnershipProof::Lock } else { OwnershipProof::TimeTick };
        let config = self.shared.world.plan.of_process(proof);
        let node = Node::new(parts, config);
        let info = NodeInfo { id: NodeId(id), address: format!("sim-{id}") };
        let slot = Slot { member, info, node, env };
        self.shared.slots.lock().push(slot.clone());
        Ok(slot)
    }

    fn ticks_for(&self, member: &Member) -> DynTickSource {
        let coord = self.coord_for(member, watch::channel(AssignmentView::default()).1);
        let ticks: DynTickSource = Arc::new(CoordTicks(coord));
        if self.is(Mutation::StaleTicks) {
            return Arc::new(StaleTicks { inner: ticks, kept: Mutex::default() });
        }
        ticks
    }

    fn coord_for(&self, member: &Member, view: watch::Receiver<AssignmentView>) -> Arc<dyn CoordApi> {
        let (seat, network) = (self.seat.clone(), self.network.clone());
        Arc::new(RemoteCoord { from: member.clone(), seat, network, view })
    }

    /// The nodes as a member reaches them.
    fn nodes_for(&self, from: &Member) -> Arc<dyn Nodes> {
        Arc::new(SimNodes { cluster: self.clone(), from: from.clone() })
    }

    /// Starts a coordinator that gives all logs to a node. It has the seat as soon as it grants ticks, which its
    /// nodes need to open logs.
    ///
    /// # Errors
    /// If the metadata cannot be read or written.
    pub async fn start_coord(&self, owner: &Slot) -> Result<Seated> {
        let number = self.shared.coords.lock().len() + 1;
        let member = Member::new(format!("coord {number}"), &self.scene);
        let env = self.env(&member, self.shared.services.tasks.child());
        let meta = self.meta(&member);
        let collections = Collections::open(meta.clone(), &env).await?;
        let parts = CoordinatorParts { meta, collections, env: env.clone() };
        let plan = &self.shared.world.plan;
        let coord = Coordinator::start(parts, plan.coord.clone()).await?;
        let seated = Seated { member: member.clone(), coord: coord.clone() };
        self.shared.coords.lock().push(seated.clone());
        self.seat.take(member.clone(), coord.clone());
        let nodes = self.nodes_for(&member);
        let client = Client::new(coord.assignments(), nodes.clone(), env.clock.clone(), plan.client.clone());
        coord.serve(owner.info.clone(), nodes, client).await?;
        Ok(seated)
    }

    /// A process with a client in it. It hears of new owners late: `news_ms` or more, at most.
    #[must_use]
    pub fn start_client(&self, number: u64, news_ms: u64) -> ClientSide {
        let member = Member::new(format!("client {number}"), &self.scene);
        let news = watch::Sender::new(AssignmentView::default());
        let view = news.subscribe();
        let follow = follow(self.clone(), member.clone(), news, news_ms);
        self.shared.services.tasks.spawn("news", follow);
        let config = self.shared.world.plan.client.clone();
        let client = Client::new(view.clone(), self.nodes_for(&member), member.clock(), config);
        let coord = self.coord_for(&member, view);
        ClientSide { member, client, coord }
    }
}

/// The metadata store, broken if it is to be.
fn stored(world: &World) -> DynMetaStore {
    if world.mutation == Some(Mutation::ForgetsTerms) {
        Arc::new(ForgetfulMeta(world.meta.clone()))
    } else {
        world.meta.clone()
    }
}

/// Brings the newest view of the coordinator that there is to a client, late.
async fn follow(cluster: Cluster, member: Member, news: watch::Sender<AssignmentView>, least: u64) {
    let random = cluster.shared.world.random.fork(&format!("news of {}", member.name));
    let most = NEWS_MS[random.range(0..NEWS_MS.len() as u64) as usize].max(least);
    let mut span = 0;
    loop {
        // The first news comes at once.
        cluster.scene.clock.sleep(Duration::from_millis(1 + span)).await;
        span = random.range(0..most);
        let Some((coord, api)) = cluster.seat.holder() else { continue };
        if coord.condition() != Condition::Running {
            continue;
        }
        let view = api.assignments().borrow().clone();
        news.send_if_modified(|known| {
            let newer = view.version > known.version;
            if newer {
                *known = view;
            }
            newer
        });
    }
}

struct SimNodes {
    cluster: Cluster,
    from: Member,
}

impl Nodes for SimNodes {
    fn node(&self, info: &NodeInfo) -> Option<Arc<dyn NodeApi>> {
        // A connection to a dead process is refused.
        let slot = self.cluster.living().into_iter().find(|slot| slot.info.id == info.id)?;
        let node: Arc<dyn NodeApi> = slot.node.clone();
        Some(Arc::new(RemoteNode {
            from: self.from.clone(),
            to: slot.member,
            info: slot.info,
            node,
            network: self.cluster.network.clone(),
            terms: self.cluster.terms.clone(),
            repeats_all: self.cluster.is(Mutation::RepeatsAppends),
            denies_late: self.cluster.is(Mutation::DeniesLateCalls),
        }))
    }
}
