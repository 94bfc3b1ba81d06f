//! A standalone server on a disk: power cuts and kills at any operation, effect, or time.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, TokioClock, timeout};
use futures::future::join_all;

use crate::checkers::Finding;
use crate::ending::{Ending, When};
use crate::life::Life;
use crate::scene::Scene;
use crate::wanted::Wanted;
use crate::workload::Actor;
use crate::world::{Past, World, runtime};

/// How often the power is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// How long collections may take to be served when nothing goes wrong.
const SETTLE: Duration = Duration::from_secs(120);
/// How long the machine is off.
const OFF_MS: u64 = 1_000;

/// Some lives that something ends, and one that nothing disturbs.
pub(crate) fn run(world: &World) {
    let random = world.random.fork("endings");
    for _ in 0..world.plan.lives {
        live(world, Ending::draw(&random));
    }
    live(world, Ending::peaceful());
}

/// One life.
fn live(world: &World, ending: Ending) {
    let Past { lives: number, unix_ms } = *world.past.lock();
    runtime(world.random.fork(&format!("runtime {number}")).seed()).block_on(async {
        let clock: DynClock = Arc::new(TokioClock::starting_at(unix_ms));
        let stop_at = if let When::AtMoment(moment) = ending.when { Some(moment) } else { None };
        let random = world.random.fork(&format!("scene {number}"));
        let scene = Scene::new(clock.clone(), random, (world.trace.clone(), world.tally.clone()), stop_at);
        scene.note(format_args!("life {number} begins, {ending:?}"));
        if let When::AtOperation(operation) = ending.when {
            world.disk.crash_at(world.disk.operations() + operation);
        }
        world.disk.set_sync_delay(world.plan.sync_delay);
        let deadline = if let When::AtTime(micros) = ending.when {
            Duration::from_micros(micros)
        } else {
            Duration::MAX
        };
        let peaceful = ending == Ending::peaceful();
        tokio::select! {
            biased;
            () = scene.stopped() => {}
            () = end_at(&scene, world, deadline) => {}
            () = work(world, &scene, (number, peaceful)) => {}
        }
        world.tally.add("simulated ms", clock.monotonic().as_millis() as u64);
        *world.past.lock() = Past { lives: number + 1, unix_ms: clock.unix_ms() + OFF_MS };
    });
    world.tally.count("lives");
    if !world.disk.is_powered() {
        world.tally.count("fault power cut in an operation");
    }
    ending.leave(&world.disk);
    world.trace.note(Duration::ZERO, format_args!("disk operations: {}", world.disk.operations()));
}

/// Ends the life when its time has come, or the power has gone.
async fn end_at(scene: &Scene, world: &World, deadline: Duration) {
    while world.disk.is_powered() && scene.clock.monotonic() < deadline {
        let left = deadline.saturating_sub(scene.clock.monotonic());
        scene.clock.sleep(LOOK.min(left)).await;
    }
    scene.stop("by power or time");
}

/// What clients do in a life.
async fn work(world: &World, scene: &Scene, (number, peaceful): (u64, bool)) {
    let life = match Life::begin(world, scene, number).await {
        Ok(life) => life,
        Err(error) => {
            // Without power everything fails; whoever looks at the power ends the life.
            if world.disk.is_powered() {
                world.find(Finding::new("convergence", format!("life {number} does not begin: {error:#}")));
                return;
            }
            return std::future::pending().await;
        }
    };
    let collections = Wanted::of(world, life.coord.clone(), life.client.clone(), &life.env);
    let Ok(shards) = timeout(&*scene.clock, SETTLE, collections.settle(&life.collections)).await else {
        if world.disk.is_powered() {
            world.find(Finding::new("convergence", format!("life {number} is not served after {SETTLE:?}")));
        }
        return;
    };
    for refusal in collections.refusals() {
        note(world, Err(refusal));
    }
    let works = (0..world.plan.actors).map(|actor| {
        let mut actor = Actor {
            number: number * 1_000 + actor,
            random: world.random.fork(&format!("actor {number} {actor}")),
            client: life.client.clone(),
            clock: life.env.clock.clone(),
            shards: shards.clone(),
            keys: world.plan.keys,
            history: world.history.clone(),
            told: std::collections::BTreeMap::new(),
        };
        async move {
            note(world, actor.look_at_all().await);
            for _ in 0..world.plan.operations {
                note(world, actor.step().await);
            }
            note(world, actor.look_at_all().await);
        }
    });
    join_all(works).await;
    life.tasks.check();
    if peaceful {
        for channel in life.logs.channels().await.unwrap_or_default() {
            if let Err(error) = world.archive.read(&life.logs, &channel).await {
                world.find(Finding::new("L5", format!("{channel} cannot be read at the end: {error}")));
            }
        }
        life.node.close().await;
    }
}

fn note(world: &World, step: Result<(), String>) {
    if let Err(text) = step
        && world.disk.is_powered()
    {
        world.find(Finding::new("availability", text));
    }
}
