//! A standalone server on a disk: power cuts and kills at any operation, effect, or time. Or on an object storage
//! that is slow, fails, and loses answers: kills at any effect or time.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, Random, TokioClock, timeout};
use futures::future::join_all;

use crate::checkers::{Finding, memory};
use crate::disk_faults;
use crate::ending::{Ending, Left, When};
use crate::handed_on;
use crate::life::Life;
use crate::member::Member;
use crate::place::Place;
use crate::proxied::ProxyActor;
use crate::scene::Scene;
use crate::scrolls::Scroller;
use crate::shard::Shard;
use crate::wanted::Wanted;
use crate::weather::Weather;
use crate::workload::Actor;
use crate::world::{Past, World, runtime};

/// How often the power is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// How long collections may take to be served when nothing goes wrong.
pub(super) const SETTLE: Duration = Duration::from_secs(120);
/// Longer than this nobody is busy in a life: whoever still waits then, waits for ever.
const LIFE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long the machine is off.
pub(super) const OFF_MS: u64 = 1_000;

/// Some lives that something ends, and one that nothing disturbs.
pub(crate) fn run(world: &World) {
    let random = world.random.fork("endings");
    if world.place() == Place::Files && world.random.fork("lies").chance(0.2) {
        world.tally.count("fault lying syncs");
        world.let_lie();
    }
    if world.random.fork("sessions").chance(0.5) {
        world.let_sessions();
    }
    for _ in 0..world.plan.lives {
        let ending = Ending::draw(&random);
        // What a disk lied about outlives the process, not the power.
        live(world, if world.lies() { Ending { left: Left::Process, ..ending } } else { ending });
    }
    live(world, Ending::peaceful());
}

/// One life.
pub(super) fn live(world: &World, ending: Ending) {
    let Past { lives: number, unix_ms } = *world.past.lock();
    runtime(world.random.fork(&format!("runtime {number}")).seed()).block_on(async {
        let clock: DynClock = Arc::new(TokioClock::starting_at(unix_ms));
        let on_objects = world.place() == Place::Objects;
        let stop_at = match ending.when {
            When::AtMoment(moment) => Some(moment),
            // Every effect of a server without a disk is one at a seam.
            When::AtOperation(operation) if on_objects => Some(operation),
            When::AtOperation(_) | When::AtTime(_) | When::AtItsEnd => None,
        };
        let random = world.random.fork(&format!("scene {number}"));
        let scene = Scene::new(clock.clone(), random, (world.trace.clone(), world.tally.clone()), stop_at);
        scene.note(format_args!("life {number} begins, {ending:?}"));
        if let When::AtOperation(operation) = ending.when {
            world.disk.crash_at(world.disk.operations() + operation);
        }
        let peaceful = ending == Ending::peaceful();
        let random = world.random.fork(&format!("disk {number}"));
        let faulty = if on_objects {
            !peaceful && bad_objects(&scene, &random)
        } else if peaceful {
            world.disk.set_sync_delay(world.plan.sync_delay);
            false
        } else {
            disk_faults::plan(&world.disk, &random, world.plan.sync_delay, &world.tally)
        };
        let deadline =
            if let When::AtTime(micros) = ending.when { Duration::from_micros(micros) } else { LIFE_MAX };
        world.late.go_on(&world.objects, &scene);
        let (member, before) = (Member::new("server", &scene), world.history.count());
        let kind = LifeKind { number, peaceful, faulty, rival: false };
        let mut works = pin!(work(world, &member, kind));
        tokio::select! {
            biased;
            () = scene.stopped() => {}
            () = end_at(&scene, world, deadline) => {}
            () = &mut works => {}
        }
        if clock.monotonic() >= LIFE_MAX {
            let waiting = world.history.waiting(before);
            let text = format!("somebody in life {number} still waits after {LIFE_MAX:?}: {waiting:?}");
            world.find(Finding::new("convergence", text));
        }
        leave(world, ending);
        world.tally.add("simulated ms", clock.monotonic().as_millis() as u64);
        *world.past.lock() = Past { lives: number + 1, unix_ms: clock.unix_ms() + OFF_MS };
    });
    world.tally.count("lives");
    world.trace.note(Duration::ZERO, format_args!("disk operations: {}", world.disk.operations()));
}

