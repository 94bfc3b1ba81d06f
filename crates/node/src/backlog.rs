//! The recovery bound: how much log all the logs of this process may have to replay.
//!
//! Every log says how many bytes lie behind its checkpoint. When half of the bound is waiting, the log with
//! the most begins a round of persisting, busy or idle; the other half is for what arrives while rounds run.
//! Appends that would go beyond the bound wait until rounds have made room. If persisting cannot keep up
//! they are let through after a moment, up to twice the bound, and refused from there on; if it fails they are
//! refused after that moment, with the reason.
//!
//! What lies before a checkpoint, but behind the begin of a transaction that is open, is replayed too, and rounds do not
//! free it. When that is more than half of the bound, the log with the most of it rolls its oldest transactions back.
//! Up to there, rounds begin at half of what is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::telemetry::Gauge;
use cinclus_env::{Clock, Telemetry, mutated};
use cinclus_rpc::AppendError;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::failure::Failure;

/// How long an append waits for room below the bound.
const PATIENCE: Duration = Duration::from_secs(2);

/// The backlogs of all logs of a process. Clones are the same.
#[derive(Clone)]
pub struct Backlog {
    shared: Arc<Shared>,
}

struct Shared {
    bound: u64,
    state: Mutex<State>,
    room: watch::Sender<()>,
    gauge: Gauge,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<u64, Log>,
    next: u64,
    /// Bytes of all logs that lie behind their checkpoints.
    total: u64,
    /// Bytes before the checkpoints that open transactions hold.
    held: u64,
    /// Bytes of appends that are under way.
    admitted: u64,
    /// Bytes of appends that wait for room.
    waiting: u64,
}

#[derive(Default)]
struct Log {
    /// Bytes that no round under way covers.
    open: u64,
    /// Bytes that the round under way covers.
    persisting: u64,
    /// Bytes before the checkpoint that open transactions hold.
    held: u64,
    running: bool,
    wanted: bool,
    /// Why the last round failed, if it did: this log tries again by itself.
    failing: Option<Failure>,
    wake: Arc<Notify>,
}

/// The backlog of one log. Dropping it takes its bytes out.
pub struct LogBacklog {
    shared: Arc<Shared>,
    id: u64,
    wake: Arc<Notify>,
}

/// An append that counts until it is dropped; the log counts it then.
pub struct Admitted {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Backlog {
    /// Backlogs that stay below `bound` bytes together.
    #[must_use]
    pub fn new(bound: u64, telemetry: &Telemetry) -> Backlog {
        let help = "Bytes of log that a restart would replay.";
        let gauge = telemetry.gauge("cinclus_recovery_log_bytes", help, &[]);
        let shared =
            Shared { bound: bound.max(1), state: Mutex::default(), room: watch::Sender::new(()), gauge };
        Backlog { shared: Arc::new(shared) }
    }

    /// A log joins, with nothing to replay yet.
    #[must_use]
    pub fn join(&self) -> LogBacklog {
        let mut state = self.shared.state.lock();
        let (id, wake) = (state.next, Arc::<Notify>::default());
        state.next += 1;
        state.logs.insert(id, Log { wake: wake.clone(), ..Log::default() });
        LogBacklog { shared: self.shared.clone(), id, wake }
    }

    /// Bytes of log that a restart would replay.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.state.lock().replayed()
    }

    /// Lets an append of so many bytes in, once there is room.
    ///
    /// # Errors
    /// [`AppendError::Overloaded`] if twice the bound is waiting to be persisted, and
    /// [`AppendError::Unavailable`] if the bound is, and persisting fails; [`AppendError::DiskFull`] if it
    /// fails for want of space.
    pub async fn admit(&self, bytes: u64, clock: &dyn Clock) -> Result<Admitted, AppendError> {
        let shared = &self.shared;
        if let Some(admitted) = shared.admit(bytes) {
            return Ok(admitted);
        }
        let mut room = shared.room.subscribe();
        let _waiting = Waiting::new(shared, bytes);
        let waited = cinclus_env::timeout(clock, PATIENCE, async {
            loop {
                room.borrow_and_update();
                if let Some(admitted) = shared.admit(bytes) {
                    return Ok(admitted);
                }
                if shared.state.lock().replayed() >= shared.bound.saturating_mul(2) {
                    return Err(shared.overloaded());
                }
                // The sender lives as long as `shared`.
                let _ = room.changed().await;
            }
        });
        match waited.await {
            Ok(admitted) => admitted,
            // Persisting is slow, but the bound has some slack for that.
            Err(_) => shared.admit_late(bytes),
        }
    }
}

