//! The coordinator itself.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_catalog::{Collections, CollectionsView};
use cinclus_client::{Client, Nodes};
use cinclus_env::Env;
use cinclus_meta::DynMetaStore;
use cinclus_rpc::{AppendError, CoordApi, CoordError, Ddl, DdlDone, DdlError};
use cinclus_types::message::{Draft, ResourceDomain, ResourceKey};
use cinclus_types::{Advice, AssignmentView, BroadcastId, NodeInfo, PChannel, TickRange, VChannel, ViewVersion};
use futures::future::try_join_all;
use tokio::sync::watch;

use crate::broadcast::{Broadcaster, Task};
use crate::channels::ChannelTable;
use crate::ddl::{Plan, Planner};
use crate::locks::{HeldLocks, Resource, ResourceLocks, Want};
use crate::tso::Tso;
use crate::{CoordConfig, StartError};

/// What the coordinator works with.
#[derive(Clone)]
pub struct CoordinatorParts {
    /// Metadata.
    pub meta: DynMetaStore,
    /// The catalog.
    pub collections: Collections,
    /// Clock and tasks.
    pub env: Env,
}

/// The coordinator.
pub struct Coordinator {
    parts: CoordinatorParts,
    config: CoordConfig,
    tso: Tso,
    view: watch::Sender<AssignmentView>,
    locks: ResourceLocks,
    serving: tokio::sync::OnceCell<Serving>,
}

/// What is known once the logs are assigned.
struct Serving {
    broadcaster: Broadcaster,
    control: VChannel,
    channels: Vec<PChannel>,
}

impl Coordinator {
    /// Starts the TSO; nothing else is served until [`Coordinator::serve`].
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub async fn start(parts: CoordinatorParts, config: CoordConfig) -> Result<Arc<Coordinator>, StartError> {
        let env = &parts.env;
        let tso = Tso::start(parts.meta.clone(), env.clock.clone(), &env.tasks, &config).await?;
        let version = tso.grant(1).await.map_err(|_| StartError::Concurrent)?;
        let version = ViewVersion { global: version.first.0 as i64, local: 0 };
        let view = watch::Sender::new(AssignmentView { version, ..AssignmentView::default() });
        let (locks, serving) = (ResourceLocks::default(), tokio::sync::OnceCell::new());
        Ok(Arc::new(Coordinator { parts, config, tso, view, locks, serving }))
    }

    /// Gives all logs to `node`, opens them, and takes up the changes that a crash left behind.
    ///
    /// # Errors
    /// If the metadata cannot be read or written.
    pub async fn serve(
        self: &Arc<Self>,
        node: NodeInfo,
        nodes: Arc<dyn Nodes>,
        client: Client,
    ) -> Result<(), StartError> {
        let (meta, clock) = (self.parts.meta.clone(), self.parts.env.clock.clone());
        let mut table = ChannelTable::open(meta.clone(), clock.clone(), &self.config, self.view.clone()).await?;
        table.assign_all(&node, &*nodes).await?;
        let broadcaster = Broadcaster {
            meta,
            collections: self.parts.collections.clone(),
            client,
            clock,
            retry: self.config.retry,
        };
        // One after the other, in the order in which they began, before anything new.
        for task in broadcaster.left_behind().await? {
            tracing::info!(broadcast = %task.id, "a change that was under way is carried through");
            broadcaster.carry_through(task).await;
        }
        let (control, channels) = (table.control().clone(), table.channels());
        let _ = self.serving.set(Serving { broadcaster, control, channels });
        Ok(())
    }

    async fn carry_out(&self, ddl: Ddl) -> Result<DdlDone, DdlError> {
        let serving = self.serving.get().ok_or_else(|| DdlError::Unavailable("starting".to_owned()))?;
        let (locks, keys) = self.lock(&ddl).await;
        let ids = self.grant(Planner::ids_needed(&ddl) + 1).await?;
        let plan = {
            let view = self.parts.collections.view();
            let control = serving.control.clone();
            Planner::new(&view, &self.config, control, &serving.channels, ids).plan(&ddl)?
        };
        if plan.messages.is_empty() {
            return Ok(DdlDone { tick: ids.last(), ..DdlDone::default() });
        }
        if matches!(ddl, Ddl::Flush { .. }) {
            return flush(&serving.broadcaster.client, plan).await;
        }
        let task = Task::new(BroadcastId(ids.last().0 as i64), plan, keys);
        // In a task of its own: a caller that goes away in the middle leaves no half change behind.
        let broadcaster = serving.broadcaster.clone();
        let carried = self.parts.env.tasks.spawn("broadcast", async move {
            let _locks = locks;
            broadcaster.begin(&task).await?;
            Ok(broadcaster.carry_through(task).await)
        });
        let ended = || DdlError::Unavailable("shutting down".to_owned());
        let tick = carried.join().await.ok_or_else(ended)??;
        Ok(DdlDone { tick, ..DdlDone::default() })
    }

