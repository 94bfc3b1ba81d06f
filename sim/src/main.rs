//! `cargo xtask sim --seed N`: runs seeds and prints what was wrong with them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command says what it found")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cinclus_env::{Clock, OsClock, Random};
use cinclus_sim::mutations::Mutation;
use cinclus_sim::run::{Report, run, run_mutated};
use cinclus_sim::scenarios::Scenario;
use cinclus_sim::tally::Tally;
use cinclus_sim::world::REPEATABLE;

const HELP: &str = "\
cinclus-sim: the whole cluster on one thread, broken on purpose, decided by one seed

    --seed N           Run this seed; may be given several times.
    --seeds A..B       Run these seeds.
    --file PATH        Run the seeds of a file: a scenario and a seed on each line.
    --minutes N        Run fresh seeds for so long.
    --scenario NAME    Only this kind of run.
    --mutations N      Break the house on purpose, each way on up to N seeds: what is found, and where.
    --mutation NAME    Break the house in this way.
    --trace            Print what happened, line by line.
";

/// What was asked for.
#[derive(Default)]
struct Asked {
    scenarios: Vec<Scenario>,
    seeds: Vec<u64>,
    listed: Vec<(Scenario, u64)>,
    minutes: Option<f64>,
    mutations: Option<u64>,
    mutation: Option<Mutation>,
    trace: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match asked(&arguments).map(|asked| Session::default().all(&asked)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn asked(arguments: &[String]) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--trace" {
            asked.trace = true;
            continue;
        }
        let value = rest.next().with_context(|| format!("{argument} wants a value"))?;
        match argument.as_str() {
            "--seed" => asked.seeds.push(value.parse().context("a seed is a number")?),
            "--seeds" => {
                let (from, to) = value.split_once("..").context("seeds are A..B")?;
                asked.seeds.extend(from.parse::<u64>()?..to.parse::<u64>()?);
            }
            "--file" => asked.listed.extend(listed(value)?),
            "--minutes" => asked.minutes = Some(value.parse().context("minutes are a number")?),
            "--mutations" => asked.mutations = Some(value.parse().context("seeds are a number")?),
            "--mutation" => asked.mutation = Mutation::named(value),
            "--scenario" => {
                asked.scenarios.push(Scenario::named(value).with_context(|| format!("no scenario {value}"))?);
            }
            other => bail!("unknown argument {other}"),
        }
    }
    if asked.scenarios.is_empty() {
        asked.scenarios = Scenario::ALL.to_vec();
    }
    Ok(asked)
}

/// The lines `scenario seed …` of a file; what follows a `#` is for people.
#[allow(clippy::disallowed_methods, reason = "a tool reads its own list; A1 speaks of the product")]
fn listed(path: &str) -> Result<Vec<(Scenario, u64)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let scenario =
            words.next().and_then(Scenario::named).with_context(|| format!("no scenario: {line}"))?;
        let seed = words.next().with_context(|| format!("no seed: {line}"))?;
        Ok((scenario, seed.parse()?))
    };
    lines.filter(|line| !line.is_empty()).map(one).collect()
}

/// Says of each mutation which seed finds it first, and what it says.
fn mutations(seeds: u64) -> bool {
    let mut all_found = true;
    for (mutation, scenario, invariants) in Mutation::all() {
        let find = |seed| {
            let report = run_mutated(scenario, seed, mutation);
            let found = report.findings.into_iter().find(|finding| invariants.contains(&finding.invariant));
            found.map(|finding| (seed, finding))
        };
        match (0..seeds).find_map(find) {
            Some((seed, finding)) => println!("{mutation:?}: {} seed {seed}: {finding}", scenario.name()),
            None => {
                all_found = false;
                println!("{mutation:?}: not found in {} seeds 0..{seeds}", scenario.name());
            }
        }
    }
    all_found
}

/// All runs of one command.
#[derive(Default)]
struct Session {
    counts: Tally,
    mutation: Option<Mutation>,
    runs: u64,
    failed: u64,
}

impl Session {
    fn all(mut self, asked: &Asked) -> bool {
        let begun = OsClock.monotonic();
        if !REPEATABLE {
            eprintln!(
                "the order of tokio's wake-ups is not seeded in this build: `cargo xtask sim` seeds it"
            );
        }
        if let Some(seeds) = asked.mutations {
            return mutations(seeds);
        }
        self.mutation = asked.mutation;
        for (scenario, seed) in &asked.listed {
            self.one(*scenario, *seed, asked.trace);
        }
        for seed in &asked.seeds {
            for scenario in &asked.scenarios {
                self.one(*scenario, *seed, asked.trace);
            }
        }
        if let Some(minutes) = asked.minutes {
            let until = begun + Duration::from_secs_f64(minutes * 60.0);
            let fresh = Random::from_os();
            while OsClock.monotonic() < until {
                let seed = fresh.u64() >> 24;
                for scenario in &asked.scenarios {
                    self.one(*scenario, seed, asked.trace);
                }
            }
        }
        println!("{} runs, {} failed, {:.1?}", self.runs, self.failed, OsClock.monotonic() - begun);
        for (what, count) in self.counts.counts() {
            println!("{count:>12}  {what}");
        }
        self.failed == 0
    }

    fn one(&mut self, scenario: Scenario, seed: u64, trace: bool) {
        let report: Report = match self.mutation {
            None => run(scenario, seed, trace),
            Some(mutation) => run_mutated(scenario, seed, mutation),
        };
        self.runs += 1;
        self.counts.take(&report.counts);
        for line in &report.lines {
            println!("{line}");
        }
        if report.findings.is_empty() {
            return;
        }
        self.failed += 1;
        println!("{} seed {seed} failed: {} finding(s)", scenario.name(), report.findings.len());
        for finding in report.findings.iter().take(12) {
            println!("    {finding}");
        }
        println!("    again: {}", report.command());
    }
}
