//! Carries tasks through.

use cinclus_catalog::{CatalogError, Collections};
use cinclus_client::Client;
use cinclus_env::{TaskGroup, TaskHandle};
use cinclus_meta::{CommitOutcome, Condition, DynMetaStore, MetaError, Txn, Write};
use cinclus_rpc::{AppendError, DdlError};
use cinclus_types::{Advice, PChannel, Tick, VChannel};
use futures::future::join_all;

use super::Task;
use crate::backoff::Backoff;
use crate::channels::ChannelTable;
use crate::locks::HeldLocks;
use crate::{StartError, keys};

/// Appends and commits tasks until they are done. Cheap to clone.
#[derive(Clone)]
pub struct Broadcaster {
    /// Whose tasks begin; a later coordinator is another.
    pub coordinator: Tick,
    /// Where tasks are kept.
    pub meta: DynMetaStore,
    /// What they change.
    pub collections: Collections,
    /// The logs.
    pub client: Client,
    /// How the logs stand.
    pub table: ChannelTable,
    /// The pauses between attempts.
    pub backoff: Backoff,
    /// What tasks run in; they end with it, to be resumed by the next start.
    pub tasks: TaskGroup,
}

impl Broadcaster {
    /// The tasks that a crash left behind, in the order in which they began.
    ///
    /// # Errors
    /// If the store does not answer or a task cannot be read.
    pub async fn left_behind(&self) -> Result<Vec<Task>, StartError> {
        let (_, entries) = self.meta.scan(keys::BROADCASTS).await?;
        let mut tasks = entries
            .iter()
            .map(|entry| Task::decode(&entry.key, &entry.value))
            .collect::<Result<Vec<_>, _>>()?;
        tasks.sort_by_key(|task| task.id);
        Ok(tasks)
    }

    /// Begins a task and carries it through, whether or not the handle is kept. `held`, its locks, is let
    /// go when the catalog shows the change, or when it is certain that nothing has begun.
    pub fn start<H: Send + 'static>(
        &self,
        task: Task,
        held: H,
    ) -> TaskHandle<Option<Result<Tick, DdlError>>> {
        let broadcaster = self.clone();
        self.tasks.spawn_until_cancelled("broadcast", async move {
            broadcaster.begin(&task).await?;
            Ok(broadcaster.carry_through(task, held).await)
        })
    }

    /// Takes up a task that a crash left behind.
    pub fn resume(
        &self,
        task: Task,
        locks: impl Future<Output = HeldLocks> + Send + 'static,
    ) -> TaskHandle<Option<()>> {
        let broadcaster = self.clone();
        self.tasks.spawn_until_cancelled("broadcast", async move {
            let locks = locks.await;
            tracing::info!(broadcast = %task.id, "a change that was under way is carried through");
            broadcaster.carry_through(task, locks).await;
        })
    }

    /// Begins a task: when this returns it will be carried through, whatever happens. An error means that
    /// it certainly did not begin, so there is none while that is not known.
    async fn begin(&self, task: &Task) -> Result<(), DdlError> {
        let (key, value) = (keys::broadcast(task.id), task.encode());
        let edited = task.edit.clone().into_change();
        // Invariant C2. A task of a coordinator that a later one replaced begins under locks that the later one does
        // not know, and after that one has looked for what was left behind.
        let current = Condition::ValueIs(keys::COORDINATOR.to_owned(), self.coordinator.to_string().into());
        let mut txn = Txn::new().require(current).require_absent(key.clone()).put(key.clone(), value.clone());
        // What the change was judged by still holds: a commit of this transaction whose answer was lost,
        // and which the store takes up late, does not bring a task back that is done.
        txn.conditions.extend(edited.unchanged_since(&self.collections.view()));
        let (mut in_doubt, mut backoff) = (false, self.backoff.clone());
        loop {
            match self.meta.commit(txn.clone()).await {
                Ok(CommitOutcome::Committed(_)) => return Ok(()),
                Ok(CommitOutcome::Conflict(_)) => match self.meta.get(&key).await {
                    Ok(Some(entry)) if entry.value == value => return Ok(()),
                    Ok(_) => {
                        return Err(DdlError::Unavailable("the catalog was changed by others".to_owned()));
                    }
                    Err(error) => tracing::warn!(broadcast = %task.id, %error, "a change may have begun"),
                },
                Err(error) if !in_doubt && !matches!(error, MetaError::Unknown(_)) => {
                    return Err(DdlError::Unavailable(error.to_string()));
                }
                Err(error) => tracing::warn!(broadcast = %task.id, %error, "a change may have begun"),
            }
            in_doubt = true;
            backoff.pause().await;
        }
    }

    /// Carries a task that has begun to its end; answers the greatest tick of its messages.
    async fn carry_through<H: Send>(&self, task: Task, held: H) -> Tick {
        // Invariant C2: every target has the message before the task is gone.
        let appends = task.message.vchannels.iter().map(|vchannel| self.append(&task, vchannel));
        let tick = join_all(appends).await.into_iter().max().unwrap_or_default();
        let key = keys::broadcast(task.id);
        let mut change = task.edit.clone().at(tick).into_change();
        change.extra.push(Write::Delete(key.clone()));
        // A later coordinator may have carried it through: what came after it must not be taken back.
        change.requires.push(Condition::Exists(key.clone()));
        let mut backoff = self.backoff.clone();
        loop {
            match self.collections.update(change.clone()).await {
                Ok(()) => break,
                Err(CatalogError::Conflict(_)) if self.meta.get(&key).await == Ok(None) => {
                    tracing::info!(broadcast = %task.id, "a later coordinator has carried a change through");
                    break;
                }
                Err(error) => {
                    tracing::error!(broadcast = %task.id, %error, "the catalog was not changed yet");
                    backoff.pause().await;
                }
            }
        }
        drop(held);
        // Beside the caller's way: nobody waits for a node that does not answer.
        let broadcaster = self.clone();
        self.tasks.spawn_until_cancelled("forget-broadcast", async move { broadcaster.forget(&task).await });
        tick
    }

    /// Appends until it is known to be appended. A log that lost the collection already has dropped it:
    /// the message has nothing left to say there.
    async fn append(&self, task: &Task, vchannel: &VChannel) -> Tick {
        let mut backoff = self.backoff.clone();
        loop {
            match self.client.append(vchannel, vec![task.draft(vchannel)]).await {
                Ok(appended) => return appended.tick,
                Err(error @ (AppendError::CollectionNotFound(_) | AppendError::PartitionNotFound(..))) => {
                    tracing::error!(%vchannel, %error, "a change came to a log without its collection");
                    return Tick::ZERO;
                }
                Err(error) if error.advice() == Advice::Reject => {
                    tracing::error!(%vchannel, %error, "a log refuses a change that has begun");
                    if let AppendError::Corrupt(reason) = &error {
                        self.table.note_corruption(&vchannel.pchannel(), reason);
                    }
                }
                Err(error) => tracing::warn!(%vchannel, %error, "a change is appended again"),
            }
            backoff.pause().await;
        }
    }

    /// The task is gone for good, and with it the need to remember its id.
    async fn forget(&self, task: &Task) {
        let mut channels: Vec<PChannel> = task.message.vchannels.iter().map(VChannel::pchannel).collect();
        channels.sort_unstable();
        channels.dedup();
        // Invariant C2: remembered until all acknowledgements are in, and that is persisted.
        let forget = |channel: &PChannel| {
            let channel = channel.clone();
            async move { self.client.forget_broadcasts(&channel, &[task.id]).await }
        };
        join_all(channels.iter().map(forget)).await;
    }
}
