//! Ticks only grow, whatever the clock and the store do, and hardly ever wait.

use std::sync::Arc;
use std::time::Duration;

use cinclus_coord::tso::Tso;
use cinclus_coord::{CoordConfig, keys};
use cinclus_env::{Env, ManualClock, PanicPolicy, TaskGroup};
use cinclus_meta::{DynMetaStore, MemoryMetaStore, Txn};
use cinclus_types::{Advice, Tick, TickRange};
use futures::FutureExt;
use proptest::prelude::*;

use crate::faults::{Fault, Faults, FaultyStore};

const START_MS: u64 = 1_000_000;

/// A store and a clock, over which oracles come and go.
struct Bench {
    clock: ManualClock,
    faults: Faults,
    durable: DynMetaStore,
    config: CoordConfig,
    _env: Env,
}

/// An oracle and the tasks of its process.
struct Running {
    tso: Tso,
    tasks: TaskGroup,
}

impl Bench {
    fn new() -> Bench {
        let (env, clock) = (Env::test(1), ManualClock::starting_at(START_MS));
        let settings = cinclus_meta::Config::default();
        let durable = Arc::new(MemoryMetaStore::new(&settings, Arc::new(clock.clone()), &env.tasks));
        Bench { clock, faults: Faults::new(), durable, config: CoordConfig::default(), _env: env }
    }

    /// Starts an oracle; a start that the store refuses is tried again.
    async fn start(&self) -> Running {
        loop {
            let inner = self.durable.clone();
            let meta: DynMetaStore = Arc::new(FaultyStore { inner, faults: self.faults.clone() });
            let tasks = TaskGroup::new(PanicPolicy::Propagate);
            let started = Tso::start(meta, Arc::new(self.clock.clone()), &tasks, &self.config);
            match self.in_time(started).await {
                Ok(tso) => return Running { tso, tasks },
                Err(error) => assert_eq!(error.advice(), Advice::Retry, "{error}"),
            }
        }
    }

    /// Lets time pass until something is done.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = Box::pin(work);
        for _ in 0..10_000 {
            if let Some(done) = (&mut work).now_or_never() {
                return done;
            }
            tokio::task::yield_now().await;
            self.clock.advance(Duration::from_millis(1));
        }
        panic!("it never ends");
    }

    async fn grant(&self, running: &Running, count: u32) -> TickRange {
        self.in_time(running.tso.grant(count)).await.unwrap()
    }

    /// Lets the background do what it does.
    async fn background(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    async fn bound(&self) -> Tick {
        let entry = self.durable.get(keys::TSO).await.unwrap().unwrap();
        Tick(std::str::from_utf8(&entry.value).unwrap().parse().unwrap())
    }

    fn commits(&self) -> usize {
        self.faults.log().iter().filter(|line| line.starts_with("commit")).count()
    }
}

impl Running {
    async fn crash(self) {
        self.tasks.cancel();
        drop(self.tso);
        tokio::task::yield_now().await;
    }
}

#[derive(Clone, Debug)]
enum Event {
    Grant(u32),
    /// Everything that is left below the bound.
    GrantAll,
    Advance(u64),
    SetClock(u64),
    Background,
    Crash,
    Fail(usize, Fault),
}

fn events() -> impl Strategy<Value = Event> {
    let faults = [Fault::LostBefore, Fault::LostAfter, Fault::Refused];
    prop_oneof![
        4 => (1_u32..2_000).prop_map(Event::Grant),
        1 => prop_oneof![Just(1_u32 << 28), Just(u32::MAX)].prop_map(Event::Grant),
        1 => Just(Event::GrantAll),
        2 => (0_u64..10_000).prop_map(Event::Advance),
        1 => (0_u64..10_000_000).prop_map(Event::SetClock),
        2 => Just(Event::Background),
        1 => Just(Event::Crash),
        1 => (0_usize..3, proptest::sample::select(faults.to_vec())).prop_map(|(skip, fault)| Event::Fail(skip, fault)),
    ]
}

