//! The coordinator itself.

use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use cinclus_catalog::Collections;
use cinclus_client::{Client, Nodes};
use cinclus_env::{Env, timeout};
use cinclus_meta::DynMetaStore;
use cinclus_rpc::{AppendError, CoordApi, CoordError, Ddl, DdlDone, DdlError};
use cinclus_types::message::{Draft, ResourceKey};
use cinclus_types::{
    Advice, AssignmentView, BroadcastId, NodeInfo, PChannel, Tick, TickRange, VChannel, ViewVersion,
};
use futures::future::{join_all, try_join_all};
use tokio::sync::{OnceCell, watch};

use crate::backoff::Backoff;
use crate::broadcast::{Broadcaster, Task};
use crate::channels::ChannelTable;
use crate::ddl::{Plan, PlannedMessage, Planner, wants};
use crate::locks::{HeldLocks, ResourceLocks, Want};
use crate::placing::{Placed, Placing};
use crate::requests::Requests;
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
    requests: Requests,
    view: watch::Sender<AssignmentView>,
    locks: ResourceLocks,
    placing: Placing,
    /// What is known once the logs are assigned.
    broadcaster: OnceCell<Broadcaster>,
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
        let requests =
            Requests::open(parts.meta.clone(), tso.clone(), env.clock.clone(), config.request_age_max)
                .await?;
        let (locks, placing, broadcaster) = (ResourceLocks::default(), Placing::default(), OnceCell::new());
        Ok(Arc::new(Coordinator { parts, config, tso, requests, view, locks, placing, broadcaster }))
    }

    /// Gives all logs to `node`, opens them, and carries through the changes that a crash left behind. Those
    /// that take long go on in the background, under their locks: a log that does not open holds up nothing
    /// else.
    ///
    /// # Errors
    /// If the metadata cannot be read or written.
    pub async fn serve(
        self: &Arc<Self>,
        node: NodeInfo,
        nodes: Arc<dyn Nodes>,
        client: Client,
    ) -> Result<(), StartError> {
        let CoordinatorParts { meta, collections, env } = self.parts.clone();
        let backoff = Backoff::new(env.clock.clone(), &self.config);
        let table =
            ChannelTable::open(meta.clone(), backoff.clone(), &self.config, self.view.clone()).await?;
        // A tick of its own: no other coordinator ever has the same.
        let coordinator = Tick(self.view.borrow().version.global.cast_unsigned());
        table.assign_all(&node, coordinator).await?;
        table.open_all(&nodes, &env.tasks, &self.config).await;
        let tasks = env.tasks.clone();
        let broadcaster = Broadcaster { coordinator, meta, collections, client, table, backoff, tasks };
        // Their locks first, in the order in which they began: nothing new comes before them.
        let mut resumed = Vec::new();
        for task in broadcaster.left_behind().await? {
            let wants = task.resource_keys.iter().map(Want::of_key).collect();
            let locks = self.locks.clone();
            let mut acquiring = Box::pin(async move { locks.acquire(wants).await });
            let at_once = futures::poll!(&mut acquiring);
            let carried = broadcaster.resume(task, async move {
                match at_once {
                    Poll::Ready(held) => held,
                    Poll::Pending => acquiring.await,
                }
            });
            resumed.push(carried.join());
        }
        let _ = self.broadcaster.set(broadcaster);
        if timeout(&*env.clock, self.config.resume_patience, join_all(resumed)).await.is_err() {
            tracing::warn!("some changes are still under way; they become visible when they are done");
        }
        Ok(())
    }

    /// Carries a change out. Dropped at any point it leaves no lock and no half change behind.
    async fn carry_out(&self, ddl: &Ddl) -> Result<DdlDone, DdlError> {
        let unavailable = |text: &str| DdlError::Unavailable(text.to_owned());
        let broadcaster = self.broadcaster.get().ok_or_else(|| unavailable("starting"))?;
        let (locks, keys) = self.lock(ddl).await;
        let ids = self.grant(Planner::ids_needed(ddl) + 1).await?;
        let (plan, placed) = self.plan(ddl, &broadcaster.table, ids)?;
        let Some(message) = plan.message else {
            return Ok(DdlDone { tick: ids.last(), ..DdlDone::default() });
        };
        if matches!(ddl, Ddl::Flush { .. }) {
            return flush(&broadcaster.client, message).await;
        }
        refuse_corrupt(&broadcaster.table, &message.vchannels)?;
        let id = BroadcastId(ids.last().0 as i64);
        let task = Task { id, message, resource_keys: keys, edit: plan.edit };
        let (bytes, max) = (task.encode().len(), self.config.ddl_bytes_max);
        if bytes > max {
            return Err(DdlError::Invalid(format!("the change takes {bytes} bytes, the limit is {max}")));
        }
        // In a task of its own: a caller that goes away in the middle leaves no half change behind.
        let carried = broadcaster.start(task, (locks, placed)).join().await.flatten();
        let tick = carried.ok_or_else(|| unavailable("shutting down"))??;
        Ok(DdlDone { tick, ..DdlDone::default() })
    }

    /// Judges a change by the newest view.
    fn plan(
        &self,
        ddl: &Ddl,
        table: &ChannelTable,
        ids: TickRange,
    ) -> Result<(Plan, Option<Placed>), DdlError> {
        let view = self.parts.collections.view();
        let mut placing = self.placing.lock();
        let load = |channel: PChannel| {
            let on_their_way = placing.get(&channel).copied().unwrap_or_default();
            (channel, on_their_way)
        };
        let channels = table.usable().into_iter().map(load).collect();
        let plan = Planner::new(&view, &self.config, table.control().clone(), &channels, ids).plan(ddl)?;
        let shards =
            plan.edit.put_collections.first().filter(|_| matches!(ddl, Ddl::CreateCollection { .. }));
        let placed = shards.map(|entry| self.placing.note(&mut placing, &entry.vchannels));
        Ok((plan, placed))
    }

    /// Takes the locks that a change needs. A name may come to mean another collection while they are
    /// waited for: then the right ones are taken.
    async fn lock(&self, ddl: &Ddl) -> (HeldLocks, Vec<ResourceKey>) {
        loop {
            let wanted = wants(ddl, &self.parts.collections.view());
            let held = self.locks.acquire(wanted.clone()).await;
            if wants(ddl, &self.parts.collections.view()) == wanted {
                return (held, wanted.iter().map(Want::to_key).collect());
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

    async fn ticks_of(&self, request: &str, count: u32) -> Result<TickRange, CoordError> {
        self.requests.ticks(request, count).await
    }

    async fn ddl(&self, ddl: Ddl) -> Result<DdlDone, DdlError> {
        let patience = self.config.ddl_patience;
        let carried_out = timeout(&*self.parts.env.clock, patience, self.carry_out(&ddl)).await;
        carried_out.unwrap_or_else(|_| {
            let text =
                format!("the change did not end within {patience:?}; if it has begun it will be completed");
            Err(DdlError::Unavailable(text))
        })
    }

    fn assignments(&self) -> watch::Receiver<AssignmentView> {
        self.view.subscribe()
    }
}

/// A change that could not be completed is not begun.
fn refuse_corrupt(table: &ChannelTable, vchannels: &[VChannel]) -> Result<(), DdlError> {
    for channel in vchannels.iter().map(VChannel::pchannel) {
        if let Some(reason) = table.corruption(&channel) {
            return Err(DdlError::Unavailable(format!("the log {channel} is corrupt: {reason}")));
        }
    }
    Ok(())
}

/// A flush changes nothing in the catalog, and doing it twice does no harm: it needs no task.
async fn flush(client: &Client, message: PlannedMessage) -> Result<DdlDone, DdlError> {
    let PlannedMessage { vchannels, header, payload } = message;
    let appends = vchannels.iter().map(|vchannel| {
        let draft = Draft::new(vchannel.clone(), header.clone(), payload.clone());
        async move { client.append(vchannel, vec![draft]).await.map_err(|error| flush_failed(&error)) }
    });
    let mut done = DdlDone::default();
    for appended in try_join_all(appends).await? {
        done.tick = done.tick.max(appended.tick);
        done.sealed.extend(appended.sealed);
    }
    Ok(done)
}

fn flush_failed(error: &AppendError) -> DdlError {
    if error.advice() == Advice::Reject {
        DdlError::Invalid(error.to_string())
    } else {
        DdlError::Unavailable(error.to_string())
    }
}
