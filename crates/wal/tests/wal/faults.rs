//! Random work on a storage that fails, with owners that change: what was promised holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{Env, Random};
use cinclus_log_storage::FaultPlan;
use cinclus_rpc::{AppendError, Appended};
use cinclus_types::message::{Kind, Message};
use cinclus_types::{Advice, Tick, VChannel};
use cinclus_wal::shard::{Effect, ShardState};
use cinclus_wal::{
    BufferBudget, Delivery, DeliveryKind, OwnershipProof, ScanFilter, ScanFrom, Wal, WalConfig,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::common::*;

const CLIENTS: u64 = 4;
const OPERATIONS: u64 = 40;

/// What became of one request: its rows share a fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stored(Tick),
    Refused,
    Unknown,
}

/// What a run leaves behind.
pub(crate) struct Run {
    pub(crate) fates: BTreeMap<Vec<String>, Fate>,
    pub(crate) log: Vec<Message>,
    /// What a reader got that went from owner to owner.
    delivered: Vec<Delivery>,
    recovered: ShardState,
}

fn config() -> WalConfig {
    WalConfig {
        proof: OwnershipProof::TimeTick,
        buffer: BufferBudget::new(3_000),
        segment_rows_max: 9,
        txn_keepalive_default: Duration::from_millis(50),
        ..WalConfig::default()
    }
}

fn plan() -> FaultPlan {
    FaultPlan {
        append_before: 0.02,
        append_after: 0.02,
        open_before: 0.2,
        open_after: 0.1,
        read: 0.02,
        truncate_after: 0.2,
        ack_delay_max: Duration::from_millis(4),
    }
}

fn fate(outcome: Result<Appended, AppendError>) -> Fate {
    match outcome {
        Ok(appended) => Fate::Stored(appended.tick),
        Err(error) if error.advice() == Advice::Unknown => Fate::Unknown,
        Err(_) => Fate::Refused,
    }
}

/// A producer: plain inserts, upserts, transactions over several requests, ticks.
async fn client(
    env: Env,
    number: u64,
    owner: watch::Receiver<Wal>,
    shards: Vec<(VChannel, i64)>,
    fates: Arc<Mutex<BTreeMap<Vec<String>, Fate>>>,
) {
    let random = env.random.fork(&format!("client {number}"));
    for at in 0..OPERATIONS {
        let wal = owner.borrow().clone();
        let (shard, collection) = &shards[random.range(0..shards.len() as u64) as usize];
        let name = |part: &str| format!("c{number} {at} {part}");
        match random.range(0..11) {
            0..4 => {
                let fate = fate(wal.append(vec![insert(shard, *collection, &name("plain"))]).await);
                fates.lock().insert(vec![name("plain")], fate);
            }
            4..7 => {
                let drafts =
                    vec![delete(shard, *collection, &name("old")), insert(shard, *collection, &name("new"))];
                let fate = fate(wal.append(drafts).await);
                fates.lock().insert(vec![name("old"), name("new")], fate);
            }
            7..9 => {
                let rows = vec![name("first"), name("second")];
                let fate = long_txn(&env, &wal, (shard, *collection), &rows, random.range(0..3)).await;
                fates.lock().insert(rows, fate);
            }
            9 => {
                let tick = until_stored(&env, &owner, (shard, *collection), &name("insisted")).await;
                fates.lock().insert(vec![name("insisted")], Fate::Stored(tick));
            }
            _ => {
                let now = Tick::from_unix_ms(env.clock.unix_ms());
                if let Ok(tick) = wal.tick_at_least(now).await {
                    assert!(tick >= now);
                }
                let _ = wal.store_time_tick().await;
            }
        }
        env.clock.sleep(Duration::from_micros(random.range(0..9_000))).await;
    }
}

/// Sends a row under a key until it is acknowledged, by whoever owns the log then.
async fn until_stored(env: &Env, owner: &watch::Receiver<Wal>, at: (&VChannel, i64), row: &str) -> Tick {
    loop {
        let wal = owner.borrow().clone();
        match wal.append(vec![keyed(insert(at.0, at.1, row), row)]).await {
            Ok(appended) => return appended.tick,
            Err(_) => env.clock.sleep(Duration::from_millis(2)).await,
        }
    }
}

async fn long_txn(env: &Env, wal: &Wal, at: (&VChannel, i64), rows: &[String], end: u64) -> Fate {
    let (shard, collection) = at;
    let Ok(txn) = wal.begin_txn(shard, None).await else { return Fate::Refused };
    for row in rows {
        if wal.append_in_txn(txn, vec![insert(shard, collection, row)]).await.is_err() {
            // Without a commit it never becomes visible.
            return Fate::Refused;
        }
        env.clock.sleep(Duration::from_millis(3)).await;
    }
    match end {
        0 => {
            let _ = wal.rollback_txn(shard, txn).await;
            Fate::Refused
        }
        1 => Fate::Refused,
        _ => fate(wal.commit_txn(shard, txn).await),
    }
}