async fn run(events: Vec<Event>) {
    let bench = Bench::new();
    let mut running = bench.start().await;
    let mut greatest = Tick::ZERO;
    for event in events {
        let left = u32::try_from(bench.bound().await.0 - 1 - greatest.0).unwrap_or(1);
        match event {
            Event::GrantAll | Event::Grant(_) => {
                let count = if let Event::Grant(count) = event { count } else { left.max(1) };
                let range = bench.grant(&running, count).await;
                assert!(range.first > greatest, "{range:?} after {greatest}");
                assert_eq!(range.count, count);
                greatest = range.last();
                // A crash at this very moment gives none of them again.
                assert!(bench.bound().await > greatest);
            }
            Event::Advance(ms) => bench.clock.advance(Duration::from_millis(ms)),
            Event::SetClock(ms) => bench.clock.set_unix_ms(ms),
            Event::Background => bench.background().await,
            Event::Crash => {
                running.crash().await;
                running = bench.start().await;
            }
            Event::Fail(skip, fault) => bench.faults.arm(skip, fault),
        }
    }
    running.crash().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ticks_only_grow(events in proptest::collection::vec(events(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(events));
    }
}

#[tokio::test]
async fn an_idle_oracle_writes_nothing() {
    let bench = Bench::new();
    let running = bench.start().await;
    bench.grant(&running, 1).await;
    bench.background().await;
    let before = bench.commits();
    for _ in 0..1_000 {
        bench.clock.advance(Duration::from_secs(1));
        bench.background().await;
    }
    assert_eq!(bench.commits(), before);
    // The first grant afterwards wakes it, once.
    bench.grant(&running, 1).await;
    bench.background().await;
    assert_eq!(bench.commits(), before + 1);
    running.crash().await;
}

#[tokio::test]
async fn a_busy_oracle_writes_about_once_in_half_a_window() {
    let bench = Bench::new();
    let running = bench.start().await;
    for _ in 0..3_000 {
        running.tso.grant(10).now_or_never().expect("no wait").unwrap();
        bench.clock.advance(Duration::from_millis(10));
        bench.background().await;
    }
    // 30 s with a window of half a second.
    assert!((110..=125).contains(&bench.commits()), "{}", bench.commits());
    running.crash().await;
}

#[tokio::test]
async fn a_grant_never_waits_while_a_bound_is_left() {
    let bench = Bench::new();
    let running = bench.start().await;
    // The store never answers again.
    bench.faults.arm(0, Fault::CrashBefore);
    bench.clock.advance(Duration::from_secs(3600));
    let mut last = Tick::ZERO;
    let window = 500_u32 << Tick::LOGICAL_BITS;
    for _ in 0..10 {
        let range = running.tso.grant(window / 10).now_or_never().expect("no wait").unwrap();
        bench.background().await;
        assert!(range.first > last);
        last = range.last();
    }
    assert!(bench.faults.is_crashed());
    assert!(running.tso.grant(1).now_or_never().is_none(), "the bound is used up");
    running.crash().await;
}

#[tokio::test]
async fn ticks_follow_the_clock_when_the_bound_does() {
    let bench = Bench::new();
    let running = bench.start().await;
    bench.clock.advance(Duration::from_secs(3600));
    bench.grant(&running, 1).await;
    bench.background().await;
    assert_eq!(bench.grant(&running, 1).await.first, Tick::from_unix_ms(START_MS + 3_600_000));
    running.crash().await;
}

#[tokio::test]
async fn a_grant_larger_than_the_window_is_given() {
    let bench = Bench::new();
    let running = bench.start().await;
    let first = bench.grant(&running, u32::MAX).await;
    let second = bench.grant(&running, u32::MAX).await;
    assert!(second.first > first.last());
    running.crash().await;
}

#[tokio::test]
async fn a_grant_that_is_dropped_takes_nothing() {
    let bench = Bench::new();
    let running = bench.start().await;
    let before = bench.grant(&running, 1).await.last();
    assert!(running.tso.grant(u32::MAX).now_or_never().is_none());
    assert_eq!(running.tso.grant(1).now_or_never().unwrap().unwrap().first, before.next());
    running.crash().await;
}

#[tokio::test]
async fn two_oracles_on_one_store_give_no_tick_twice_and_one_stops() {
    let bench = Bench::new();
    let first = bench.start().await;
    let a = bench.grant(&first, 10).await;
    let second = bench.start().await;
    let b = bench.grant(&second, 10).await;
    assert!(b.first > a.last());
    // What is left below its own bound is still the first one's.
    let c = bench.grant(&first, 10).await;
    assert!(c.first > a.last() && c.last() < b.first);
    let refused = bench.in_time(first.tso.grant(u32::MAX)).await.unwrap_err().to_string();
    assert!(refused.contains("another coordinator is at work"), "{refused}");
    bench.grant(&second, u32::MAX).await;
    first.crash().await;
    second.crash().await;
}

#[tokio::test]
async fn who_waits_for_ticks_hears_of_the_shutdown() {
    let bench = Bench::new();
    let running = bench.start().await;
    bench.faults.arm(0, Fault::CrashBefore);
    let waiting = running.tso.clone();
    let mut grant = Box::pin(waiting.grant(u32::MAX));
    assert!((&mut grant).now_or_never().is_none());
    bench.background().await;
    running.crash().await;
    let refused = bench.in_time(grant).await.unwrap_err().to_string();
    assert!(refused.contains("shutting down"), "{refused}");
}

#[tokio::test]
async fn who_waits_for_ticks_hears_of_a_bound_that_cannot_be_raised_until_it_can() {
    let bench = Bench::new();
    let running = bench.start().await;
    let waiting = running.tso.clone();
    let mut grant = Box::pin(waiting.grant(u32::MAX));
    let mut waited = Duration::ZERO;
    let refused = loop {
        bench.faults.arm(0, Fault::Refused);
        if let Some(answer) = (&mut grant).now_or_never() {
            break answer.unwrap_err().to_string();
        }
        assert!(waited < Duration::from_secs(3), "nobody is told");
        bench.background().await;
        bench.clock.advance(Duration::from_millis(1));
        waited += Duration::from_millis(1);
    };
    assert!(refused.contains("no timestamps are given: "), "{refused}");
    assert!(waited > Duration::from_secs(1), "a short failure is waited out");
    bench.faults.disarm();
    bench.clock.advance(Duration::from_secs(1));
    bench.background().await;
    bench.grant(&running, u32::MAX).await;
    running.crash().await;
}

#[tokio::test]
async fn a_bound_that_is_no_number_is_refused_by_name() {
    let bench = Bench::new();
    bench.durable.commit(Txn::new().put(keys::TSO, "soon")).await.unwrap();
    let tasks = TaskGroup::new(PanicPolicy::Propagate);
    let started = Tso::start(bench.durable.clone(), Arc::new(bench.clock.clone()), &tasks, &bench.config);
    let error = started.await.err().unwrap().to_string();
    assert_eq!(error, "the record coord/tso cannot be read: it is not a number");
}
