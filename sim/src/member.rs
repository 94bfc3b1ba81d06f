//! A process of the cluster, as far as others can tell: it goes on, it hangs, or it is gone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::{Clock, DynClock};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::scene::Scene;

/// How a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does its work.
    Running,
    /// It is suspended: nothing of it reaches anybody, and nobody reaches it, until it goes on.
    Paused,
    /// It was killed. What it was doing at a seam never ends, so nothing of it has an effect any more.
    Dead,
}

/// One process. All its seams go through it. Cheap to clone.
#[derive(Clone)]
pub struct Member {
    /// What traces call it.
    pub name: Arc<str>,
    /// The life that it belongs to.
    pub scene: Scene,
    condition: watch::Sender<Condition>,
    /// Milliseconds that its calendar is ahead, or behind.
    skew_ms: Arc<Mutex<i64>>,
}

impl Member {
    /// A running process.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, scene: &Scene) -> Member {
        let condition = watch::Sender::new(Condition::Running);
        Member { name: name.into(), scene: scene.clone(), condition, skew_ms: Arc::default() }
    }

    /// Changes how it stands; the dead stay dead.
    pub fn set(&self, condition: Condition) {
        self.condition.send_if_modified(|current| {
            let changes = *current != Condition::Dead && *current != condition;
            if changes {
                self.scene.note(format_args!("{} is {condition:?}", self.name));
                *current = condition;
            }
            changes
        });
    }

    /// How it stands.
    #[must_use]
    pub fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Sets its calendar off.
    pub fn set_skew_ms(&self, skew: i64) {
        self.scene.note(format_args!("{}'s calendar is off by {skew} ms", self.name));
        *self.skew_ms.lock() = skew;
    }

    /// Goes on while it runs; for ever if it is dead.
    pub async fn pass(&self) {
        let mut condition = self.condition.subscribe();
        // The sender lives as long as `self`.
        let _ = condition.wait_for(|condition| *condition == Condition::Running).await;
    }

    /// Before an effect at a seam.
    pub async fn before(&self, effect: String) {
        self.scene.note(format_args!("{} {effect}", self.name));
        self.scene.moment().await;
        self.pass().await;
    }

    /// After an effect at a seam, before the member learns of it.
    pub async fn after(&self) {
        self.scene.moment().await;
        self.pass().await;
    }

    /// Its own clock: a calendar that may be off, and timers that do not go off while it hangs.
    #[must_use]
    pub fn clock(&self) -> DynClock {
        Arc::new(MemberClock(self.clone()))
    }
}

struct MemberClock(Member);

#[async_trait]
impl Clock for MemberClock {
    fn unix_ms(&self) -> u64 {
        self.0.scene.clock.unix_ms().saturating_add_signed(*self.0.skew_ms.lock())
    }

    fn monotonic(&self) -> Duration {
        self.0.scene.clock.monotonic()
    }

    async fn sleep(&self, span: Duration) {
        self.0.scene.clock.sleep(span).await;
        self.0.pass().await;
    }
}
