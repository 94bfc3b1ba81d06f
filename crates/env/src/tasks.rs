//! Tasks and threads with names, cancelled and joined as a group.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, TimedOut, timeout};

/// What happens to the process when a task panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicPolicy {
    /// A broken invariant ends the process; recovery is the only way on (DESIGN §1.10).
    Abort,
    /// The panic is remembered and [`TaskGroup::join`] panics with it: for tests.
    Propagate,
}

/// A group of tasks that belong to one owner. Clones are the same group; [`TaskGroup::child`] is a group
/// that ends with its parent and can be ended alone.
#[derive(Clone)]
pub struct TaskGroup {
    tracker: TaskTracker,
    stop: CancellationToken,
    policy: PanicPolicy,
    panic: Arc<Mutex<Option<String>>>,
}

/// The result of one task. Dropping it does not end the task.
pub struct TaskHandle<T> {
    inner: tokio::task::JoinHandle<Option<T>>,
}

impl<T> TaskHandle<T> {
    /// Waits for the task. `None` if it panicked (under [`PanicPolicy::Propagate`]) or was aborted.
    pub async fn join(self) -> Option<T> {
        self.inner.await.ok().flatten()
    }

    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.inner.abort();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }
}

impl TaskGroup {
    /// An empty group.
    #[must_use]
    pub fn new(policy: PanicPolicy) -> TaskGroup {
        TaskGroup {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            policy,
            panic: Arc::default(),
        }
    }

    /// A group of its own that is cancelled with this one and waited for by this one's join.
    #[must_use]
    pub fn child(&self) -> TaskGroup {
        let child = TaskGroup {
            tracker: TaskTracker::new(),
            stop: self.stop.child_token(),
            policy: self.policy,
            panic: self.panic.clone(),
        };
        let (tracker, stop) = (child.tracker.clone(), child.stop.clone());
        self.tracker.spawn(async move {
            stop.cancelled().await;
            tracker.close();
            tracker.wait().await;
        });
        child
    }

    /// Starts a task on the current tokio runtime. It is not told to stop by itself: a task that runs
    /// until the end selects on [`TaskGroup::cancelled`].
    pub fn spawn<F>(&self, name: &'static str, task: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (policy, panic) = (self.policy, self.panic.clone());
        let guarded = async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(output) => Some(output),
                Err(payload) => {
                    panicked(name, &*payload, policy, &panic);
                    None
                }
            }
        };
        TaskHandle { inner: self.tracker.spawn(guarded) }
    }

    /// Starts a task that is dropped at its next await once the group is cancelled.
    pub fn spawn_until_cancelled<F>(&self, name: &'static str, task: F) -> TaskHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let stop = self.stop.clone();
        self.spawn(name, async move { stop.run_until_cancelled(task).await })
    }

    /// Starts a named thread of the operating system. The group does not wait for it.
    ///
    /// # Panics
    /// If the operating system has no thread to give.
    pub fn spawn_thread<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<Option<T>> {
        let (policy, panic, owned) = (self.policy, self.panic.clone(), name.to_owned());
        let guarded = move || match std::panic::catch_unwind(AssertUnwindSafe(body)) {
            Ok(output) => Some(output),
            Err(payload) => {
                panicked(&owned, &*payload, policy, &panic);
                None
            }
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(guarded)
            .expect("the operating system gives a thread")
    }

    /// Asks every task to stop.
    pub fn cancel(&self) {
        self.stop.cancel();
    }

    /// Whether [`TaskGroup::cancel`] was called on this group or a parent.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until the group is cancelled.
    pub async fn cancelled(&self) {
        self.stop.cancelled().await;
    }

    /// Cancels the group and waits for its tasks, at most `bound` of `clock`'s time.
    ///
    /// # Errors
    /// [`TimedOut`] if some task still runs.
    ///
    /// # Panics
    /// With the message of a task that panicked, under [`PanicPolicy::Propagate`].
    pub async fn join(&self, clock: &dyn Clock, bound: Duration) -> Result<(), TimedOut> {
        self.cancel();
        self.tracker.close();
        let ended = timeout(clock, bound, self.tracker.wait()).await;
        self.check();
        ended
    }

    /// Panics with the message of a task that panicked, if one did.
    ///
    /// # Panics
    /// See above: that is what it is for.
    pub fn check(&self) {
        let message = self.panic.lock().take();
        if let Some(message) = message {
            panic!("{message}");
        }
    }
}

fn panicked(
    name: &str,
    payload: &(dyn std::any::Any + Send),
    policy: PanicPolicy,
    first: &Mutex<Option<String>>,
) {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    let message = format!("task {name} panicked: {text}");
    tracing::error!(task = name, %text, "a task panicked");
    match policy {
        PanicPolicy::Abort => std::process::abort(),
        PanicPolicy::Propagate => {
            first.lock().get_or_insert(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TokioClock;

    #[tokio::test(start_paused = true)]
    async fn a_group_ends_with_its_children_and_within_its_bound() {
        let clock = TokioClock::starting_at(0);
        let group = TaskGroup::new(PanicPolicy::Propagate);
        let child = group.child();
        let inner = child.spawn("inner", {
            let child = child.clone();
            async move {
                child.cancelled().await;
                3
            }
        });
        let dropped = group.spawn_until_cancelled("dropped", std::future::pending::<()>());
        assert_eq!(group.join(&clock, Duration::from_secs(1)).await, Ok(()));
        assert_eq!((inner.join().await, dropped.join().await), (Some(3), Some(None)));

        let stubborn = TaskGroup::new(PanicPolicy::Propagate);
        stubborn.spawn("stubborn", std::future::pending::<()>());
        assert_eq!(stubborn.join(&clock, Duration::from_secs(1)).await, Err(TimedOut));
    }

    #[tokio::test]
    #[should_panic(expected = "task careless panicked: out of cheese")]
    async fn a_panic_reaches_whoever_joins() {
        let group = TaskGroup::new(PanicPolicy::Propagate);
        let handle = group.spawn("careless", async { panic!("out of cheese") });
        let _: Option<()> = handle.join().await;
        let _ = group.join(&crate::clock::OsClock, Duration::from_secs(5)).await;
    }

    #[test]
    fn a_thread_has_its_name() {
        let group = TaskGroup::new(PanicPolicy::Propagate);
        let thread = group.spawn_thread("log-sync", || std::thread::current().name().map(str::to_owned));
        assert_eq!(thread.join().unwrap().flatten().as_deref(), Some("log-sync"));
    }
}
