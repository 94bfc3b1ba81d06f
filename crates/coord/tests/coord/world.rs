//! What outlives a process, and processes that come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cinclus_catalog::{Collections, CollectionsView, LoadState};
use cinclus_client::{Client, ClientConfig, LocalNode, Nodes};
use cinclus_coord::{CoordConfig, Coordinator, CoordinatorParts, StartError, keys};
use cinclus_env::{Env, PanicPolicy, TaskGroup, timeout};
use cinclus_meta::{DynMetaStore, MemoryMetaStore};
use cinclus_rpc::{CoordApi, Ddl, DdlDone, DdlError};
use cinclus_types::{NodeId, NodeInfo, Tick};

use crate::fake_node::FakeNode;
use crate::faults::{Faults, FaultyStore};

/// Metadata and logs.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) faults: Faults,
    /// What is durable.
    pub(crate) durable: DynMetaStore,
    pub(crate) node: Arc<FakeNode>,
    pub(crate) config: CoordConfig,
}

/// A process with a coordinator.
pub(crate) struct Process {
    pub(crate) env: Env,
    pub(crate) coord: Arc<Coordinator>,
    pub(crate) collections: Collections,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(CoordConfig { channels: 2, ..CoordConfig::default() })
    }

    pub(crate) fn with(config: CoordConfig) -> World {
        let (env, faults) = (Env::test(1), Faults::new());
        let settings = cinclus_meta::Config::default();
        let durable: DynMetaStore = Arc::new(MemoryMetaStore::new(&settings, env.clock.clone(), &env.tasks));
        let node = Arc::new(FakeNode::new(faults.clone(), durable.clone()));
        World { env, faults, durable, node, config }
    }

    /// Starts a process.
    pub(crate) async fn start(&self) -> Process {
        self.try_start().await.unwrap()
    }

    /// Starts a process, if that works.
    pub(crate) async fn try_start(&self) -> Result<Process, StartError> {
        self.node.restart();
        let env = Env { tasks: TaskGroup::new(PanicPolicy::Propagate), ..self.env.clone() };
        let started = self.start_in(&env).await;
        if started.is_err() {
            stop(&env).await;
        }
        started
    }

    /// Starts a process that may die on the way.
    pub(crate) async fn start_or_crash(&self) -> Option<Process> {
        self.node.restart();
        let env = Env { tasks: TaskGroup::new(PanicPolicy::Propagate), ..self.env.clone() };
        let started = tokio::select! {
            biased;
            () = self.faults.crashed() => None,
            started = self.start_in(&env) => Some(started.unwrap()),
        };
        if started.is_none() {
            stop(&env).await;
        }
        started
    }

    async fn start_in(&self, env: &Env) -> Result<Process, StartError> {
        let faults = self.faults.clone();
        let meta: DynMetaStore = Arc::new(FaultyStore { inner: self.durable.clone(), faults });
        let collections = Collections::open(meta.clone(), env).await?;
        let parts = CoordinatorParts { meta, collections: collections.clone(), env: env.clone() };
        let coord = Coordinator::start(parts, self.config.clone()).await?;
        let nodes: Arc<dyn Nodes> = Arc::new(LocalNode(self.node.clone()));
        let config = ClientConfig::default();
        let client = Client::new(coord.assignments(), nodes.clone(), env.clock.clone(), config);
        let node = NodeInfo { id: NodeId(7), address: String::new() };
        coord.serve(node, nodes, client).await?;
        Ok(Process { env: env.clone(), coord, collections })
    }

    /// Waits until no change is under way.
    pub(crate) async fn settled(&self) {
        let settled = timeout(&*self.env.clock, Duration::from_secs(600), self.no_tasks());
        settled.await.expect("changes that have begun are completed");
    }

    async fn no_tasks(&self) {
        loop {
            let (revision, tasks) = self.durable.scan(keys::BROADCASTS).await.unwrap();
            if tasks.is_empty() {
                return;
            }
            self.durable.watch(keys::BROADCASTS, revision).await.unwrap().next().await.unwrap();
        }
    }

    /// The broadcasts in the logs: of each, the VChannels that have it, the VChannels that should, and
    /// the greatest tick.
    pub(crate) fn broadcasts(&self) -> BTreeMap<i64, (Vec<String>, Vec<String>, Tick)> {
        let mut found = BTreeMap::new();
        for logged in self.node.logs() {
            let Some(broadcast) = logged.draft.broadcast else { continue };
            let targets = broadcast.vchannels.iter().map(|vchannel| vchannel.name().to_owned());
            let fresh = (Vec::new(), targets.collect::<Vec<String>>(), Tick::ZERO);
            let entry = found.entry(broadcast.id.0).or_insert(fresh);
            entry.0.push(logged.vchannel.name().to_owned());
            entry.2 = entry.2.max(logged.tick);
        }
        for (having, targets, _) in found.values_mut() {
            having.sort_unstable();
            targets.sort_unstable();
        }
        found
    }
}

impl Process {
    pub(crate) async fn ddl(&self, ddl: &Ddl) -> Result<DdlDone, DdlError> {
        self.coord.ddl(ddl.clone()).await
    }

    /// Ends at once, whatever is under way.
    pub(crate) async fn kill(self) {
        let Process { env, coord, collections } = self;
        drop((coord, collections));
        stop(&env).await;
    }

    pub(crate) fn digest(&self) -> Digest {
        digest(&self.collections.view())
    }
}

async fn stop(env: &Env) {
    env.tasks.join(&*env.clock, Duration::from_secs(1)).await.expect("tasks end when they are cancelled");
}

/// The catalog without ids and ticks: one line for each thing.
pub(crate) type Digest = Vec<String>;

pub(crate) fn digest(view: &CollectionsView) -> Digest {
    let mut lines = Vec::new();
    for database in view.databases() {
        lines.push(format!("database {} {:?}", database.name, database.properties));
        for entry in view.collections(database.id) {
            let partition = |id: &cinclus_types::PartitionId| {
                entry.partitions.iter().find(|p| p.id == *id).map(|p| p.name.clone()).unwrap()
            };
            let load = match &entry.load {
                LoadState::Released => "released".to_owned(),
                LoadState::Loaded { partitions: None, fields, replicas } => format!("{fields:?} {replicas}"),
                LoadState::Loaded { partitions: Some(loaded), fields, replicas } => {
                    let names: Vec<String> = loaded.iter().map(partition).collect();
                    format!("{names:?} {fields:?} {replicas}")
                }
            };
            let indexes: Vec<_> = entry.indexes.iter().map(|i| (&i.name, i.field, &i.params)).collect();
            let partitions: Vec<&str> = entry.partitions.iter().map(|p| p.name.as_str()).collect();
            let schemas: Vec<_> = entry.schemas.iter().map(|version| &version.schema).collect();
            lines.push(format!(
                "collection {}.{} {partitions:?} {indexes:?} {load} {:?} {:?} {} {schemas:?}",
                database.name,
                entry.name,
                entry.properties,
                entry.consistency,
                entry.vchannels.len(),
            ));
        }
        for alias in view.aliases(database.id) {
            let target = view.collection(alias.collection).map(|entry| entry.name.as_str());
            lines.push(format!("alias {}.{} of {target:?}", database.name, alias.name));
        }
    }
    lines.sort_unstable();
    lines
}
