//! What everything in one life shares: time, chance, the weather, the trace, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cinclus_env::{DynClock, PanicPolicy, Random, TaskGroup};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::tally::Tally;
use crate::trace::Trace;
use crate::weather::Weather;

/// One life, as its seams see it. Cheap to clone.
#[derive(Clone)]
pub struct Scene {
    /// The time of this life.
    pub clock: DynClock,
    /// What happens.
    pub trace: Trace,
    /// How often it happens.
    pub tally: Tally,
    /// Tasks of nobody's: what is on its way.
    pub tasks: TaskGroup,
    random: Random,
    weather: Arc<Mutex<Weather>>,
    moments: Arc<AtomicU64>,
    stop_at: Option<u64>,
    stopped: watch::Sender<bool>,
}

impl Scene {
    /// A life with nothing wrong; it ends at the moment `stop_at`, counted over all seams.
    #[must_use]
    pub fn new(
        clock: DynClock,
        random: Random,
        (trace, tally): (Trace, Tally),
        stop_at: Option<u64>,
    ) -> Scene {
        Scene {
            clock,
            trace,
            tally,
            tasks: TaskGroup::new(PanicPolicy::Propagate),
            random,
            weather: Arc::default(),
            moments: Arc::default(),
            stop_at,
            stopped: watch::Sender::new(false),
        }
    }

    /// Notes an event.
    pub fn note(&self, event: std::fmt::Arguments<'_>) {
        self.trace.note(self.clock.monotonic(), event);
    }

    /// What goes wrong from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.note(format_args!("weather {weather:?}"));
        *self.weather.lock() = weather;
    }

    /// Changes what goes wrong.
    pub fn change_weather(&self, change: impl FnOnce(&mut Weather)) {
        let mut weather = *self.weather.lock();
        change(&mut weather);
        self.set_weather(weather);
    }

    /// Whether a fault happens now; it is counted.
    #[must_use]
    pub fn strikes(&self, fault: &'static str, chance: impl Fn(&Weather) -> f64) -> bool {
        let chance = chance(&self.weather.lock());
        let strikes = chance > 0.0 && self.random.chance(chance);
        if strikes {
            self.tally.count(fault);
            self.note(format_args!("fault {fault}"));
        }
        strikes
    }

    /// Takes as long as the weather says, often nothing.
    pub async fn dawdle(&self, most: impl Fn(&Weather) -> Duration) {
        let most = most(&self.weather.lock());
        if !most.is_zero() && self.random.chance(0.5) {
            let micros = self.random.range(0..most.as_micros() as u64 + 1);
            self.clock.sleep(Duration::from_micros(micros)).await;
        }
    }

    /// A time by chance.
    #[must_use]
    pub fn span(&self, most: Duration) -> Duration {
        Duration::from_micros(self.random.range(0..most.as_micros() as u64 + 1))
    }

    /// A moment at a seam at which the life may end.
    pub async fn moment(&self) {
        let now = self.moments.fetch_add(1, Ordering::Relaxed) + 1;
        if self.stop_at.is_some_and(|at| now >= at) {
            self.stop("at a seam");
            std::future::pending::<()>().await;
        }
    }

    /// Ends this life.
    pub fn stop(&self, why: &str) {
        if !self.stopped.send_replace(true) {
            self.note(format_args!("the life ends {why}"));
        }
    }

    /// Waits for the end.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        // The sender lives as long as `self`.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}
