//! A few seeds of every kind find nothing, and look at everything.

use cinclus_sim::run::run;
use cinclus_sim::scenarios::Scenario;

#[test]
fn seeds_find_nothing_and_every_checker_looks_at_something() {
    for scenario in Scenario::ALL {
        let mut checked = std::collections::BTreeMap::<&str, u64>::new();
        for seed in 100..112 {
            let report = run(scenario, seed, false);
            let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
            assert!(findings.is_empty(), "{}: {findings:#?}", report.command());
            for (what, count) in report.counts {
                *checked.entry(what).or_default() += count;
            }
        }
        for what in scenario.checks() {
            assert!(checked.get(what).is_some_and(|count| *count > 0), "{} never: {what}", scenario.name());
        }
    }
}
