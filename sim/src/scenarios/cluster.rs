//! Several nodes on shared stores: owners that die, hang, are cut off, and come back; logs that move.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cinclus_catalog::Collections;
use cinclus_coord::keys;
use cinclus_env::{Clock, DynClock, Env, TokioClock, timeout};
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_log_storage::{DynLogStorage, MemoryLogStorage};
use cinclus_rpc::NodeApi;
use cinclus_types::Tick;
use futures::future::join_all;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parking_lot::Mutex;

use crate::checkers::Finding;
use crate::cluster::{ClientSide, Cluster};
use crate::director::Director;
use crate::history::{Outcome, Wish};
use crate::member::Member;
use crate::scene::Scene;
use crate::shard::Shard;
use crate::storm::Storm;
use crate::subscriber::Subscriber;
use crate::wanted::Wanted;
use crate::workload::Actor;
use crate::world::{World, runtime};

/// Those who change what exists at once, on the same names.
const STORMS: u64 = 3;
/// How long faults go on at most.
const TROUBLE: Duration = Duration::from_secs(240);
/// How long everything may take to be served when nothing goes wrong any more.
const SETTLE: Duration = Duration::from_secs(120);

/// One life of a cluster.
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
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let env = Env { disk: Arc::new(world.disk.clone()), clock: scene.clock.clone(), ..Env::test(world.seed) };
    let logs = log_storage(world, &env).await?;
    let cluster = Cluster::new(world, scene, logs, objects);
    let catalog = Collections::open(world.meta.clone(), &env).await?;
    let owner = cluster.start_node().await?;
    cluster.start_coord(&owner).await?;
    let first = cluster.start_client(0, 0);
    let shards = settle(world, scene, &first, &catalog, &env).await.context("before anything went wrong")?;

    let clients: Vec<ClientSide> =
        (1..=world.plan.actors).map(|number| cluster.start_client(number, reads_late(number))).collect();
    let director = Director {
        cluster: cluster.clone(),
        random: world.random.fork("director"),
        late: Some(world.random.fork("late")).filter(|random| random.chance(0.5)),
        owner: Arc::new(Mutex::new(Some(owner))),
        clients: clients.iter().map(|client| client.member.clone()).collect(),
        writers: writers(&clients),
    };
    let works = clients.iter().zip(1..).map(|(client, number)| {
        let mut actor = actor(world, client, number, &shards);
        async move {
            for _ in 0..world.plan.operations * 2 {
                if reads_late(number) > 0 {
                    note(world, actor.read_step().await);
                } else {
                    note(world, actor.step().await);
                }
            }
        }
    });
    let stormy = cluster.start_client(2_000, 0);
    let storms = async {
        if world.random.fork("stormy").chance(0.6) {
            join_all((0..STORMS).map(|number| storm(world, scene, &stormy, 2_000 + number))).await;
        }
        std::future::pending::<()>().await;
    };
    let logs = cluster.start_client(3_000, 0).client.logs();
    let mut subscribers = subscribers(world, &cluster).await?;
    let follows = async {
        let ended = join_all(subscribers.iter_mut().map(|one| one.follow(&logs, scene, Tick::MAX))).await;
        for error in ended.into_iter().filter_map(Result::err) {
            note(world, Err(format!("a subscription ended: {error}")));
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        _ = join_all(works) => {}
        () = storms => {}
        () = follows => {}
        () = director.direct() => {}
        () = scene.clock.sleep(TROUBLE) => {}
    }
    cluster.check_tasks();
    director.calm().await.context("after everything is well again")?;
    let last = cluster.start_client(1_000, 0);
    let begun = scene.clock.monotonic();
    let shards =
        settle(world, scene, &last, &catalog, &env).await.context("after everything is well again")?;
    let took = scene.clock.monotonic() - begun;
    scene.note(format_args!("everything is served again after {took:?}"));
    world.tally.count("checked: convergence");
    let end = catch_up(scene, &cluster, &last, &mut subscribers).await;
    world.reads.lock().extend(subscribers.into_iter().map(|one| one.read));
    end.context("after everything is well again")?;
    finish(world, &cluster, &last, &shards).await
}

/// Somebody who reads, for each log.
async fn subscribers(world: &World, cluster: &Cluster) -> Result<Vec<Subscriber>> {
    let channels = cluster.logs.channels().await?;
    let subscriber = |(channel, number)| {
        Subscriber::new(number, channel, world.random.fork(&format!("subscriber {number}")))
    };
    Ok(channels.iter().zip(3_000..).map(subscriber).collect())
}

