//! A bounded pool for work that burns CPU for more than about 200 µs.
//!
//! Writers, leases and calls have threads that no such work enters. Long work is cut into slices of at
//! most a millisecond, each a call of [`Compute::run`], or asks [`Cancelled`] between slices.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

type Job = Box<dyn FnOnce() + Send>;

/// Says whether whoever waited for a piece of work has gone, and lets those go first who do not wait for it.
#[derive(Clone, Debug, Default)]
pub struct Cancelled {
    gone: Arc<AtomicBool>,
    on_pool: bool,
}

impl Cancelled {
    /// Whether nobody wants the result any more.
    #[must_use]
    pub fn get(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Lets a thread run that waits for this core, as those of calls and syncs do under load: the kernel alone would
    /// let the work go on for milliseconds. For work on the pool, every 100 µs or so.
    pub fn give_way(&self) {
        if self.on_pool {
            std::thread::yield_now();
        }
    }
}

struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

/// The pool. Clones share it; its threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Compute {
    threads: usize,
    pool: Option<Arc<Pool>>,
}

struct Pool {
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.state.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

/// How much nicer than the threads of calls and syncs a thread of the pool is: under load it gets a third
/// of their share of a core, and they preempt it when they wake.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Lets the threads of writers and calls go before this one, so that an insert does not wait for searches.
fn yield_to_calls() {
    // Linux gives each thread a priority of its own; elsewhere this would slow down the process.
    #[cfg(target_os = "linux")]
    if let Ok(own) = rustix::process::getpriority_process(None) {
        // To be nicer is always allowed; if a sandbox forbids it, nothing but order is lost.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), own + NICENESS);
    }
}

impl Compute {
    /// Jobs that may wait for each thread; more wait at [`Compute::run`] itself.
    pub const QUEUE_PER_THREAD: usize = 64;

    /// A pool of that many threads, at least one.
    ///
    /// # Panics
    /// If the operating system has no thread to give.
    #[must_use]
    pub fn threads(count: usize) -> Compute {
        let count = count.max(1);
        let queue = Arc::<Queue>::default();
        for index in 0..count {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("compute-{index}"))
                .spawn(move || {
                    yield_to_calls();
                    queue.work();
                })
                .expect("the operating system gives a thread");
        }
        let room = Arc::new(Semaphore::new(count * Self::QUEUE_PER_THREAD));
        Compute { threads: count, pool: Some(Arc::new(Pool { queue, room })) }
    }

    /// As many threads as the machine has cores.
    #[must_use]
    pub fn per_core() -> Compute {
        Compute::threads(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }

    /// No threads: work runs where it is awaited, so that a test is one thread and repeatable.
    #[must_use]
    pub fn inline() -> Compute {
        Compute { threads: 1, pool: None }
    }

    /// How many pieces of work can run at once.
    #[must_use]
    pub fn parallelism(&self) -> usize {
        self.threads
    }

    /// Runs `work` on the pool. If the returned future is dropped before the work has started, the work
    /// never starts.
    ///
    /// # Panics
    /// With the panic of the work.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        self.run_cancellable(move |_| work())
    }

    /// As [`Compute::run`], for work in slices that looks at [`Cancelled`] between them.
    ///
    /// # Panics
    /// With the panic of the work.
    pub fn run_cancellable<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cancelled) -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        let pool = self.pool.clone();
        async move {
            let cancelled = Cancelled { gone: Arc::default(), on_pool: pool.is_some() };
            let Some(pool) = pool else { return work(&cancelled) };
            let _guard = CancelOnDrop(cancelled.clone());
            let permit = pool.room.clone().acquire_owned().await.expect("the semaphore is never closed");
            let (send, receive) = oneshot::channel();
            pool.queue.push(Box::new(move || {
                let _permit = permit;
                if !cancelled.get() {
                    let caught = std::panic::AssertUnwindSafe(|| work(&cancelled));
                    let _ = send.send(std::panic::catch_unwind(caught));
                }
            }));
            match receive.await.expect("a job that is waited for is run") {
                Ok(output) => output,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    }
}

impl Queue {
    fn push(&self, job: Job) {
        self.state.lock().jobs.push_back(job);
        self.changed.notify_one();
    }

    fn work(&self) {
        loop {
            let job = {
                let mut state = self.state.lock();
                loop {
                    if let Some(job) = state.jobs.pop_front() {
                        break job;
                    }
                    if state.closed {
                        return;
                    }
                    self.changed.wait(&mut state);
                }
            };
            job();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_the_pool_and_inline() {
        let name = || std::thread::current().name().unwrap_or_default().to_owned();
        assert!(Compute::threads(2).run(name).await.starts_with("compute-"));
        assert_eq!(Compute::inline().run(|| 5).await, 5);
    }

    #[tokio::test]
    async fn dropped_work_never_starts_and_running_work_is_told() {
        let compute = Compute::threads(1);
        let (started_send, started) = oneshot::channel();
        let (seen_send, seen) = oneshot::channel();
        let mut running = Box::pin(compute.run_cancellable(move |cancelled| {
            let _ = started_send.send(());
            while !cancelled.get() {
                std::hint::spin_loop();
            }
            let _ = seen_send.send(());
        }));
        assert!(futures::poll!(&mut running).is_pending());
        started.await.unwrap();
        let ran = Arc::new(AtomicBool::new(false));
        let mut waiting = Box::pin(compute.run({
            let ran = ran.clone();
            move || ran.store(true, Ordering::SeqCst)
        }));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        drop(running);
        seen.await.unwrap();
        compute.run(|| ()).await;
        assert!(!ran.load(Ordering::SeqCst));
    }

    #[tokio::test]
    #[should_panic(expected = "no such row")]
    async fn a_panic_of_the_work_reaches_its_caller() {
        Compute::threads(1).run(|| panic!("no such row")).await
    }
}