/// The end of a life, as its disk sees it: before what the process was doing is dropped, so that nothing is closed
/// in order.
fn leave(world: &World, ending: Ending) {
    if !world.disk.is_powered() {
        world.tally.count("fault power cut in an operation");
    }
    disk_faults::clear(&world.disk);
    ending.leave(&world.disk, world.place() == Place::Files);
}

/// A client of the proxy in a life.
async fn proxied(world: &World, life: &Life, (number, excused): (u64, bool)) {
    let mut actor = proxy_actor(world, life, number);
    if let Err(text) = actor.settle(SETTLE).await {
        return unserved(world, number, excused, &text);
    }
    for _ in 0..world.plan.operations / 2 {
        if let Err(text) = actor.step().await {
            world.find(Finding::new("availability", text));
        }
    }
}

fn proxy_actor(world: &World, life: &Life, number: u64) -> ProxyActor {
    let of_world = (world.history.clone(), world.pending.clone());
    let of_life = (life.env.clock.clone(), life.collections.clone());
    let who = (number, world.random.fork(&format!("proxied {number}")));
    ProxyActor::new(who, of_life, world.plan.keys, of_world, life.proxy.clone())
}

/// A client of the proxy gives up. Excused is who has too little memory for its collection, or another owner.
fn unserved(world: &World, number: u64, excused: bool, text: &str) {
    if world.disk.is_powered() && !excused {
        let text = format!("the collection of {number} is not served after {SETTLE:?}: {text}");
        world.find(Finding::new("convergence", text));
    }
}

/// Somebody who reads page after page, those of earlier lives on too.
async fn scrolls(world: &World, life: &Life, (number, excused): (u64, bool)) {
    if world.plan.proxied == 0 || !world.random.fork("scrolls").chance(0.5) {
        return;
    }
    let mut actor = proxy_actor(world, life, number);
    if let Err(text) = actor.until_served(SETTLE).await {
        return unserved(world, number, excused, &text);
    }
    let random = world.random.fork(&format!("scrolls {number}"));
    let mut scroller = Scroller::new(actor, random, world.scrolls.clone(), world.tally.clone());
    for _ in 0..world.plan.operations {
        if let Err(text) = scroller.step().await {
            world.find(Finding::new("Q1", text));
        }
    }
}

/// Makes the object storage slow and unreliable, often; says whether it fails.
pub(super) fn bad_objects(scene: &Scene, random: &Random) -> bool {
    let chance = |most: u64| if random.chance(0.5) { 0.0 } else { random.range(0..most) as f64 / 1_000.0 };
    let weather = Weather {
        object_before: chance(150),
        object_lost: chance(150),
        object_read: chance(80),
        object_delay: Duration::from_millis(random.range(0..2) * random.range(0..150)),
        object_late: chance(250),
        ..Weather::default()
    };
    scene.set_weather(weather);
    weather != Weather { object_delay: weather.object_delay, ..Weather::default() }
}

/// Ends the life when its time has come, or the power has gone.
async fn end_at(scene: &Scene, world: &World, deadline: Duration) {
    while world.disk.is_powered() && scene.clock.monotonic() < deadline {
        let left = deadline.saturating_sub(scene.clock.monotonic());
        scene.clock.sleep(LOOK.min(left)).await;
    }
    scene.stop("by power or time");
}

/// Looks at the memory bounds now and then, until it is dropped.
async fn watch_memory(world: &World, life: &Life) {
    let replayed = life.env.memory.used();
    loop {
        life.scene.clock.sleep(Duration::from_millis(20)).await;
        world.tally.most("most bytes of memory", life.env.memory.used());
        for finding in memory::check(&life.env.memory, &life.buffer, replayed, &world.tally) {
            world.find(finding);
        }
    }
}