async fn until_open(world: &World, term: i64) -> (Wal, Pump) {
    loop {
        let opened =
            cinclus_wal::open(world.parts(), config(), world.channel.clone(), cinclus_types::Term(term))
                .await;
        match opened {
            Ok((wal, feed)) => return (wal, Pump::start(&world.env, feed)),
            Err(error) => {
                assert_eq!(error.advice(), Advice::Retry, "{error}");
                pause(&world.env, Duration::from_millis(5)).await;
            }
        }
    }
}

async fn create(wal: &Wal, env: &Env, shard: &VChannel, collection: i64) {
    loop {
        let draft = keyed(create_collection(shard, collection), "create");
        match wal.append(vec![draft]).await {
            Ok(_) => return,
            Err(_) => env.clock.sleep(Duration::from_millis(2)).await,
        }
    }
}

/// Reads across owners, each time from the checkpoint of the last delivery.
async fn follow(env: Env, mut owner: watch::Receiver<Wal>, delivered: Arc<Mutex<Vec<Delivery>>>) {
    let mut from = ScanFrom::Earliest;
    loop {
        let wal = owner.borrow_and_update().clone();
        let mut scanner = wal.scan(from, ScanFilter::default());
        loop {
            // An owner that was replaced does not know it before it appends: whoever follows is told.
            let delivery = tokio::select! {
                biased;
                delivery = scanner.next() => delivery,
                changed = owner.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
            };
            let Ok(delivery) = delivery else {
                if owner.changed().await.is_err() {
                    return;
                }
                break;
            };
            from = ScanFrom::Checkpoint(delivery.checkpoint);
            delivered.lock().push(delivery);
            if env.random.chance(0.01) {
                break;
            }
        }
    }
}

pub(crate) async fn run(seed: u64) -> Run {
    let world = World::new(seed).await;
    let random: Random = world.env.random.fork("owners");
    let shards: Vec<(VChannel, i64)> = (1..=3).map(|id| (world.shard(id), id)).collect();
    let mut term = 1;
    let (mut wal, mut pump) = until_open(&world, term).await;
    wal.ready().await.unwrap();
    for (shard, collection) in &shards {
        create(&wal, &world.env, shard, *collection).await;
    }
    world.faults(plan());
    let (owner, watch) = watch::channel(wal.clone());
    let (fates, delivered) = (Arc::<Mutex<_>>::default(), Arc::<Mutex<Vec<Delivery>>>::default());
    let follower =
        world.env.tasks.spawn("follower", follow(world.env.clone(), watch.clone(), delivered.clone()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let work = client(world.env.clone(), number, watch.clone(), shards.clone(), fates.clone());
            world.env.tasks.spawn("client", work)
        })
        .collect();
    while clients.iter().any(|client| !client.is_finished()) {
        pause(&world.env, Duration::from_millis(random.range(1..60))).await;
        if random.chance(0.5) {
            let (_, cut) = pump.state().await;
            world.commit(&wal, &cut).await;
        }
        if random.chance(0.3) {
            term += 1;
            if random.chance(0.3) {
                wal.close().await;
            }
            (wal, pump) = until_open(&world, term).await;
            owner.send_replace(wal.clone());
        }
    }
    world.faults(FaultPlan::default());
    wal.ready().await.unwrap();
    let end = wal.store_time_tick().await.unwrap();
    while delivered.lock().last().is_none_or(|last: &Delivery| last.tick < end) {
        pause(&world.env, Duration::from_millis(10)).await;
    }
    let (recovered, cut) = pump.state().await;
    assert!(cut.tick >= end);
    wal.close().await;
    pump.ended().await;
    drop((owner, watch, wal));
    follower.join().await;
    world.env.tasks.check();
    let log = world.log().await;
    let (fates, delivered) = (fates.lock().clone(), delivered.lock().clone());
    Run { fates, log, delivered, recovered }
}

/// Rows that the log makes visible, with their effective ticks, by the plainest reading of it.
pub(crate) fn visible(log: &[Message]) -> BTreeMap<String, Tick> {
    let mut rows = BTreeMap::new();
    for message in log {
        if message.kind().is_dml() && message.txn().is_none() {
            assert!(rows.insert(text(message), message.tick()).is_none(), "stored twice");
        }
        if message.kind() == Kind::CommitTxn {
            for body in log.iter().filter(|m| m.kind().is_dml() && m.txn() == message.txn()) {
                assert!(body.tick() < message.tick(), "W5");
                assert!(rows.insert(text(body), message.tick()).is_none(), "stored twice");
            }
        }
    }
    rows
}

