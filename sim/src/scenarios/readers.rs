//! One log, its owners, and its readers: transactions of several calls, readers that resume, fall behind, and
//! follow the log from owner to owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use cinclus_catalog::Segments;
use cinclus_env::{DynClock, Env, LocalTicks, Random, TokioClock, timeout};
use cinclus_log_storage::{DynLogStorage, FaultPlan, FaultyLogStorage};
use cinclus_rpc::{AppendError, Appended};
use cinclus_types::message::Draft;
use cinclus_types::{Advice, PChannel, Term, Tick};
use cinclus_wal::{Feed, OwnershipProof, ScanFilter, ScanFrom, Wal, WalConfig, WalParts};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::cluster::log_storage;
use crate::checkers::Finding;
use crate::checkers::readers::Read;
use crate::history::{By, Change, Outcome, Wish};
use crate::scene::Scene;
use crate::shard::Shard;
use crate::stores::observed::ObservedLog;
use crate::world::{World, runtime};

/// How long trouble goes on at most, and how long the end may take.
const TROUBLE: Duration = Duration::from_secs(60);
const READERS: u64 = 3;
/// How long nobody writes before the log moves, now and then.
const QUIET: Duration = Duration::from_millis(400);

/// What everybody here works with.
struct Log<'a> {
    world: &'a World,
    scene: Scene,
    env: Env,
    parts: WalParts,
    faulty: Arc<FaultyLogStorage>,
    channel: PChannel,
    shards: Vec<Shard>,
    owner: watch::Sender<Option<Wal>>,
    /// The one before, which need not know that it is not the owner any more.
    before: Mutex<Option<Wal>>,
    /// Nobody writes.
    quiet: AtomicBool,
}

/// One life of one log.
pub(crate) fn run(world: &World) {
    runtime(world.random.fork("runtime").seed()).block_on(async {
        let clock: DynClock = Arc::new(TokioClock::starting_at(Env::TEST_UNIX_MS));
        let seen = (world.trace.clone(), world.tally.clone());
        let scene = Scene::new(clock.clone(), world.random.fork("scene"), seen, None);
        if let Err(error) = live(world, &scene).await {
            world.find(Finding::new("convergence", format!("{error:#}")));
        }
        world.tally.add("simulated ms", clock.monotonic().as_millis() as u64);
        world.tally.count("lives");
    });
}

async fn live(world: &World, scene: &Scene) -> Result<()> {
    let env = Env { disk: Arc::new(world.disk.clone()), clock: scene.clock.clone(), ..Env::test(world.seed) };
    let logs = log_storage(world, &env).await?;
    let observed = ObservedLog::of(world, scene, &logs, env.tasks.clone());
    let faulty = Arc::new(FaultyLogStorage::new(Arc::new(observed), &env));
    let storage: DynLogStorage = faulty.clone();
    let segments = Segments::open(world.meta.clone(), &env).await?;
    let ticks = Arc::new(LocalTicks::new(scene.clock.clone()));
    let channel = PChannel::numbered("log", 0);
    let log = Log {
        world,
        scene: scene.clone(),
        parts: WalParts { storage, segments, ticks, env: env.clone() },
        env,
        faulty,
        shards: (1..3).map(|collection| Shard::alone(&channel, collection)).collect(),
        channel,
        owner: watch::Sender::new(None),
        before: Mutex::default(),
        quiet: AtomicBool::new(false),
    };
    let first = log.own(Term(1)).await.context("before anything went wrong")?;
    for shard in &log.shards {
        first.append(vec![shard.creation()]).await.context("a collection is not created")?;
    }
    let mut reads: Vec<Read> = (0..READERS).map(|number| Read { number, ..Read::default() }).collect();
    let works = (0..1 + world.plan.actors).map(|number| log.write(number));
    let mut term = Term(1);
    tokio::select! {
        biased;
        _ = join_all(works) => {}
        () = log.trouble(&mut term) => {}
        () = log.ask_for_ticks() => {}
        _ = join_all(reads.iter_mut().map(|read| log.read(read, Tick::MAX))) => {}
        () = scene.clock.sleep(TROUBLE) => {}
    }
    log.faulty.set_plan(FaultPlan::default());
    let last = timeout(&*scene.clock, TROUBLE, log.own(Term(term.0 + 1))).await??;
    let upto = last.store_time_tick().await.context("after everything is well again")?;
    let rest = join_all(reads.iter_mut().map(|read| log.read(read, upto)));
    timeout(&*scene.clock, TROUBLE, rest).await.context("readers do not come to the end")?;
    log.env.tasks.check();
    world.archive.read(&logs, &log.channel).await?;
    world.reads.lock().extend(reads);
    Ok(())
}

