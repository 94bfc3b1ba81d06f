//! A request that comes again gets the ticks that it got first, whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use cinclus_coord::requests::Requests;
use cinclus_coord::tso::Tso;
use cinclus_coord::{CoordConfig, keys};
use cinclus_env::Env;
use cinclus_meta::{DynMetaStore, MemoryMetaStore};
use cinclus_types::{Advice, TickRange};
use futures::future::join_all;

use crate::faults::{Fault, Faults, FaultyStore};

const AGE_MAX: Duration = Duration::from_secs(600);

/// A store that outlives the processes on it.
struct Bench {
    env: Env,
    faults: Faults,
    durable: DynMetaStore,
}

impl Bench {
    fn new() -> Bench {
        let (env, settings) = (Env::test(1), cinclus_meta::Config::default());
        let durable = MemoryMetaStore::new(&settings, env.clock.clone(), &env.tasks);
        Bench { env, faults: Faults::new(), durable: Arc::new(durable) }
    }

    async fn start(&self) -> Requests {
        let config = CoordConfig::default();
        let tso = Tso::start(self.durable.clone(), self.env.clock.clone(), &self.env.tasks, &config).await;
        let meta = Arc::new(FaultyStore { inner: self.durable.clone(), faults: self.faults.clone() });
        Requests::open(meta, tso.unwrap(), self.env.clock.clone(), AGE_MAX).await.unwrap()
    }

    async fn stored(&self) -> usize {
        self.durable.scan(keys::REQUESTS).await.unwrap().1.len()
    }
}

fn disjoint(a: TickRange, b: TickRange) -> bool {
    a.last() < b.first || b.last() < a.first
}

#[tokio::test(start_paused = true)]
async fn a_name_has_its_ticks_over_restarts() {
    let bench = Bench::new();
    let first = bench.start().await;
    let (a, b) = (first.ticks("a", 10).await.unwrap(), first.ticks("b", 5).await.unwrap());
    assert!(disjoint(a, b) && a.count == 10 && b.count == 5);
    assert_eq!((first.ticks("a", 10).await, first.ticks("b", 5).await), (Ok(a), Ok(b)));
    let second = bench.start().await;
    assert_eq!((second.ticks("a", 10).await, second.ticks("b", 5).await), (Ok(a), Ok(b)));
    let c = second.ticks("c", 3).await.unwrap();
    assert!(disjoint(c, a) && disjoint(c, b));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_ask_at_once_all_get_the_same() {
    let bench = Bench::new();
    let requests = bench.start().await;
    let all = join_all((0..20).map(|_| requests.ticks("a", 7))).await;
    assert!(all.iter().all(|range| *range == all[0] && range.is_ok()), "{all:?}");
    assert_eq!(bench.stored().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_one_truth() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::Refused, Fault::Late] {
        for skip in 0..4 {
            let bench = Bench::new();
            let requests = bench.start().await;
            bench.faults.arm(skip, fault);
            let given = requests.ticks("a", 10).await;
            bench.faults.disarm();
            bench.faults.deliver_late(&bench.durable).await;
            let again = bench.start().await.ticks("a", 10).await.unwrap();
            match given {
                Ok(given) => assert_eq!(given, again, "{fault:?} {skip}"),
                Err(error) => assert_eq!(error.advice(), Advice::Retry, "{fault:?} {skip}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn old_names_leave_when_new_ones_come() {
    let bench = Bench::new();
    let requests = bench.start().await;
    for n in 0..100 {
        requests.ticks(&format!("old-{n}"), 1).await.unwrap();
    }
    let kept = requests.ticks("old-50", 1).await.unwrap();
    tokio::time::sleep(AGE_MAX / 2).await;
    requests.ticks("young", 1).await.unwrap();
    assert_eq!(bench.stored().await, 101, "nothing is old enough");
    assert_eq!(requests.ticks("old-50", 1).await.unwrap(), kept);
    tokio::time::sleep(AGE_MAX / 2 + Duration::from_secs(1)).await;
    // A process that read them forgets them as the one that stored them does.
    let restarted = bench.start().await;
    for n in 0..13 {
        restarted.ticks(&format!("new-{n}"), 1).await.unwrap();
    }
    assert_eq!(bench.stored().await, 14, "the new ones and the young one");
    assert!(disjoint(restarted.ticks("old-50", 1).await.unwrap(), kept));
}
