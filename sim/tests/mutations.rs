//! The checkers can see: each mutation of the house is found within a few seeds, under its invariant.

use cinclus_sim::mutations::Mutation;
use cinclus_sim::run::{Report, run_mutated};
use cinclus_sim::scenarios::Scenario;

/// Within so many seeds.
const SEEDS: u64 = 50;

fn finds(report: &Report, invariants: &[&str]) -> bool {
    report.findings.iter().any(|finding| invariants.contains(&finding.invariant))
}

fn caught(mutation: Mutation, scenario: Scenario, invariants: &[&str]) -> bool {
    (0..SEEDS).any(|seed| finds(&run_mutated(scenario, seed, mutation), invariants))
}

fn all_are_found(mutations: Vec<(Mutation, Scenario, &'static [&'static str])>) {
    let all = mutations.into_iter();
    let missed: Vec<Mutation> = all
        .filter(|(mutation, scenario, invariants)| !caught(*mutation, *scenario, invariants))
        .map(|(mutation, ..)| mutation)
        .collect();
    assert!(missed.is_empty(), "nothing saw {missed:?} within {SEEDS} seeds");
}

#[test]
fn every_mutation_at_a_seam_is_found_under_its_invariant() {
    all_are_found(Mutation::seams());
}

#[test]
#[cfg_attr(
    not(feature = "mutations"),
    ignore = "the lines are in builds for the simulator only: cargo xtask ci sim"
)]
fn every_mutation_of_a_line_is_found_under_its_invariant() {
    all_are_found(Mutation::lines());
}
