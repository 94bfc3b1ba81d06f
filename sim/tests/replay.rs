//! The same seed twice is the same run, event by event.

use cinclus_sim::run::run;
use cinclus_sim::scenarios::Scenario;

#[test]
#[cfg_attr(
    not(tokio_unstable),
    ignore = "tokio takes a seed only with --cfg tokio_unstable: cargo xtask ci sim"
)]
fn the_same_seed_twice_gives_the_identical_trace() {
    for scenario in Scenario::ALL {
        for seed in 0..4 {
            let (one, other) = (run(scenario, seed, true), run(scenario, seed, true));
            let differs = one.lines.iter().zip(&other.lines).find(|(one, other)| one != other);
            assert_eq!(differs, None, "{} {seed}", scenario.name());
            assert_eq!(one.trace, other.trace, "{} {seed}", scenario.name());
            assert!(one.trace.1 > 200, "{} {seed} has too few events: {:?}", scenario.name(), one.trace);
            assert_eq!(one.counts, other.counts);
        }
    }
}

#[test]
fn another_seed_gives_another_trace() {
    for scenario in Scenario::ALL {
        assert_ne!(run(scenario, 1, false).trace, run(scenario, 2, false).trace);
    }
}

#[test]
#[cfg_attr(
    not(tokio_unstable),
    ignore = "tokio takes a seed only with --cfg tokio_unstable: cargo xtask ci sim"
)]
fn keeping_the_lines_changes_nothing() {
    for scenario in Scenario::ALL {
        assert_eq!(run(scenario, 5, false).trace, run(scenario, 5, true).trace);
    }
}