/// An append that waits.
struct Waiting<'a> {
    shared: &'a Shared,
    bytes: u64,
}

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared, bytes: u64) -> Waiting<'a> {
        let mut state = shared.state.lock();
        state.waiting += bytes;
        shared.pick(&mut state);
        Waiting { shared, bytes }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.state.lock().waiting -= self.bytes;
    }
}

impl State {
    /// Bytes of all logs that would be replayed.
    fn replayed(&self) -> u64 {
        self.total + self.held
    }
}

impl Shared {
    fn admit(self: &Arc<Shared>, bytes: u64) -> Option<Admitted> {
        let mut state = self.state.lock();
        let there = state.replayed() + state.admitted;
        // A single append of any size is let in when nothing else is there.
        (there == 0 || there + bytes <= self.bound).then(|| self.admitted(&mut state, bytes))
    }

    fn admit_late(self: &Arc<Shared>, bytes: u64) -> Result<Admitted, AppendError> {
        let mut state = self.state.lock();
        if let Some(failure) = state.logs.values().find_map(|log| log.failing.as_ref()) {
            let (waiting, bound) = (state.replayed(), self.bound);
            return Err(failure.refuse(&format!(
                "{waiting} bytes of log are not persisted, the recovery bound is {bound}, and persisting fails"
            )));
        }
        let there = state.replayed() + state.admitted;
        if there >= self.bound.saturating_mul(2) {
            drop(state);
            return Err(self.overloaded());
        }
        Ok(self.admitted(&mut state, bytes))
    }

    /// The log of which open transactions hold the most, if they hold too much, and how much less is to be held.
    fn excess(&self, state: &State) -> Option<(u64, u64)> {
        let excess = state.held.checked_sub(self.bound / 2).filter(|excess| *excess > 0)?;
        state.logs.iter().max_by_key(|(_, log)| log.held).map(|(id, _)| (*id, excess))
    }

    /// Has the log that holds too much begin a round, unless it has one: it is told at the end of it. One that is
    /// failing tries again by itself.
    fn pick_holder(&self, state: &mut State, except: u64) {
        if let Some((most, _)) = self.excess(state).filter(|(most, _)| *most != except)
            && let Some(log) = state.logs.get_mut(&most)
            && !(log.wanted || log.running || log.failing.is_some())
        {
            log.wanted = true;
            log.wake.notify_one();
        }
    }

    fn admitted(self: &Arc<Shared>, state: &mut State, bytes: u64) -> Admitted {
        state.admitted += bytes;
        Admitted { shared: self.clone(), bytes }
    }

    fn overloaded(&self) -> AppendError {
        let (waiting, bound) = (self.state.lock().replayed(), self.bound);
        AppendError::Overloaded(format!(
            "{waiting} bytes of log are not persisted, the recovery bound is {bound}"
        ))
    }

    /// Asks for a round of the log with the most, if much is there that no round is asked for, or if the
    /// rounds that are do not make room for the appends that wait.
    fn pick(&self, state: &mut State) {
        self.gauge.set(i64::try_from(state.replayed()).unwrap_or(i64::MAX));
        let asked = |log: &Log| log.persisting + if log.wanted { log.open } else { 0 };
        let asked: u64 = state.logs.values().map(asked).sum();
        let short = (state.replayed() + state.admitted + state.waiting).saturating_sub(self.bound);
        let left = self.bound - state.held.min(self.bound / 2);
        let much = state.total.saturating_sub(asked) >= left / 2;
        if !much && (state.waiting == 0 || asked >= short) {
            return;
        }
        let able = state.logs.values_mut().filter(|log| !log.wanted && !log.running && log.failing.is_none());
        if let Some(most) = able.max_by_key(|log| log.open).filter(|log| log.open > 0) {
            most.wanted = true;
            most.wake.notify_one();
        }
    }
}

impl LogBacklog {
    /// So many bytes more would be replayed.
    pub fn add(&self, bytes: u64) {
        let bytes = if mutated("CountsNoBacklog") { 0 } else { bytes };
        self.change(|log| {
            log.open += bytes;
            (bytes, 0)
        });
    }

