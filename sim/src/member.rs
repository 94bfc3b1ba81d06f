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
    drift: Arc<Mutex<Drift>>,
}

/// A clock that does not run as fast as the others.
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    /// How much faster than the others, in millionths; below zero: slower.
    faster_ppm: i64,
    /// Since when.
    since: Duration,
    /// Microseconds that it had gained by then.
    gained_us: i64,
}

impl Drift {
    /// What it has gained when it is `now` for the others.
    fn gained_us(&self, now: Duration) -> i64 {
        let span = now.saturating_sub(self.since).as_micros() as i64;
        self.gained_us + span * self.faster_ppm / 1_000_000
    }
}

impl Member {
    /// A running process.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, scene: &Scene) -> Member {
        let condition = watch::Sender::new(Condition::Running);
        let (skew_ms, drift) = (Arc::default(), Arc::default());
        Member { name: name.into(), scene: scene.clone(), condition, skew_ms, drift }
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

    /// Lets its clock run faster than the others, by so many millionths, or slower.
    pub fn set_drift_ppm(&self, faster_ppm: i64) {
        self.scene.note(format_args!("{}'s clock is faster by {faster_ppm} ppm", self.name));
        let since = self.scene.clock.monotonic();
        let drift = &mut *self.drift.lock();
        *drift = Drift { faster_ppm, since, gained_us: drift.gained_us(since) };
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

impl MemberClock {
    fn gained_us(&self) -> i64 {
        self.0.drift.lock().gained_us(self.0.scene.clock.monotonic())
    }
}

#[async_trait]
impl Clock for MemberClock {
    fn unix_ms(&self) -> u64 {
        let ahead = *self.0.skew_ms.lock() + self.gained_us() / 1_000;
        self.0.scene.clock.unix_ms().saturating_add_signed(ahead)
    }

    fn monotonic(&self) -> Duration {
        let now = self.0.scene.clock.monotonic().as_micros() as u64;
        match self.gained_us() {
            0 => self.0.scene.clock.monotonic(),
            gained => Duration::from_micros(now.saturating_add_signed(gained)),
        }
    }

    async fn sleep(&self, span: Duration) {
        let faster_ppm = self.0.drift.lock().faster_ppm;
        let span = if faster_ppm == 0 { span } else { span.mul_f64(1e6 / (1_000_000 + faster_ppm) as f64) };
        self.0.scene.clock.sleep(span).await;
        self.0.pass().await;
    }
}