    /// Takes the locks that a change needs. A name may come to mean another collection while they are
    /// waited for: then the right ones are taken.
    async fn lock(&self, ddl: &Ddl) -> (HeldLocks, Vec<ResourceKey>) {
        loop {
            let wanted = wants(ddl, &self.parts.collections.view());
            let keys = wanted.iter().map(resource_key).collect();
            let held = self.locks.acquire(wanted.clone()).await;
            if wants(ddl, &self.parts.collections.view()) == wanted {
                return (held, keys);
            }
        }
    }

    async fn grant(&self, count: u32) -> Result<TickRange, DdlError> {
        self.tso.grant(count).await.map_err(|error| DdlError::Unavailable(error.to_string()))
    }
}

#[async_trait]
impl CoordApi for Coordinator {
    async fn ticks(&self, count: u32) -> Result<TickRange, CoordError> {
        self.tso.grant(count).await
    }

    async fn ddl(&self, ddl: Ddl) -> Result<DdlDone, DdlError> {
        self.carry_out(ddl).await
    }

    fn assignments(&self) -> watch::Receiver<AssignmentView> {
        self.view.subscribe()
    }
}

/// A flush changes nothing in the catalog, and doing it twice does no harm: it needs no task.
async fn flush(client: &Client, plan: Plan) -> Result<DdlDone, DdlError> {
    let appends = plan.messages.into_iter().map(|message| async move {
        let draft = Draft::new(message.vchannel.clone(), message.header, message.payload);
        client.append(&message.vchannel, vec![draft]).await.map_err(flush_failed)
    });
    let mut done = DdlDone::default();
    for appended in try_join_all(appends).await? {
        done.tick = done.tick.max(appended.tick);
        done.sealed.extend(appended.sealed);
    }
    Ok(done)
}

fn flush_failed(error: AppendError) -> DdlError {
    if error.advice() == Advice::Reject {
        DdlError::Invalid(error.to_string())
    } else {
        DdlError::Unavailable(error.to_string())
    }
}

/// The locks that a change needs: its database shared and its name exclusive; changes of databases, and
/// renames, which concern two names, take the database alone. An alias stands for its collection.
fn wants(ddl: &Ddl, view: &CollectionsView) -> Vec<Want> {
    let name = |database: &str, name: &str| {
        let real = view.database(database).and_then(|entry| view.resolve(entry.id, name));
        let name = real.map_or(name, |entry| &entry.name);
        let database = if database.is_empty() { "default" } else { database };
        vec![
            Want { resource: Resource::Database(database.to_owned()), exclusive: false },
            Want { resource: Resource::Name(database.to_owned(), name.to_owned()), exclusive: true },
        ]
    };
    let whole = |database: &str| {
        let database = if database.is_empty() { "default" } else { database };
        Want { resource: Resource::Database(database.to_owned()), exclusive: true }
    };
    match ddl {
        Ddl::CreateCollection { database, .. }
        | Ddl::DropCollection { database, .. }
        | Ddl::PutAlias { database, .. }
        | Ddl::DropAlias { database, .. } => vec![whole(database)],
        Ddl::RenameCollection { database, new_database, .. } => {
            let target = if new_database.is_empty() { database } else { new_database };
            vec![whole(database), whole(target)]
        }
        Ddl::CreateDatabase { name, .. } | Ddl::DropDatabase { name } | Ddl::AlterDatabase { name, .. } => {
            vec![Want { resource: Resource::Cluster, exclusive: true }, whole(name)]
        }
        Ddl::AlterCollection { database, name: collection, .. }
        | Ddl::AlterField { database, name: collection, .. }
        | Ddl::CreatePartition { database, collection, .. }
        | Ddl::DropPartition { database, collection, .. }
        | Ddl::CreateIndex { database, collection, .. }
        | Ddl::AlterIndex { database, collection, .. }
        | Ddl::DropIndex { database, collection, .. }
        | Ddl::Load { database, collection, .. }
        | Ddl::Release { database, collection, .. }
        | Ddl::Flush { database, collection } => name(database, collection),
    }
}

fn resource_key(want: &Want) -> ResourceKey {
    let (domain, key) = match &want.resource {
        Resource::Cluster => (ResourceDomain::Cluster, String::new()),
        Resource::Database(name) => (ResourceDomain::Database, name.clone()),
        Resource::Name(database, name) => (ResourceDomain::Collection, format!("{database}:{name}")),
    };
    ResourceKey { domain, key, shared: !want.exclusive }
}