    /// A round begins that covers everything so far.
    pub fn begin(&self) {
        self.change(|log| {
            log.persisting += std::mem::take(&mut log.open);
            (log.running, log.wanted) = (true, false);
            (0, 0)
        });
    }

    /// The round ended. If it was committed, a restart reads so many bytes before it again, because transactions are
    /// open since then; if not, its bytes are still to be replayed, and the error says why. The answer is how much of
    /// what its transactions hold this log is to let go.
    #[must_use]
    pub fn ended(&self, committed: Result<u64, Failure>) -> Option<u64> {
        let mut state = self.shared.state.lock();
        let log = state.logs.get_mut(&self.id)?;
        log.running = false;
        let (bytes, done) = (std::mem::take(&mut log.persisting), committed.is_ok());
        match committed {
            Ok(held) => {
                let held = if mutated("CountsNothingHeld") { 0 } else { held };
                log.failing = None;
                let before = std::mem::replace(&mut log.held, held);
                state.total -= bytes;
                state.held = state.held + held - before;
            }
            Err(failure) => {
                log.failing = Some(failure);
                log.open += bytes;
            }
        }
        self.shared.pick_holder(&mut state, self.id);
        self.shared.pick(&mut state);
        let excess = self.shared.excess(&state).filter(|(most, _)| done && *most == self.id);
        drop(state);
        self.shared.room.send_replace(());
        excess.map(|(_, bytes)| bytes)
    }

    /// Whether a round is asked for.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.shared.state.lock().logs.get(&self.id).is_some_and(|log| log.wanted)
    }

    /// Waits until a round is asked for. May wake too often.
    pub async fn wanted(&self) {
        while !self.is_wanted() {
            self.wake.notified().await;
        }
    }

    /// Changes this log's numbers; `edit` answers what comes to the total and what leaves it.
    fn change(&self, edit: impl FnOnce(&mut Log) -> (u64, u64)) {
        let mut state = self.shared.state.lock();
        let Some(log) = state.logs.get_mut(&self.id) else { return };
        let (more, less) = edit(log);
        state.total = state.total + more - less;
        self.shared.pick(&mut state);
    }
}

impl Drop for LogBacklog {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if let Some(log) = state.logs.remove(&self.id) {
            state.total -= log.open + log.persisting;
            state.held -= log.held;
        }
        self.shared.pick(&mut state);
        drop(state);
        self.shared.room.send_replace(());
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.state.lock().admitted -= self.bytes;
        self.shared.room.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use cinclus_env::TokioClock;
    use futures::poll;

    use super::*;

    fn backlog(bound: u64) -> Backlog {
        Backlog::new(bound, &Telemetry::new())
    }

    #[tokio::test]
    async fn the_log_with_the_most_is_asked_for_a_round_even_if_it_is_idle() {
        let backlog = backlog(100);
        let (small, large, other) = (backlog.join(), backlog.join(), backlog.join());
        small.add(10);
        large.add(25);
        let mut wanted = Box::pin(large.wanted());
        assert!(poll!(&mut wanted).is_pending());
        other.add(20);
        assert!(poll!(&mut wanted).is_ready());
        assert!(large.is_wanted() && !small.is_wanted() && !other.is_wanted());
        large.begin();
        other.add(19);
        assert!(!large.is_wanted() && !other.is_wanted(), "49 wait for a round");
        small.add(1);
        assert!(other.is_wanted());
        assert_eq!(large.ended(Ok(0)), None);
        assert_eq!(backlog.bytes(), 50);
        drop(other);
        assert_eq!(backlog.bytes(), 11);
    }

    #[tokio::test]
    async fn what_open_transactions_hold_counts_and_the_log_with_the_most_lets_go() {
        let backlog = backlog(100);
        let (small, large) = (backlog.join(), backlog.join());
        let round = |log: &LogBacklog, held| {
            log.begin();
            log.ended(held)
        };
        large.add(40);
        assert_eq!((round(&large, Ok(40)), backlog.bytes()), (None, 40));
        small.add(10);
        assert_eq!((round(&small, Ok(10)), backlog.bytes()), (None, 50));
        let no_disk = Err(Failure::Other("no disk".to_owned()));
        assert_eq!(round(&large, no_disk), None);
        assert_eq!(round(&small, Ok(20)), None);
        assert!(!large.is_wanted(), "it is failing, and tries again by itself");
        assert_eq!(round(&large, Ok(40)), Some(10));
        assert_eq!(round(&small, Ok(25)), None, "the other one holds the most");
        assert!(large.is_wanted() && !small.is_wanted(), "it is told at the end of its round");
        assert_eq!(round(&large, Ok(40)), Some(15));
        assert_eq!((round(&large, Ok(0)), backlog.bytes()), (None, 25));
        drop(small);
        assert_eq!(backlog.bytes(), 0);
    }

