//! One run of one seed.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use crate::checkers::{Evidence, Finding, bounds, check_all, checkpoints, readers, segments};
use crate::history::{Operation, Outcome};
use crate::mutations::Mutation;
use crate::scenarios::Scenario;
use crate::stores::late::Late;
use crate::world::World;

/// How long a run may take on a busy machine; most take less than a second.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// What a run came to.
pub struct Report {
    /// What ran.
    pub scenario: Scenario,
    /// With which seed.
    pub seed: u64,
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// The digest of the trace, and how many events it has.
    pub trace: (u64, u64),
    /// The lines of the trace, if they were kept.
    pub lines: Vec<String>,
    /// How much of what there was.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Report {
    /// The command that does it again.
    #[must_use]
    pub fn command(&self) -> String {
        command(self.scenario, self.seed)
    }
}

fn command(scenario: Scenario, seed: u64) -> String {
    format!("cargo xtask sim --scenario {} --seed {seed}", scenario.name())
}

/// Runs a scenario with a seed, and checks it.
#[must_use]
pub fn run(scenario: Scenario, seed: u64, keep_trace: bool) -> Report {
    run_on(scenario, World::new(seed, keep_trace))
}

/// Runs a scenario on a house that is broken on purpose.
#[must_use]
pub fn run_mutated(scenario: Scenario, seed: u64, mutation: Mutation) -> Report {
    let mut world = World::new(seed, false);
    world.mutation = Some(mutation);
    world.late = Late::tearing(mutation == Mutation::TearsLatePuts);
    #[cfg(feature = "mutations")]
    cinclus_env::mutation::break_on_purpose(&format!("{mutation:?}"));
    let report = run_on(scenario, world);
    #[cfg(feature = "mutations")]
    cinclus_env::mutation::break_on_purpose("");
    report
}

fn run_on(scenario: Scenario, mut world: World) -> Report {
    if scenario == Scenario::Decay {
        // What a life with room for it took in, the next could not: that is not what is looked at there.
        world.plan.memory_bytes = u64::MAX;
    }
    let seed = world.seed;
    let ran = within_reason(&command(scenario, seed), || {
        catch_unwind(AssertUnwindSafe(|| scenario.run(&world))).map_err(panic_text)
    });
    if let Err(text) = ran {
        world.find(Finding::new("panic", text));
    }
    let operations = world.history.operations();
    count(&world, &operations);
    let (logs, mut findings) = world.archive.logs();
    findings.extend(world.findings.lock().iter().cloned());
    let (of_writers, acks) = world.writers.findings();
    findings.extend(of_writers);
    world.tally.add("checked: fencing", acks);
    let (mut evidence, unreadable) = Evidence::new(operations, logs, world.tally.clone());
    findings.extend(unreadable);
    evidence.weigh(&world.archive.bytes());
    evidence.drained = *world.drained.lock();
    evidence.keys = world.plan.keys;
    findings.extend(check_all(&evidence));
    let reads = world.reads.lock();
    findings.extend(readers::check(&evidence, &reads));
    findings.extend(checkpoints::check(&evidence, &world.checkpoints.all(), &reads));
    findings.extend(segments::check(&evidence, &world.segments.lock()));
    if matches!(scenario, Scenario::Standalone | Scenario::Files | Scenario::Objects | Scenario::Rivals) {
        let bound = world.plan.node.recovery_log_bytes_max;
        findings.extend(bounds::check(&evidence, &world.writers.openings(), bound));
    }
    drop(reads);
    Report {
        scenario,
        seed,
        findings,
        trace: world.trace.digest(),
        lines: world.trace.lines(),
        counts: world.tally.counts(),
    }
}

/// Does something that takes seconds. If it takes minutes, it goes in circles without time passing, which nothing inside
/// can notice: then the process ends, and says what it was at.
#[allow(clippy::disallowed_methods, reason = "what watches over a run is not a part of it")]
fn within_reason<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let what = what.to_owned();
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if is_done.recv_timeout(STUCK_AFTER) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Not by a macro: a test's output would be kept back, and lost with the process.
            let _ = writeln!(std::io::stderr(), "stuck: {what} has run for {STUCK_AFTER:?}");
            std::process::abort();
        }
    });
    let result = run();
    drop(done);
    result
}

fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "without a message".to_owned())
}

fn count(world: &World, operations: &[Operation]) {
    for operation in operations {
        world.tally.count("operations");
        world.tally.count(match &operation.outcome {
            Outcome::Unknown(_) => "operations: unknown",
            Outcome::Appended(_) => "operations: appended",
            Outcome::Answered(_) => "operations: answered",
            Outcome::Refused(_) => "operations: refused",
            Outcome::Done => "operations: done",
        });
    }
}
