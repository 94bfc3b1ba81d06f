//! Bits flip in what is stored, between one life and the next. Whoever meets one says which file it is, and all that
//! does not need that file is served; when the bit is healed, everything is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, TokioClock, timeout};
use cinclus_rpc::Freshness;
use cinclus_types::PChannel;
use futures::future::join_all;

use super::standalone::{self, OFF_MS, SETTLE};
use crate::checkers::Finding;
use crate::decay::Flip;
use crate::disk_faults;
use crate::ending::Ending;
use crate::life::Life;
use crate::member::Member;
use crate::place::Place;
use crate::scene::Scene;
use crate::shard::Shard;
use crate::wanted;
use crate::workload::Actor;
use crate::world::{Past, World, runtime};

/// Lives that something ends, after each a bit that flips and a life with it, and one that nothing disturbs.
pub(crate) fn run(world: &World) {
    let random = world.random.fork("decay");
    if random.chance(0.5) {
        world.set_place(Place::Objects);
    }
    let endings = world.random.fork("endings");
    for _ in 0..world.plan.lives {
        standalone::live(world, Ending::draw(&endings));
        if let Some(flip) = Flip::somewhere(world, &random) {
            live(world, &flip);
            flip.heal(world);
        }
    }
    standalone::live(world, Ending::peaceful());
}

/// A life with a flipped bit, in which nothing else goes wrong.
fn live(world: &World, flip: &Flip) {
    let Past { lives: number, unix_ms } = *world.past.lock();
    runtime(world.random.fork(&format!("runtime {number}")).seed()).block_on(async {
        let clock: DynClock = Arc::new(TokioClock::starting_at(unix_ms));
        let random = world.random.fork(&format!("scene {number}"));
        let scene = Scene::new(clock.clone(), random, (world.trace.clone(), world.tally.clone()), None);
        scene.note(format_args!("life {number} begins, damaged"));
        world.disk.set_sync_delay(world.plan.sync_delay);
        let damaged = Damaged { world, flip, number };
        match Life::begin(world, &Member::new("server", &scene), (number, true)).await {
            Ok(life) => damaged.work(&life).await,
            Err(error) => damaged.judge("the server does not start", &format!("{error:#}")),
        }
        world.tally.add("simulated ms", clock.monotonic().as_millis() as u64);
        *world.past.lock() = Past { lives: number + 1, unix_ms: clock.unix_ms() + OFF_MS };
    });
    world.tally.count("lives");
    disk_faults::clear(&world.disk);
    Ending::peaceful().leave(&world.disk, false);
}

/// A life with a flipped bit.
struct Damaged<'a> {
    world: &'a World,
    flip: &'a Flip,
    number: u64,
}

impl Damaged<'_> {
    /// Something was refused: that must be because of the bit, and say where it is.
    fn judge(&self, what: &str, text: &str) {
        self.world.tally.count("checked: refusals for damage");
        if !self.flip.is_named_by(text) {
            let flipped = &self.flip.path;
            let text = format!("{what}, after a bit of {flipped} flipped: {text}");
            self.world.find(Finding::new("corruption is named", text));
        }
    }

    async fn work(&self, life: &Life) {
        let shards = self.shards(life);
        let clock = &*life.scene.clock;
        let judged = join_all(shards.iter().map(|shard| self.serves(life, shard)));
        let Ok(serving) = timeout(clock, SETTLE, judged).await else {
            let flipped = &self.flip.path;
            let text = format!("after {SETTLE:?} a shard is neither served nor damaged: {flipped} is");
            return self.world.find(Finding::new("convergence", text));
        };
        let closed: BTreeSet<PChannel> = shards
            .iter()
            .zip(&serving)
            .filter(|(_, serves)| !**serves)
            .map(|(shard, _)| shard.vchannel.pchannel())
            .collect();
        self.world.tally.add("logs closed by damage", closed.len() as u64);
        if closed.len() > 1 {
            let text = format!("one bit of {} closes {closed:?}", self.flip.path);
            self.world.find(Finding::new("the others serve", text));
        }
        let works = (0..self.world.plan.actors).map(|actor| self.act(life, &shards, actor));
        join_all(works).await;
        self.read_logs(life).await;
        life.tasks.check();
        life.node.close().await;
    }

    /// The shards that clients work with, as far as there are any yet.
    fn shards(&self, life: &Life) -> Vec<Shard> {
        let view = life.collections.view();
        let known = |name: &str| (0..self.world.plan.collections).any(|number| wanted::name(number) == name);
        let entries = view.all_collections().filter(|entry| known(&entry.name) && entry.is_loaded());
        let mut shards: Vec<Shard> = entries.flat_map(Shard::all_of).collect();
        shards.sort_by(|one, other| one.vchannel.cmp(&other.vchannel));
        shards
    }

    /// Waits until a shard is served, or refused for good.
    async fn serves(&self, life: &Life, shard: &Shard) -> bool {
        let mut actor = self.actor(life, std::slice::from_ref(shard), 900);
        loop {
            if life.client.statistics(&shard.vchannel).await.is_ok_and(|shard| shard.serving) {
                return true;
            }
            if let Err(text) = actor.read_those(0, Freshness::Strong, None, false).await {
                self.judge("a read is refused", &text);
                return false;
            }
            life.pause(Duration::from_millis(100)).await;
        }
    }

    fn actor(&self, life: &Life, shards: &[Shard], actor: u64) -> Actor {
        standalone::actor(self.world, life, shards, (self.number, actor))
    }

    async fn act(&self, life: &Life, shards: &[Shard], actor: u64) {
        if shards.is_empty() {
            return;
        }
        let mut actor = self.actor(life, shards, actor);
        for _ in 0..self.world.plan.operations / 2 {
            if let Err(text) = actor.step().await {
                self.judge("an operation is refused", &text);
            }
        }
        if let Err(text) = actor.look_at_all().await {
            self.judge("a read is refused", &text);
        }
    }

    /// Reads every log from where it begins to its end: records as they were, or the damage.
    async fn read_logs(&self, life: &Life) {
        for channel in life.logs.channels().await.unwrap_or_default() {
            if let Err(error) = self.world.archive.read(&life.logs, &channel).await
                && matches!(error, cinclus_log_storage::LogError::Corrupt { .. })
            {
                self.judge("a log is damaged", &error.to_string());
            }
        }
    }
}
