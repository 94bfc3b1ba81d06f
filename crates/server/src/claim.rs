//! The claim of one process on metadata that several could reach.
//!
//! A key on a lease says who serves. It is a courtesy, not a fence: the logs and every change of the metadata
//! have their own conditions. But it has a second process wait or say why it does not start, instead of two
//! that take each other's logs away by turns.

use std::time::Duration;

use anyhow::{Context, bail};
use cinclus_env::{DynClock, Env, timeout};
use cinclus_meta::{CommitOutcome, DynMetaStore, HeldLease, MetaError, Txn};
use tokio::sync::watch;

/// The key that says who serves.
const KEY: &str = "process";
/// How long the claim outlives its process.
const TTL: Duration = Duration::from_secs(10);
/// How long before its end a lease that could not be kept alive counts as over.
const MARGIN: Duration = Duration::from_secs(1);

/// A claim that is held.
pub(crate) struct Claim {
    lost: watch::Receiver<Option<String>>,
}

impl Claim {
    /// Claims the metadata for a process that calls itself `who`. A claim that another one left behind is
    /// waited for until its lease is over.
    ///
    /// # Errors
    /// Another process holds it and goes on.
    pub(crate) async fn take(meta: &DynMetaStore, env: &Env, who: &str) -> anyhow::Result<Claim> {
        let clock = &env.clock;
        // Two processes may call themselves the same, and an answer may get lost.
        let value = format!("{who} ({:08x})", env.random.u64() as u32);
        let patience = clock.monotonic() + TTL + MARGIN;
        loop {
            let lease = HeldLease::grant(&**meta, &**clock, TTL).await.context("no lease was granted")?;
            let txn = Txn::new().require_absent(KEY).put_leased(KEY, value.clone(), lease.id());
            match meta.commit(txn).await {
                Ok(CommitOutcome::Committed(_)) => return Ok(Claim::keep(meta.clone(), env, lease)),
                Ok(CommitOutcome::Conflict(_)) | Err(MetaError::Unknown(_)) => {}
                Err(error) => return Err(error).context("the metadata cannot be claimed"),
            }
            let (revision, found) = meta.scan(KEY).await?;
            let Some(holder) = found.into_iter().find(|entry| entry.key == KEY) else { continue };
            if holder.value == value {
                return Ok(Claim::keep(meta.clone(), env, lease));
            }
            meta.revoke(lease.id()).await.context("a lease that is not needed cannot be ended")?;
            let holder = String::from_utf8_lossy(&holder.value).into_owned();
            tracing::warn!("waiting for {holder}, which serves the same metadata");
            let mut watch = meta.watch(KEY, revision).await?;
            let left = patience.saturating_sub(clock.monotonic());
            // Whatever ends the watch, the key is looked at again.
            if timeout(&**clock, left, watch.next()).await.is_err() {
                bail!("{holder} serves the same metadata; only one process can");
            }
        }
    }

    fn keep(meta: DynMetaStore, env: &Env, lease: HeldLease) -> Claim {
        let (lose, lost) = watch::channel(None);
        let clock = env.clock.clone();
        let tasks = env.tasks.clone();
        env.tasks.spawn("claim", async move {
            tokio::select! {
                biased;
                // A process that ends in good order leaves the way free at once.
                () = tasks.cancelled() => drop(meta.revoke(lease.id()).await),
                reason = keep_alive(&meta, clock, lease) => drop(lose.send(Some(reason))),
            }
        });
        Claim { lost }
    }

    /// Waits until the claim is lost; says why.
    pub(crate) async fn lost(mut self) -> String {
        let reason = self.lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            // The process ends in good order.
            None => std::future::pending().await,
        }
    }
}

/// Keeps the lease alive as long as that goes; says why it ended.
async fn keep_alive(meta: &DynMetaStore, clock: DynClock, mut lease: HeldLease) -> String {
    loop {
        clock.sleep(TTL / 4).await;
        let kept = lease.keep_alive(&**meta, &*clock).await;
        match kept {
            Err(MetaError::LeaseGone(_)) => return "its claim on the metadata is over".to_owned(),
            Err(error) if !lease.holds(clock.monotonic(), MARGIN) => {
                return format!("its claim on the metadata could not be kept: {error}");
            }
            Err(error) => tracing::warn!(%error, "the claim on the metadata was not kept alive"),
            Ok(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cinclus_meta::MemoryMetaStore;

    use super::*;

    fn store(env: &Env) -> DynMetaStore {
        let settings = cinclus_meta::Config::default();
        Arc::new(MemoryMetaStore::new(&settings, env.clock.clone(), &env.tasks))
    }

    #[tokio::test(start_paused = true)]
    async fn one_process_at_a_time() {
        let (env, other) = (Env::test(1), Env::test(2));
        let meta = store(&env);
        let first = Claim::take(&meta, &env, "first").await.unwrap();
        let refused = Claim::take(&meta, &other, "second").await.err().unwrap().to_string();
        assert!(refused.starts_with("first (") && refused.contains("only one process"), "{refused}");
        tokio::time::sleep(TTL * 3).await;
        assert!(first.lost.borrow().is_none(), "it is kept alive");
        // In good order the next one need not wait for the lease.
        env.tasks.join(&*env.clock, Duration::from_secs(1)).await.unwrap();
        let before = other.clock.monotonic();
        Claim::take(&meta, &other, "second").await.unwrap();
        assert!(other.clock.monotonic() - before < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_left_behind_is_waited_for_and_one_that_ended_is_noticed() {
        let env = Env::test(1);
        let meta = store(&env);
        let lease = meta.grant(TTL).await.unwrap();
        meta.commit(Txn::new().put_leased(KEY, "crashed", lease)).await.unwrap();
        Claim::take(&meta, &env, "next").await.unwrap();
        let lease = HeldLease::grant(&*meta, &*env.clock, TTL).await.unwrap();
        meta.revoke(lease.id()).await.unwrap();
        assert!(keep_alive(&meta, env.clock.clone(), lease).await.contains("is over"));
    }
}
