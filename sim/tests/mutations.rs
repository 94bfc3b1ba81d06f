//! The checkers can see: each mutation of the house is found within a few seeds, under its invariant.

use cinclus_sim::mutations::Mutation;
use cinclus_sim::run::{Report, run_mutated};
use cinclus_sim::scenarios::Scenario;

/// Within so many seeds.
const SEEDS: u64 = 25;

fn finds(report: &Report, invariants: &[&str]) -> bool {
    report.findings.iter().any(|finding| invariants.contains(&finding.invariant))
}

fn caught(mutation: Mutation, scenario: Scenario, invariants: &[&str]) -> bool {
    (0..SEEDS).any(|seed| finds(&run_mutated(scenario, seed, mutation), invariants))
}

#[test]
fn every_mutation_is_found_under_its_invariant() {
    let all = Mutation::all().into_iter();
    let missed: Vec<Mutation> = all
        .filter(|(mutation, scenario, invariants)| !caught(*mutation, *scenario, invariants))
        .map(|(mutation, ..)| mutation)
        .collect();
    assert!(missed.is_empty(), "nothing saw {missed:?} within {SEEDS} seeds");
}
