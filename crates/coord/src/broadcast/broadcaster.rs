//! Carries tasks through.

use std::time::Duration;

use cinclus_catalog::Collections;
use cinclus_client::Client;
use cinclus_env::DynClock;
use cinclus_meta::{DynMetaStore, MetaError, Txn, Write};
use cinclus_rpc::{AppendError, DdlError};
use cinclus_types::message::Draft;
use cinclus_types::{Advice, Tick, VChannel};
use futures::future::join_all;

use super::Task;
use crate::{StartError, keys};

/// Appends and commits tasks until they are done.
#[derive(Clone)]
pub struct Broadcaster {
    /// Where tasks are kept.
    pub meta: DynMetaStore,
    /// What they change.
    pub collections: Collections,
    /// The logs.
    pub client: Client,
    /// For the pauses between attempts.
    pub clock: DynClock,
    /// The pause between attempts.
    pub retry: Duration,
}

impl Broadcaster {
    /// The tasks that a crash left behind, in the order in which they began.
    ///
    /// # Errors
    /// If the store does not answer or a task cannot be read.
    pub async fn left_behind(&self) -> Result<Vec<Task>, StartError> {
        let (_, entries) = self.meta.scan(keys::BROADCASTS).await?;
        let mut tasks = Vec::with_capacity(entries.len());
        for entry in entries {
            let task: Task = serde_json::from_slice(&entry.value)
                .map_err(|e| StartError::Corrupt { key: entry.key.clone(), reason: e.to_string() })?;
            if task.format > Task::FORMAT {
                let reason = format!("format {} is newer than {}", task.format, Task::FORMAT);
                return Err(StartError::Corrupt { key: entry.key, reason });
            }
            tasks.push(task);
        }
        tasks.sort_by_key(|task| task.id);
        Ok(tasks)
    }

    /// Begins a task: when this returns it will be carried through, whatever happens.
    ///
    /// # Errors
    /// If it is not known to be persisted.
    pub async fn begin(&self, task: &Task) -> Result<(), DdlError> {
        let value = serde_json::to_vec(task).map_err(|error| DdlError::Invalid(error.to_string()))?;
        let txn = || Txn::new().put(keys::broadcast(task.id), value.clone());
        match self.meta.commit(txn()).await {
            Ok(_) => Ok(()),
            // The same put again: either it is the first or it changes nothing.
            Err(MetaError::Unknown(_)) => {
                self.meta.commit(txn()).await.map(drop).map_err(|error| unavailable(&error))
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Carries a task that has begun to its end; answers the greatest tick of its messages.
    pub async fn carry_through(&self, task: Task) -> Tick {
        let appends = task.drafts().into_iter().map(|(vchannel, draft)| self.append(vchannel, draft));
        let tick = join_all(appends).await.into_iter().max().unwrap_or_default();
        let edit = task.edit.at(tick);
        loop {
            let done = vec![Write::Delete(keys::broadcast(task.id))];
            match self.collections.update(edit.clone().into_change(done)).await {
                Ok(()) => return tick,
                Err(error) => {
                    tracing::error!(broadcast = %task.id, %error, "the catalog was not changed yet");
                    self.clock.sleep(self.retry).await;
                }
            }
        }
    }

    /// Appends until it is known to be appended. A log that lost the collection already has dropped it:
    /// the message has nothing left to say there.
    async fn append(&self, vchannel: VChannel, draft: Draft) -> Tick {
        loop {
            match self.client.append(&vchannel, vec![draft.clone()]).await {
                Ok(appended) => return appended.tick,
                Err(error @ (AppendError::CollectionNotFound(_) | AppendError::PartitionNotFound(..))) => {
                    tracing::warn!(%vchannel, %error, "a change came to a log without its collection");
                    return Tick::ZERO;
                }
                Err(error) => {
                    if error.advice() == Advice::Reject {
                        tracing::error!(%vchannel, %error, "a log refuses a change that has begun");
                    } else {
                        tracing::warn!(%vchannel, %error, "a change is appended again");
                    }
                    self.clock.sleep(self.retry).await;
                }
            }
        }
    }
}

fn unavailable(error: &MetaError) -> DdlError {
    DdlError::Unavailable(error.to_string())
}