impl Log<'_> {
    /// Opens the log; it has a new owner then.
    async fn own(&self, term: Term) -> Result<Wal> {
        let proof = OwnershipProof::TimeTick;
        let config = WalConfig { proof, ..self.world.plan.node.wal.clone() };
        let (wal, feed) = cinclus_wal::open(self.parts.clone(), config, self.channel.clone(), term).await?;
        self.env.tasks.spawn("feed", drain(feed));
        wal.ready().await?;
        self.scene.note(format_args!("the log is open under {term}"));
        let before = self.owner.send_replace(Some(wal.clone()));
        *self.before.lock() = before;
        Ok(wal)
    }

    /// Fails the storage, and moves the log, for ever.
    async fn trouble(&self, term: &mut Term) {
        let random = self.world.random.fork("trouble");
        loop {
            self.scene.clock.sleep(Duration::from_millis(1 + random.range(0..800))).await;
            let chance = |most: u64| {
                if random.range(0..2) == 0 { 0.0 } else { random.range(0..most) as f64 / 1_000.0 }
            };
            match random.range(0..5) {
                0 | 1 => {
                    self.world.tally.count("fault log storage fails");
                    self.faulty.set_plan(FaultPlan {
                        append_before: chance(100),
                        append_after: chance(100),
                        open_before: chance(300),
                        open_after: chance(300),
                        read: chance(100),
                        truncate_after: 0.0,
                        ack_delay_max: Duration::from_millis(random.range(0..2) * random.range(0..100)),
                    });
                }
                2 => self.faulty.set_plan(FaultPlan::default()),
                _ => {
                    term.0 += 1;
                    // Nothing tells an owner that stores nothing of its successor.
                    let quiet = random.range(0..2) == 0;
                    self.quiet.store(quiet, Ordering::Relaxed);
                    if quiet {
                        self.scene.clock.sleep(QUIET).await;
                    }
                    let before = self.owner.borrow().clone();
                    if let Some(before) = before.filter(|_| random.range(0..3) == 0) {
                        before.close().await;
                    } else {
                        self.world.tally.count("fault two owners");
                    }
                    // One that does not open leaves the log to the one before, or to the next.
                    let _ = self.own(*term).await;
                    self.quiet.store(false, Ordering::Relaxed);
                }
            }
        }
    }

    /// Asks this owner and the one before for the tick of the moment, as reads do, for ever; often when they change.
    async fn ask_for_ticks(&self) {
        let random = self.world.random.fork("ticks");
        let mut changes = self.owner.subscribe();
        loop {
            let clock = &*self.scene.clock;
            // It is as good when nothing changes.
            let _ = timeout(clock, Duration::from_millis(random.range(0..400)), changes.changed()).await;
            clock.sleep(Duration::from_millis(random.range(0..150))).await;
            let before = self.before.lock().clone();
            let Some(wal) = before.filter(|_| random.range(0..2) == 0).or_else(|| self.wal()) else {
                continue;
            };
            let now = Tick::from_unix_ms(self.scene.clock.unix_ms());
            // One that is not the owner any more says so.
            let ticked = timeout(&*self.scene.clock, Duration::from_secs(1), wal.tick_at_least(now)).await;
            if let Ok(Ok(_)) = ticked {
                self.world.tally.count("ticks asked for");
            }
        }
    }

    fn wal(&self) -> Option<Wal> {
        self.owner.borrow().clone()
    }

    /// Writes, one thing after another.
    async fn write(&self, number: u64) {
        let random = self.world.random.fork(&format!("writer {number}"));
        for _ in 0..self.world.plan.operations * 2 {
            self.scene.clock.sleep(Duration::from_millis(random.range(0..120))).await;
            let shard = &self.shards[random.range(0..2) as usize];
            let quiet = self.quiet.load(Ordering::Relaxed);
            let Some(wal) = self.wal().filter(|_| !quiet) else { continue };
            let flush = random.range(0..12) == 0;
            let count = if flush { 1 } else { 1 + random.range(0..3) };
            let several_calls = !flush && random.range(0..2) == 0;
            let (operation, wish) = self.world.history.begin(number, |operation| {
                let rows = |at: u64| vec![((operation * 8 + at) as i64, operation as i64)];
                let partition = shard.partitions()[0];
                let insert = |at| Change::Insert { partition, rows: rows(at) };
                Wish::Append {
                    vchannel: shard.vchannel.clone(),
                    changes: if flush { vec![Change::Flush] } else { (0..count).map(insert).collect() },
                    key: None,
                    by: By::Call,
                }
            });
            let Wish::Append { changes, .. } = wish else { continue };
            let batch: Vec<Draft> = changes.iter().map(|change| shard.draft(change, operation)).collect();
            let outcome = if several_calls {
                self.transaction(&wal, shard, batch, &random).await
            } else {
                outcome(wal.append(batch).await)
            };
            self.world.history.end(operation, outcome);
        }
    }

    /// A transaction of several calls, which may be given up at any of them.
    async fn transaction(&self, wal: &Wal, shard: &Shard, batch: Vec<Draft>, random: &Random) -> Outcome {
        let never = |error: AppendError| Outcome::Refused(format!("never committed: {error}"));
        let txn = match wal.begin_txn(&shard.vchannel, Some(Duration::from_secs(2))).await {
            Ok(txn) => txn,
            Err(error) => return never(error),
        };
        let mut ids = Vec::new();
        for draft in batch {
            self.scene.clock.sleep(Duration::from_millis(random.range(0..60))).await;
            match wal.append_in_txn(txn, vec![draft]).await {
                Ok(appended) => ids.extend(appended.ids),
                Err(error) => return never(error),
            }
        }
        if random.range(0..6) == 0 {
            // Whether it is known or not, it must never take effect.
            let _ = wal.rollback_txn(&shard.vchannel, txn).await;
            return Outcome::Refused("rolled back".to_owned());
        }
        match wal.commit_txn(&shard.vchannel, txn).await {
            Ok(appended) => Outcome::Appended(Appended { ids, ..appended }),
            Err(error) => outcome(Err(error)),
        }
    }

    /// Reads on from where it was until it was told `upto`; drops its scanner now and then.
    async fn read(&self, read: &mut Read, upto: Tick) {
        let random = self.world.random.fork(&format!("reader {} from {:?}", read.number, read.checkpoint));
        while read.told() < upto {
            let Some(wal) = self.wal() else { return };
            let from = read.checkpoint.map_or(ScanFrom::Earliest, ScanFrom::Checkpoint);
            let mut scanner = wal.scan(from, ScanFilter::default());
            for _ in 0..1 + random.range(0..60) {
                if read.told() >= upto {
                    return;
                }
                // Slow only as long as there is no end to come to.
                if upto == Tick::MAX && random.range(0..8) == 0 {
                    self.scene.clock.sleep(Duration::from_millis(random.range(0..1_500))).await;
                }
                // Without news for long the log may have moved.
                let next = timeout(&*self.scene.clock, Duration::from_secs(1), scanner.next()).await;
                let Ok(Ok(delivery)) = next else { break };
                read.take(&delivery);
                self.scene.note(format_args!("reader {} has {}", read.number, delivery.tick));
            }
            self.scene.clock.sleep(Duration::from_millis(1 + random.range(0..50))).await;
        }
    }
}

fn outcome(appended: Result<Appended, AppendError>) -> Outcome {
    match appended {
        Ok(appended) => Outcome::Appended(appended),
        Err(error) if error.advice() == Advice::Unknown => Outcome::Unknown(error.to_string()),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

/// What the node's pump would take.
async fn drain(mut feed: Feed) {
    while feed.next().await.is_ok() {}
}
