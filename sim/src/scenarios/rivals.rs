//! Several processes on one object storage: each takes everything over from the one before, which may still run, hang,
//! or be about to put what it has acknowledged to nobody yet.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, TokioClock};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::standalone::{self, LifeKind, OFF_MS, bad_objects, work};
use crate::ending::Ending;
use crate::member::{Condition, Member};
use crate::scene::Scene;
use crate::world::{Past, World, runtime};

/// How long the last of them goes on at most.
const LAST: Duration = Duration::from_secs(30);
/// How long one is alone at most, in milliseconds: often the next comes while it still begins.
const SPANS_MS: [u64; 4] = [5, 200, 2_000, 8_000];

/// Processes that take over, and a life that nothing disturbs.
pub(crate) fn run(world: &World) {
    world.writers.set_apart();
    let Past { unix_ms, .. } = *world.past.lock();
    runtime(world.random.fork("runtime of rivals").seed()).block_on(async {
        let clock: DynClock = Arc::new(TokioClock::starting_at(unix_ms));
        let lives = take_turns(world, &clock).await;
        world.tally.add("simulated ms", clock.monotonic().as_millis() as u64);
        *world.past.lock() = Past { lives, unix_ms: clock.unix_ms() + OFF_MS };
    });
    standalone::live(world, Ending::peaceful());
}

/// Starts one process after the other; says how many there were.
async fn take_turns(world: &World, clock: &DynClock) -> u64 {
    let random = world.random.fork("rivals");
    let mut running = FuturesUnordered::new();
    let mut members: Vec<Member> = Vec::new();
    let count = 2 + world.plan.lives + random.range(0..4);
    for number in 0..count {
        let of_scene = world.random.fork(&format!("scene {number}"));
        let scene = Scene::new(clock.clone(), of_scene, (world.trace.clone(), world.tally.clone()), None);
        if random.chance(0.6) {
            // Whether it fails or not, a rival may be refused anything but for good.
            bad_objects(&scene, &world.random.fork(&format!("objects {number}")));
        }
        let member = Member::new(format!("server {number}"), &scene);
        scene.note(format_args!("{} begins", member.name));
        world.tally.count("lives");
        members.push(member.clone());
        running.push(async move {
            let kind = LifeKind { number, peaceful: false, faulty: false, rival: true };
            work(world, &member, kind).await;
        });
        let most = SPANS_MS[random.range(0..SPANS_MS.len() as u64) as usize];
        let span = Duration::from_millis(1 + random.range(0..most));
        go_on(&mut running, clock, span).await;
        let one = &members[random.range(0..members.len() as u64) as usize];
        match random.range(0..6) {
            0 => {
                world.tally.count("fault process killed");
                one.set(Condition::Dead);
            }
            1 | 2 => {
                world.tally.count("fault process paused");
                one.set(Condition::Paused);
            }
            3 => members.iter().for_each(|member| member.set(Condition::Running)),
            _ => {}
        }
        world.tally.count("fault two processes");
    }
    // Those that hung wake up, and find that they were replaced.
    members.iter().for_each(|member| member.set(Condition::Running));
    go_on(&mut running, clock, LAST).await;
    members.iter().for_each(|member| member.set(Condition::Dead));
    count
}

/// Lets all of them work for a while.
async fn go_on<F: Future<Output = ()>>(running: &mut FuturesUnordered<F>, clock: &DynClock, span: Duration) {
    let mut over = pin!(clock.sleep(span));
    loop {
        tokio::select! {
            biased;
            () = &mut over => return,
            Some(()) = running.next() => {}
            else => return over.await,
        }
    }
}
