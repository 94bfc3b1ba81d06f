//! Builds the roles on the stores that `stores` picked, and wires them.

use std::sync::Arc;

use cinclus_catalog::{Collections, Segments};
use cinclus_client::{Client, CoordTicks, LocalNode, Nodes};
use cinclus_coord::{Coordinator, CoordinatorParts};
use cinclus_env::Env;
use cinclus_env::disk::DiskLock;
use cinclus_node::{Node, NodeConfig, NodeParts};
use cinclus_proxy::{Proxy, ProxyParts};
use cinclus_query::OneWorker;
use cinclus_rpc::{CoordApi, LogApi, NodeApi};
use cinclus_types::{AssignmentView, NodeId, NodeInfo};
use cinclus_wal::WalConfig;
use cinclus_worker::Worker;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::config::ServerConfig;
use crate::stores::Stores;

/// Ends when another process has taken over; says how.
pub(crate) type Superseded = BoxFuture<'static, String>;

/// Everything in one process.
pub(crate) struct Standalone {
    /// This machine.
    pub env: Env,
    /// Answers Milvus' clients.
    pub proxy: Proxy,
    /// Where its data is, in words.
    pub place: String,
    /// The node's logs, for those who subscribe to them, and what the node is called.
    pub logs: (Arc<dyn LogApi>, NodeId),
    /// Who owns which log.
    pub assignments: watch::Receiver<AssignmentView>,
    node: Arc<Node>,
    _lock: Option<DiskLock>,
}

impl Standalone {
    /// Opens the stores and starts every role. The future ends when another process has taken over what this
    /// one owns, and says how.
    pub(crate) async fn assemble(config: &ServerConfig) -> anyhow::Result<(Standalone, Superseded)> {
        let env = Env::os();
        if let Some(limit) = config.memory_limit {
            env.memory.set_limit(limit);
        }
        let stores = Stores::open(config, &env).await?;
        let (meta, objects) = (stores.meta, stores.objects);
        let collections = Collections::open(meta.clone(), &env).await?;
        let segments = Segments::open(meta.clone(), &env).await?;

        let parts = CoordinatorParts { meta, collections: collections.clone(), env: env.clone() };
        let coord = Coordinator::start(parts, config.coord.clone()).await?;
        let coord_api: Arc<dyn CoordApi> = coord.clone();
        let worker = Arc::new(Worker::new(objects.clone(), env.clone()));
        let wal = WalConfig { proof: stores.proof, ..config.node.wal.clone() };
        let node_config = NodeConfig { wal, ..config.node.clone() };
        let node = Node::new(
            NodeParts {
                storage: stores.log,
                objects,
                collections: collections.clone(),
                segments: segments.clone(),
                ticks: Arc::new(CoordTicks(coord_api.clone())),
                workers: Arc::new(OneWorker(worker)),
                env: env.clone(),
            },
            node_config,
        );
        let node_api: Arc<dyn NodeApi> = node.clone();
        let nodes: Arc<dyn Nodes> = Arc::new(LocalNode(node_api));
        let client =
            Client::new(coord.assignments(), nodes.clone(), env.clock.clone(), config.client.clone());
        let start = coord.ticks(1).await?;
        let info = NodeInfo { id: NodeId(start.first.0 as i64), address: String::new() };
        let logs: (Arc<dyn LogApi>, NodeId) = (node.clone(), info.id);
        let assignments = coord.assignments();
        coord.serve(info, nodes, client.clone()).await?;
        let parts = ProxyParts { coord: coord_api, collections, segments, client, env: env.clone() };
        let proxy = Proxy::new(parts, config.proxy.clone());
        let (place, lock) = (stores.place, stores.lock);
        let standalone = Standalone { env, proxy, place, logs, assignments, node, _lock: lock };
        Ok((standalone, stores.superseded))
    }

    /// Closes the logs; what is in flight is drained within a bound.
    pub(crate) async fn close(&self) {
        self.node.close().await;
    }
}