/// What is said of a life before it begins.
#[derive(Clone, Copy)]
pub(super) struct LifeKind {
    pub(super) number: u64,
    /// Nothing ends it, and what is wrong with it is wrong.
    pub(super) peaceful: bool,
    /// Its disk fails.
    pub(super) faulty: bool,
    /// Another process may take everything over at any time.
    pub(super) rival: bool,
}

/// What clients do in a life.
pub(super) async fn work(world: &World, member: &Member, kind: LifeKind) {
    let (scene, LifeKind { number, peaceful, faulty, rival }) = (&member.scene, kind);
    let note = |step: Result<(), String>| {
        if let Err(text) = step
            && world.disk.is_powered()
            && !faulty
        {
            world.find(Finding::new("availability", text));
        }
    };
    let faulty = faulty || !peaceful && world.plan.is_tight();
    let life = match Life::begin(world, member, (number, peaceful)).await {
        Ok(life) => life,
        Err(error) => {
            if rival {
                return scene.note(format_args!("{} does not begin: {error:#}", member.name));
            }
            // Without power everything fails; whoever looks at the power ends the life.
            if faulty && world.disk.is_powered() {
                return;
            }
            if world.disk.is_powered() && !faulty {
                world.find(Finding::new("convergence", format!("life {number} does not begin: {error:#}")));
                return;
            }
            return std::future::pending().await;
        }
    };
    let collections = Wanted::of(world, life.coord.clone(), life.client.clone(), &life.env);
    let Ok(shards) = timeout(&*scene.clock, SETTLE, collections.settle(&life.collections)).await else {
        if world.disk.is_powered() && !faulty && !rival {
            world.find(Finding::new("convergence", format!("life {number} is not served after {SETTLE:?}")));
        }
        return;
    };
    for refusal in collections.refusals() {
        note(Err(refusal));
    }
    let works = (0..world.plan.actors).map(|actor| {
        let mut actor = self::actor(world, &life, &shards, (number, actor));
        async move {
            note(actor.look_at_all().await);
            for _ in 0..world.plan.operations {
                note(actor.step().await);
            }
            note(actor.look_at_all().await);
        }
    });
    let excused = rival || !peaceful && world.plan.is_tight();
    let proxied = |actor| proxied(world, &life, (number * 1_000 + 500 + actor, excused));
    let proxied = (0..world.plan.proxied).map(proxied);
    let scrolls = scrolls(world, &life, (number * 1_000 + 800, excused));
    let handed_on = handed_on::end_all(world, &life, number);
    let all = async { futures::join!(join_all(works), join_all(proxied), scrolls, handed_on) };
    tokio::select! {
        biased;
        _ = all => {}
        () = watch_memory(world, &life) => {}
    }
    life.tasks.check();
    if peaceful {
        look_back(world, &life).await;
    }
}

/// A client of the shards in a life.
pub(super) fn actor(world: &World, life: &Life, shards: &[Shard], (number, actor): (u64, u64)) -> Actor {
    Actor {
        number: number * 1_000 + actor,
        random: world.random.fork(&format!("actor {number} {actor}")),
        client: life.client.clone(),
        clock: life.env.clock.clone(),
        shards: shards.to_vec(),
        keys: world.plan.keys,
        rows_max: world.plan.rows_max,
        flushes: world.plan.flushes,
        sessions: world.sessions(),
        hears: false,
        handed_on: Some(world.handed_on.clone()),
        tally: world.tally.clone(),
        history: world.history.clone(),
        told: BTreeMap::new(),
    }
}

/// Keeps what logs and catalog hold at the end.
async fn look_back(world: &World, life: &Life) {
    let tasks = life.meta.scan(cinclus_coord::keys::BROADCASTS).await;
    *world.drained.lock() = tasks.is_ok_and(|(_, tasks)| tasks.is_empty());
    for channel in life.logs.channels().await.unwrap_or_default() {
        if let Err(error) = world.archive.read(&life.logs, &channel).await {
            world.find(Finding::new("L5", format!("{channel} cannot be read at the end: {error}")));
        }
    }
    life.node.close().await;
    if let Err(error) = world.keep_segments(&life.meta).await {
        world.find(Finding::new("W6", format!("the catalog cannot be read at the end: {error}")));
    }
}
