//! Decides what goes wrong in a cluster, and when.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::Random;
use cinclus_log_storage::FaultPlan;
use cinclus_rpc::NodeApi;
use parking_lot::Mutex;

use crate::cluster::{Cluster, Seated, Slot};
use crate::member::{Condition, Member};
use crate::weather::Weather;

/// The most nodes that live at once.
const NODES_MAX: usize = 3;
/// After so long without a write an owner stores nothing any more, so that nothing tells it of a successor.
const QUIET: Duration = Duration::from_millis(400);

/// Breaks a cluster.
pub struct Director {
    /// What it breaks.
    pub cluster: Cluster,
    /// Its chance.
    pub random: Random,
    /// Its chance of what is late or drifts, if that happens at all.
    pub late: Option<Random>,
    /// Who has the logs now.
    pub owner: Arc<Mutex<Option<Slot>>>,
    /// The clients.
    pub clients: Vec<Member>,
    /// Those of them that write.
    pub writers: Vec<Member>,
}

impl Director {
    fn below(&self, bound: u64) -> u64 {
        self.random.range(0..bound)
    }

    async fn wait(&self, most: u64) {
        self.cluster.scene.clock.sleep(Duration::from_millis(1 + self.below(most))).await;
    }

    fn count(&self, fault: &'static str) {
        self.cluster.scene.tally.count(fault);
    }

    fn owner(&self) -> Option<Slot> {
        self.owner.lock().clone().filter(|owner| owner.member.condition() != Condition::Dead)
    }

    /// Goes on breaking things until it is dropped.
    pub async fn direct(&self) {
        loop {
            self.wait(1_500).await;
            match self.below(16) {
                0 => self.kill_owner().await,
                1 => self.two_owners().await,
                2 => self.planned_move().await,
                3 => self.pause_owner().await,
                4 => self.restart_coord().await,
                5 => self.pause_coord().await,
                6 | 7 => self.partition().await,
                8 | 9 => self.bad_weather().await,
                10 | 11 => self.bad_logs().await,
                12 => self.skew(),
                13 => self.ownership_storm().await,
                _ => self.clear(),
            }
        }
    }

    /// A node that lives and is not the one that is named.
    async fn other(&self, than: Option<&Slot>) -> Option<Slot> {
        if self.cluster.living().len() < NODES_MAX {
            // Without the catalog there is no node this time.
            let _ = self.cluster.start_node().await;
        }
        let of_others = |slot: &Slot| than.is_none_or(|than| than.info.id != slot.info.id);
        let living: Vec<Slot> = self.cluster.living().into_iter().filter(of_others).collect();
        let at = self.below(living.len().max(1) as u64) as usize;
        living.get(at).cloned()
    }

    /// Replaces the coordinator by one that gives all logs to `slot`.
    async fn fail_over(&self, slot: &Slot, before: Condition) {
        if let Some((member, _)) = self.cluster.seat.holder() {
            member.set(before);
        }
        *self.owner.lock() = Some(slot.clone());
        match self.cluster.start_coord(slot).await {
            Ok(Seated { .. }) => {}
            Err(error) => self.cluster.scene.note(format_args!("no coordinator: {error:#}")),
        }
    }

    async fn kill_owner(&self) {
        self.count("fault node killed");
        let owner = self.owner();
        if let Some(owner) = &owner {
            owner.member.set(Condition::Dead);
        }
        self.wait(2_000).await;
        if let Some(next) = self.other(owner.as_ref()).await {
            self.fail_over(&next, Condition::Dead).await;
        }
    }

    /// The logs get a new owner while the old one goes on and knows nothing of it; if nobody writes meanwhile, for long.
    async fn two_owners(&self) {
        self.count("fault two owners");
        let quiet = self.below(2) == 0;
        if quiet {
            self.writers.iter().for_each(|writer| writer.set(Condition::Paused));
            self.cluster.scene.clock.sleep(QUIET).await;
        }
        let owner = self.owner();
        if let Some(next) = self.other(owner.as_ref()).await {
            self.fail_over(&next, Condition::Dead).await;
        }
        if quiet {
            self.writers.iter().for_each(|writer| writer.set(Condition::Running));
        }
    }

    /// The old owner closes its logs first.
    async fn planned_move(&self) {
        let owner = self.owner();
        let Some(next) = self.other(owner.as_ref()).await else { return };
        self.count("moves");
        if let Some(owner) = owner.filter(|owner| owner.member.condition() == Condition::Running) {
            let node: Arc<dyn NodeApi> = owner.node.clone();
            for status in node.status().await {
                // One that fails is fenced by the next owner.
                let _ = node.close_channel(&status.channel, status.term).await;
            }
        }
        self.fail_over(&next, Condition::Dead).await;
    }

    async fn pause_owner(&self) {
        let Some(owner) = self.owner() else { return };
        self.count("fault node paused");
        owner.member.set(Condition::Paused);
        self.wait(8_000).await;
        if self.below(2) == 0
            && let Some(next) = self.other(Some(&owner)).await
        {
            self.fail_over(&next, Condition::Dead).await;
            self.wait(4_000).await;
        }
        owner.member.set(Condition::Running);
    }

    async fn restart_coord(&self) {
        self.count("fault coordinator killed");
        let owner = match self.owner() {
            Some(owner) => Some(owner),
            None => self.other(None).await,
        };
        if let Some(owner) = owner {
            self.fail_over(&owner, Condition::Dead).await;
        }
    }