/// Everybody who reads a log comes to its end.
async fn catch_up(
    scene: &Scene,
    cluster: &Cluster,
    client: &ClientSide,
    subscribers: &mut [Subscriber],
) -> Result<()> {
    let mut frontiers = BTreeMap::new();
    for slot in cluster.living() {
        for status in slot.node.status().await {
            let frontier = frontiers.entry(status.channel).or_insert(Tick::ZERO);
            *frontier = status.frontier.max(*frontier);
        }
    }
    let logs = client.client.logs();
    let rest = subscribers.iter_mut().map(|one| {
        let upto = frontiers.get(&one.channel).copied().unwrap_or_default();
        one.follow(&logs, scene, upto)
    });
    let ended =
        timeout(&*scene.clock, SETTLE, join_all(rest)).await.context("readers do not come to the end")?;
    for end in ended {
        end.context("a subscription ended")?;
    }
    Ok(())
}

/// Changes what exists, for ever.
async fn storm(world: &World, scene: &Scene, client: &ClientSide, number: u64) {
    let storm = Storm {
        number,
        random: world.random.fork(&format!("storm {number}")),
        coord: &*client.coord,
        clock: &*scene.clock,
        history: world.history.clone(),
    };
    loop {
        storm.step().await;
    }
}

/// Every other client only reads, and hears late of new owners: it asks old ones that do not know better.
fn reads_late(number: u64) -> u64 {
    if number.is_multiple_of(2) { 10_000 } else { 0 }
}

/// The clients that write.
fn writers(clients: &[ClientSide]) -> Vec<Member> {
    let writing = clients.iter().zip(1..).filter(|(_, number)| reads_late(*number) == 0);
    writing.map(|(client, _)| client.member.clone()).collect()
}

/// Logs in memory or in local files, by chance.
pub(super) async fn log_storage(world: &World, env: &Env) -> Result<DynLogStorage> {
    if world.random.fork("storage").chance(0.5) {
        return Ok(Arc::new(MemoryLogStorage::new()));
    }
    cinclus_env::disk::create_dir_synced(&*env.disk, Path::new("/data")).await?;
    world.disk.set_sync_delay(world.plan.sync_delay);
    let roll = RollPolicy { bytes_max: world.plan.log_roll_bytes, age_max: Duration::from_secs(600) };
    let config = LocalConfig { roll, ..LocalConfig::new("/data/wal") };
    Ok(Arc::new(WoodpeckerLocal::open(config, env.clone(), world.meta.clone()).await?))
}

fn actor(world: &World, client: &ClientSide, number: u64, shards: &[Shard]) -> Actor {
    Actor {
        number,
        random: world.random.fork(&format!("actor {number}")),
        client: client.client.clone(),
        clock: client.member.clock(),
        shards: shards.to_vec(),
        keys: world.plan.keys,
        rows_max: world.plan.rows_max,
        flushes: world.plan.flushes,
        sessions: world.sessions(),
        hears: world.random.fork("hears").chance(0.5),
        handed_on: None,
        tally: world.tally.clone(),
        history: world.history.clone(),
        told: BTreeMap::new(),
    }
}

fn note(world: &World, step: Result<(), String>) {
    if let Err(text) = step {
        world.find(Finding::new("availability", text));
    }
}

async fn settle(
    world: &World,
    scene: &Scene,
    client: &ClientSide,
    catalog: &Collections,
    env: &Env,
) -> Result<Vec<Shard>> {
    let wanted = Wanted::of(world, client.coord.clone(), client.client.clone(), env);
    let settled = timeout(&*scene.clock, SETTLE, wanted.settle(catalog)).await;
    for refusal in wanted.refusals() {
        note(world, Err(refusal));
    }
    settled.with_context(|| format!("not everything is served after {SETTLE:?}"))
}

/// Reads everything, waits until no change is under way, and keeps what the logs hold.
async fn finish(world: &World, cluster: &Cluster, client: &ClientSide, shards: &[Shard]) -> Result<()> {
    let mut actor = actor(world, client, 1_000, shards);
    let before = world.history.operations().len();
    note(world, actor.look_at_all().await);
    let looked = world.history.operations();
    for operation in &looked[before..] {
        let answered = matches!(operation.outcome, Outcome::Answered(_));
        if let (Wish::Read { vchannel, .. }, false) = (&operation.wish, answered) {
            let outcome = &operation.outcome;
            world
                .find(Finding::new("convergence", format!("{vchannel} is not read at the end: {outcome:?}")));
        }
    }
    let clock: &dyn Clock = &*cluster.scene.clock;
    let drained = async {
        loop {
            let (_, tasks) = world.meta.scan(keys::BROADCASTS).await?;
            if tasks.is_empty() {
                return anyhow::Ok(());
            }
            clock.sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(clock, SETTLE, drained).await.context("changes are still under way")??;
    *world.drained.lock() = true;
    cluster.check_tasks();
    for channel in cluster.logs.channels().await? {
        world.archive.read(&cluster.logs, &channel).await?;
    }
    world.keep_segments(&world.meta).await?;
    let (findings, asked) = cluster.terms.findings();
    findings.into_iter().for_each(|finding| world.find(finding));
    world.tally.add("checked: terms", asked);
    Ok(())
}