fn check(run: &Run) {
    check_log(&run.log);
    let visible = visible(&run.log);
    for (rows, fate) in &run.fates {
        let ticks: BTreeSet<Option<Tick>> = rows.iter().map(|row| visible.get(row).copied()).collect();
        assert_eq!(ticks.len(), 1, "W5: all or none of {rows:?}, at one tick");
        match fate {
            Fate::Stored(tick) => assert!(ticks.contains(&Some(*tick)), "W2: {rows:?} at {tick}: {ticks:?}"),
            Fate::Refused => assert!(ticks.contains(&None), "{rows:?} was refused, but is there"),
            Fate::Unknown => {}
        }
    }
    let got: BTreeMap<String, Tick> = messages(&run.delivered)
        .into_iter()
        .filter(|(_, message)| message.kind().is_dml())
        .map(|(tick, message)| (text(&message), Tick(tick)))
        .collect();
    assert_eq!(got, visible, "W4, W10: every row once, at its effective tick");
    assert!(run.delivered.windows(2).all(|pair| pair[0].tick < pair[1].tick));
    // Invariant W6: whatever checkpoints it went through, the state is that of the whole log.
    let mut replayed = ShardState::default();
    for delivery in run.delivered.iter().filter(|delivery| delivery.kind != DeliveryKind::TimeTick) {
        for message in &delivery.messages {
            replayed.apply(Effect::of(message, delivery.tick).unwrap());
        }
    }
    assert_eq!(replayed.shards(), run.recovered.shards());
    assert_eq!(replayed.growing(), run.recovered.growing());
    assert_eq!(replayed.seals(), run.recovered.seals());
}

#[tokio::test(start_paused = true)]
async fn nothing_acknowledged_is_lost_over_faults_and_owners() {
    let (mut stored, mut unknown) = (0, 0);
    for seed in 0..40 {
        let run = run(1_000 + seed).await;
        check(&run);
        stored += run.fates.values().filter(|fate| matches!(fate, Fate::Stored(_))).count();
        unknown += run.fates.values().filter(|fate| **fate == Fate::Unknown).count();
    }
    assert!(stored > 1_000 && unknown > 50, "the runs say little: {stored} stored, {unknown} unknown");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let run = runtime.block_on(run(77));
        (run.fates, run.log, run.delivered, run.recovered)
    };
    let (one, two) = (trace(), trace());
    assert!(one == two, "two runs of one seed differ");
}

#[tokio::test(start_paused = true)]
async fn appends_to_a_storage_that_cannot_be_opened_again_are_refused_at_once() {
    let world = World::new(61).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    world.faults(FaultPlan { append_before: 1.0, open_before: 1.0, ..FaultPlan::default() });
    wal.append(vec![insert(&shard, 7, "lost")]).await.unwrap_err();
    world.env.clock.sleep(Duration::from_secs(5)).await;
    let start = world.env.clock.monotonic();
    let refused = wal.append(vec![insert(&shard, 7, "refused")]).await.unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable(_)), "{refused}");
    assert_eq!((refused.advice(), world.env.clock.monotonic()), (Advice::Retry, start));
    world.faults(FaultPlan::default());
    wal.ready().await.unwrap();
    wal.append(vec![insert(&shard, 7, "after")]).await.unwrap();
    pump.state().await;
    assert_eq!(pump.payloads(), ["after"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_append_ends_the_writer_and_nothing_else() {
    let world = World::new(60).await;
    let (wal, pump) = world.serve(1, WalConfig::default()).await;
    let shard = world.shard(7);
    wal.append(vec![create_collection(&shard, 7)]).await.unwrap();
    world.faults(FaultPlan { append_after: 1.0, ..FaultPlan::default() });
    let lost = wal.append(vec![insert(&shard, 7, "lost answer")]).await.unwrap_err();
    assert_eq!(lost.advice(), Advice::Unknown, "{lost}");
    let frontier = wal.frontier();
    assert!(matches!(wal.append(vec![insert(&shard, 7, "x")]).await, Err(AppendError::NotReady(_))));
    world.faults(FaultPlan::default());
    wal.ready().await.unwrap();
    assert!(wal.frontier() > frontier && wal.term().0 == 1);
    wal.append(vec![insert(&shard, 7, "after")]).await.unwrap();
    pump.state().await;
    assert_eq!(pump.payloads(), ["lost answer", "after"], "what survived unacknowledged is delivered");
    let log = world.log().await;
    check_log(&log);
    let after_reopen = log.iter().position(|m| text(m) == "lost answer").unwrap() + 1;
    assert_eq!(log[after_reopen].kind(), Kind::TimeTick, "each open begins with a TimeTick");
}