    /// The coordinator hangs, another takes its place, and then the first one goes on.
    async fn pause_coord(&self) {
        self.count("fault coordinator paused");
        let before = self.cluster.seat.holder();
        let owner = self.owner();
        match self.other(owner.as_ref()).await {
            Some(next) if self.below(2) == 0 => self.fail_over(&next, Condition::Paused).await,
            Some(_) | None => {
                if let Some((member, _)) = &before {
                    member.set(Condition::Paused);
                }
                self.wait(5_000).await;
            }
        }
        if let Some((member, _)) = before {
            member.set(Condition::Running);
        }
    }

    async fn partition(&self) {
        let mut members: Vec<Member> = self.cluster.living().into_iter().map(|slot| slot.member).collect();
        members.extend(self.clients.iter().cloned());
        members.extend(self.cluster.seat.holder().map(|(member, _)| member));
        for _ in 0..=self.below(3) {
            let one = &members[self.below(members.len() as u64) as usize];
            let other = &members[self.below(members.len() as u64) as usize];
            self.cluster.network.cut(one, other);
            if self.below(2) == 0 {
                self.cluster.network.cut(other, one);
            }
        }
        self.wait(6_000).await;
        self.cluster.network.heal();
    }

    /// The chance that something is late: up to `most` in a thousand.
    fn lateness(&self, most: u64) -> f64 {
        let chance = |random: &Random| {
            if random.chance(0.5) { 0.0 } else { random.range(0..most) as f64 / 1_000.0 }
        };
        self.late.as_ref().map_or(0.0, chance)
    }

    async fn bad_weather(&self) {
        let chance = |most: u64| {
            if self.below(2) == 0 { 0.0 } else { self.below(most) as f64 / 1_000.0 }
        };
        let delay = |most: u64| Duration::from_millis(self.below(2) * self.below(most));
        let weather = Weather {
            meta_before: chance(200),
            meta_lost: chance(200),
            meta_read: chance(100),
            meta_delay: delay(100),
            object_before: chance(400),
            object_lost: chance(400),
            object_read: chance(200),
            object_delay: delay(400),
            worker_delay: delay(100),
            call_lost: chance(60),
            answer_lost: chance(60),
            call_repeated: chance(300),
            call_delay: delay(60),
            meta_late: self.lateness(300),
            object_late: self.lateness(400),
            call_late: self.lateness(250),
        };
        self.cluster.scene.set_weather(weather);
        self.wait(5_000).await;
    }

    async fn bad_logs(&self) {
        self.count("fault log storage fails");
        let chance = |most: u64| {
            if self.below(2) == 0 { 0.0 } else { self.below(most) as f64 / 1_000.0 }
        };
        let plan = FaultPlan {
            append_before: chance(200),
            append_after: chance(200),
            open_before: chance(300),
            open_after: chance(300),
            read: chance(50),
            truncate_after: chance(500),
            ack_delay_max: Duration::from_millis(self.below(2) * self.below(200)),
        };
        self.cluster.scene.note(format_args!("log faults {plan:?}"));
        self.cluster.faulty.set_plan(plan);
        self.wait(5_000).await;
    }

    /// A calendar jumps, or is put right.
    fn skew(&self) {
        self.count("fault calendar jumps");
        if let Some(random) = &self.late {
            self.count("fault clock drifts");
            let mut members: Vec<Member> =
                self.cluster.living().into_iter().map(|slot| slot.member).collect();
            members.extend(self.cluster.seat.holder().map(|(member, _)| member));
            for member in members {
                let drifts = [0, 0, 200, -200, 100_000, -100_000];
                member.set_drift_ppm(drifts[random.range(0..drifts.len() as u64) as usize]);
            }
        }
        let spans = [0, 5, -5, 1_000, -1_000, 60_000, -60_000, 7_200_000, -7_200_000];
        let skew = spans[self.below(spans.len() as u64) as usize];
        let coord = self.cluster.seat.holder().map(|(member, _)| member);
        if let Some(member) = coord {
            member.set_skew_ms(skew);
        }
        for slot in self.cluster.living() {
            if self.below(2) == 0 {
                slot.member.set_skew_ms(spans[self.below(spans.len() as u64) as usize]);
            }
        }
    }

    async fn ownership_storm(&self) {
        self.count("fault ownership storm");
        for _ in 0..2 + self.below(4) {
            let Some(next) = self.other(None).await else { return };
            self.fail_over(&next, Condition::Dead).await;
            self.wait(50).await;
        }
    }

    fn clear(&self) {
        self.cluster.scene.set_weather(Weather::default());
        self.cluster.faulty.set_plan(FaultPlan::default());
        self.cluster.network.heal();
    }

    /// Ends all faults, and gives the logs to a node that lives.
    ///
    /// # Errors
    /// If there is no coordinator although nothing is wrong any more.
    pub async fn calm(&self) -> anyhow::Result<()> {
        self.clear();
        for slot in self.cluster.living() {
            slot.member.set(Condition::Running);
            slot.member.set_skew_ms(0);
            slot.member.set_drift_ppm(0);
        }
        self.writers.iter().for_each(|writer| writer.set(Condition::Running));
        for seated in self.cluster.coords() {
            seated.member.set(Condition::Dead);
        }
        let node = self.cluster.start_node().await?;
        *self.owner.lock() = Some(node.clone());
        self.cluster.start_coord(&node).await?;
        Ok(())
    }
}
