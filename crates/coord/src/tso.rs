//! The timestamp oracle: ticks that only grow, over restarts and whatever the clock does.
//!
//! A bound above every tick that was ever given is kept in the metadata store. It is raised in the
//! background while ticks are taken; a request waits for it only when it is used up, and an idle oracle
//! writes nothing. While the bound is being raised, ticks below it are given even if the clock is ahead.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, TaskGroup};
use cinclus_meta::{CommitOutcome, Condition, DynMetaStore, Txn};
use cinclus_rpc::CoordError;
use cinclus_types::{Tick, TickRange};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{CoordConfig, StartError, keys};

/// Gives ticks.
#[derive(Clone)]
pub struct Tso {
    inner: Arc<Inner>,
}

struct Inner {
    clock: DynClock,
    wall: BelievedClock,
    window: Duration,
    next: Mutex<Tick>,
    /// Every tick below may be given.
    bound: watch::Sender<Tick>,
    raise: Notify,
}

impl Tso {
    /// Starts above every tick that was given before.
    ///
    /// # Errors
    /// If the metadata store does not answer or holds no number.
    pub async fn start(
        meta: DynMetaStore,
        clock: DynClock,
        tasks: &TaskGroup,
        config: &CoordConfig,
    ) -> Result<Tso, StartError> {
        let stored = match meta.get(keys::TSO).await? {
            None => Tick::ZERO,
            Some(entry) => std::str::from_utf8(&entry.value)
                .ok()
                .and_then(|text| text.parse().ok())
                .map(Tick)
                .ok_or_else(|| corrupt("is not a number"))?,
        };
        let wall = BelievedClock::new(clock.clone(), config.tso_jump_max);
        let next = stored.max(wall.now());
        let bound = next.plus(config.tso_window);
        write_bound(&meta, stored, bound).await?;
        let inner = Arc::new(Inner {
            clock,
            wall,
            window: config.tso_window,
            next: Mutex::new(next),
            bound: watch::Sender::new(bound),
            raise: Notify::new(),
        });
        let raiser = inner.clone();
        tasks.spawn_until_cancelled("tso-bound", async move { raiser.keep_ahead(&meta).await });
        Ok(Tso { inner })
    }

    /// Takes `count` ticks.
    ///
    /// # Errors
    /// If the bound is used up and cannot be raised.
    pub async fn grant(&self, count: u32) -> Result<TickRange, CoordError> {
        let mut bound = self.inner.bound.subscribe();
        loop {
            if let Some(range) = self.inner.take(count.max(1), *bound.borrow_and_update()) {
                return Ok(range);
            }
            if bound.changed().await.is_err() {
                return Err(CoordError::Unavailable("the oracle has stopped".to_owned()));
            }
        }
    }
}

impl Inner {
    fn take(&self, count: u32, bound: Tick) -> Option<TickRange> {
        let mut next = self.next.lock();
        let wanted = (*next).max(self.wall.now());
        if wanted.plus(self.window / 2) > bound {
            self.raise.notify_one();
        }
        let fits = |first: Tick| first.0 + u64::from(count) <= bound.0;
        // Behind the clock but below the bound is better than a wait.
        let first = [wanted, *next].into_iter().find(|first| fits(*first))?;
        *next = Tick(first.0 + u64::from(count));
        Some(TickRange { first, count })
    }

    async fn keep_ahead(&self, meta: &DynMetaStore) {
        loop {
            self.raise.notified().await;
            let current = *self.bound.borrow();
            let next = *self.next.lock();
            let target = next.max(self.wall.now()).plus(self.window);
            if target <= current {
                continue;
            }
            match write_bound(meta, current, target).await {
                Ok(()) => drop(self.bound.send_replace(target)),
                Err(error) => {
                    tracing::error!(%error, "the bound of the timestamp oracle was not raised");
                    self.clock.sleep(Duration::from_millis(100)).await;
                    self.raise.notify_one();
                }
            }
        }
    }
}

/// The wall clock, as long as it does not run ahead of a stopwatch started with it by more than a limit;
/// then the stopwatch. A clock set far ahead by mistake would otherwise poison the ticks for ever.
struct BelievedClock {
    clock: DynClock,
    started_unix_ms: u64,
    started: Duration,
    jump_max: Duration,
}