    #[tokio::test]
    async fn the_more_is_held_the_sooner_rounds_begin() {
        let backlog = backlog(100);
        let log = backlog.join();
        log.add(49);
        assert!(!log.is_wanted());
        log.begin();
        assert_eq!(log.ended(Ok(40)), None);
        log.add(29);
        assert!(!log.is_wanted());
        log.add(1);
        assert!(log.is_wanted(), "half of what is left");
        log.begin();
        assert_eq!(log.ended(Ok(1000)), Some(950));
        log.add(24);
        assert!(!log.is_wanted(), "a quarter of the bound at the least");
    }

    #[tokio::test]
    async fn a_failed_round_counts_and_does_not_hold_up_others() {
        let backlog = backlog(100);
        let (broken, healthy) = (backlog.join(), backlog.join());
        broken.add(60);
        assert!(broken.is_wanted());
        broken.begin();
        assert_eq!(broken.ended(Err(Failure::Other("no disk".to_owned()))), None);
        assert_eq!((backlog.bytes(), broken.is_wanted()), (60, false));
        healthy.add(5);
        assert!(healthy.is_wanted());
    }

    #[tokio::test(start_paused = true)]
    async fn appends_wait_at_the_bound_and_are_refused_at_twice_of_it() {
        let (backlog, clock) = (backlog(100), TokioClock::starting_at(0));
        let log = backlog.join();
        log.add(40);
        let first = backlog.admit(50, &clock).await.unwrap();
        let mut second = Box::pin(backlog.admit(20, &clock));
        assert!(poll!(&mut second).is_pending(), "40 are there and 50 are under way");
        assert!(log.is_wanted(), "room has to be made");
        drop(first);
        drop(second.await.unwrap());
        log.begin();
        let (large, _) = tokio::join!(backlog.admit(500, &clock), async { log.ended(Ok(0)) });
        drop(large.unwrap());
        log.add(150);
        let start = clock.monotonic();
        let slow = backlog.admit(1, &clock).await.unwrap();
        assert_eq!(clock.monotonic() - start, PATIENCE);
        drop(slow);
        log.add(60);
        assert!(matches!(backlog.admit(1, &clock).await, Err(AppendError::Overloaded(_))));
        assert_eq!(clock.monotonic() - start, PATIENCE, "at once");
    }
    #[tokio::test(start_paused = true)]
    async fn appends_at_the_bound_are_refused_with_the_reason_while_persisting_fails() {
        let (backlog, clock) = (backlog(100), TokioClock::starting_at(0));
        let log = backlog.join();
        log.add(100);
        log.begin();
        assert_eq!(log.ended(Err(Failure::Other("no disk".to_owned()))), None);
        let start = clock.monotonic();
        let Err(refused) = backlog.admit(1, &clock).await else { panic!("it was let in") };
        let text = "service unavailable: 100 bytes of log are not persisted, the recovery bound is 100, \
                    and persisting fails: no disk";
        assert_eq!((refused.to_string().as_str(), clock.monotonic() - start), (text, PATIENCE));
        log.begin();
        assert_eq!(log.ended(Err(Failure::NoSpace("no space".to_owned()))), None);
        let Err(refused) = backlog.admit(1, &clock).await else { panic!("it was let in") };
        let text = "disk limit exceeded: 100 bytes of log are not persisted, the recovery bound is 100, \
                    and persisting fails: no space";
        assert_eq!((matches!(refused, AppendError::DiskFull(_)), refused.to_string().as_str()), (true, text));
        log.begin();
        let (again, _) = tokio::join!(backlog.admit(1, &clock), async { log.ended(Ok(0)) });
        assert!(again.is_ok(), "there is room again");
    }
}
