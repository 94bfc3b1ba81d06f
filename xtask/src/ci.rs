//! `cargo xtask ci`: what CI checks, in its order; it stops at the first step that fails.

use anyhow::{Result, bail};

use crate::step::{Step, StepResult, call, run_all};
use crate::workspace::{Workspace, cargo};
use crate::{e2e, services, sim, tidy};

/// The features of the crates that have tests which need real servers.
const WITH_SERVICES: &str = "cinclus-meta/services,cinclus-log-storage/services";
/// Those tests.
const SERVICE_TESTS: [&str; 2] = ["etcd", "seaweedfs"];

/// The work of a step.
type Work = fn(&Workspace) -> StepResult;

/// The steps by name, cheap ones first.
const STEPS: [(&str, Work); 9] = [
    ("fmt", |workspace| run_cargo(workspace, &["fmt", "--all", "--check"], None)),
    ("tidy", tidy::check),
    ("clippy", |workspace| {
        let mut arguments =
            vec!["clippy", "--workspace", "--all-targets", "--locked", "--features", WITH_SERVICES];
        arguments.extend(["--", "-D", "warnings"]);
        run_cargo(workspace, &arguments, None)
    }),
    ("doc", |workspace| {
        let arguments = ["doc", "--workspace", "--no-deps", "--locked"];
        run_cargo(workspace, &arguments, Some(("RUSTDOCFLAGS", "-D warnings")))
    }),
    ("test", |workspace| run_cargo(workspace, &["test", "--workspace", "--locked"], None)),
    ("services", test_with_services),
    ("sim", sim::ci),
    ("build", build_release),
    ("e2e", |workspace| e2e::pytest(workspace, &[])),
];

/// Runs all steps, or only the named ones.
pub(crate) fn run(names: &[String]) -> Result<()> {
    for name in names {
        if !STEPS.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = STEPS.iter().map(|(known, _)| *known).collect();
            bail!("no step `{name}`; the steps are: {}", known.join(" "));
        }
    }
    let workspace = &Workspace::load()?;
    let steps = STEPS
        .into_iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name))
        .map(|(name, work)| Step { name, work: Box::new(move || work(workspace)) })
        .collect();
    run_all(steps)
}

/// Builds the binary that users run and e2e tests.
pub(crate) fn build_release(workspace: &Workspace) -> StepResult {
    run_cargo(workspace, &["build", "--release", "--locked"], None)
}

/// Runs the tests that need real servers, while those run.
fn test_with_services(workspace: &Workspace) -> StepResult {
    services::with_all(|variables| {
        let mut command = cargo();
        command.args(["test", "--workspace", "--locked", "--features", WITH_SERVICES]);
        command.args(SERVICE_TESTS.iter().flat_map(|test| ["--test", test]));
        // They wait for servers more than they compute.
        command.args(["--", "--test-threads", "8"]);
        call(command.current_dir(&workspace.root).envs(variables.iter().cloned()))?;
        Ok(SERVICE_TESTS.join(" "))
    })
}

fn run_cargo(workspace: &Workspace, arguments: &[&str], variable: Option<(&str, &str)>) -> StepResult {
    let mut command = cargo();
    command.args(arguments).current_dir(&workspace.root).envs(variable);
    call(&mut command)?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_step_is_refused_before_anything_runs() {
        let error = super::run(&["fmtt".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "no step `fmtt`; the steps are: fmt tidy clippy doc test services sim build e2e");
    }
}