impl BelievedClock {
    fn new(clock: DynClock, jump_max: Duration) -> BelievedClock {
        BelievedClock { started_unix_ms: clock.unix_ms(), started: clock.monotonic(), clock, jump_max }
    }

    fn now(&self) -> Tick {
        let elapsed = self.clock.monotonic().saturating_sub(self.started);
        let expected = self.started_unix_ms + elapsed.as_millis() as u64;
        let wall = self.clock.unix_ms();
        let ahead = Duration::from_millis(wall.saturating_sub(expected));
        Tick::from_unix_ms(if ahead > self.jump_max { expected } else { wall })
    }
}

async fn write_bound(meta: &DynMetaStore, from: Tick, to: Tick) -> Result<(), StartError> {
    let condition = if from == Tick::ZERO {
        Condition::Absent(keys::TSO.to_owned())
    } else {
        Condition::ValueIs(keys::TSO.to_owned(), from.to_string().into())
    };
    let txn = Txn::new().require(condition).put(keys::TSO, to.to_string());
    match meta.commit(txn).await? {
        CommitOutcome::Committed(_) => Ok(()),
        // A commit of ours whose answer was lost reads as a conflict: the stored bound is then ours.
        CommitOutcome::Conflict(_) => match meta.get(keys::TSO).await? {
            Some(entry) if entry.value == to.to_string().as_bytes() => Ok(()),
            Some(_) | None => Err(StartError::Concurrent),
        },
    }
}

fn corrupt(reason: &str) -> StartError {
    StartError::Corrupt { key: keys::TSO.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use cinclus_env::{Env, ManualClock};
    use cinclus_meta::MemoryMetaStore;

    use super::*;

    async fn start(meta: &DynMetaStore, clock: &ManualClock, env: &Env) -> Tso {
        let config = CoordConfig { tso_jump_max: Duration::from_secs(3600), ..CoordConfig::default() };
        Tso::start(meta.clone(), Arc::new(clock.clone()), &env.tasks, &config).await.unwrap()
    }

    #[tokio::test]
    async fn ticks_grow_over_restarts_even_if_the_clock_went_back() {
        let (env, clock) = (Env::test(1), ManualClock::starting_at(50_000));
        let meta: DynMetaStore = Arc::new(MemoryMetaStore::new(
            &cinclus_meta::Config::default(),
            Arc::new(clock.clone()),
            &env.tasks,
        ));
        let first = start(&meta, &clock, &env).await.grant(5).await.unwrap();
        clock.set_unix_ms(10);
        let tso = start(&meta, &clock, &env).await;
        let second = tso.grant(1).await.unwrap();
        assert!(second.first > first.last());
        assert_eq!(tso.grant(1).await.unwrap().first, second.last().next());
    }

    #[tokio::test]
    async fn a_clock_that_jumps_far_ahead_is_not_followed() {
        let (env, clock) = (Env::test(1), ManualClock::starting_at(50_000));
        let meta: DynMetaStore = Arc::new(MemoryMetaStore::new(
            &cinclus_meta::Config::default(),
            Arc::new(clock.clone()),
            &env.tasks,
        ));
        let tso = start(&meta, &clock, &env).await;
        clock.set_unix_ms(50_000 + 7_200_000);
        assert!(tso.grant(1).await.unwrap().first < Tick::from_unix_ms(60_000));
        clock.set_unix_ms(51_000);
        assert!(tso.grant(1).await.unwrap().first >= Tick::from_unix_ms(51_000));
    }

    #[tokio::test]
    async fn the_bound_follows_in_the_background() {
        let (env, clock) = (Env::test(1), ManualClock::starting_at(50_000));
        let meta: DynMetaStore = Arc::new(MemoryMetaStore::new(
            &cinclus_meta::Config::default(),
            Arc::new(clock.clone()),
            &env.tasks,
        ));
        let tso = start(&meta, &clock, &env).await;
        let window = u32::try_from(3_000_u64 << Tick::LOGICAL_BITS).unwrap();
        let first = tso.grant(window).await.unwrap();
        let second = tso.grant(window).await.unwrap();
        assert!(second.first > first.last());
    }
}
