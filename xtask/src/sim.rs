//! `cargo xtask sim`: the simulator, built so that a seed decides everything, and that it is quick.
//!
//! The order in which tokio wakes those who wait for one thing can be seeded only with a flag that all crates are
//! built with. Nothing else is built with it, so the simulator has a target folder of its own. Nothing else is built
//! with the lines that break on purpose either.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::StepResult;
use crate::workspace::{Workspace, cargo};

/// Runs it with these arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut command = seeded(&Workspace::load()?, "run");
    command.arg("--").args(arguments);
    if !command.status().context("cannot start cargo")?.success() {
        bail!("the simulator found something");
    }
    Ok(())
}

/// Fresh seeds of a commit, for each scenario.
const FRESH: u64 = 20;

/// The tests, the seeds that once failed, and fresh ones.
pub(crate) fn ci(workspace: &Workspace) -> StepResult {
    let mut tests = seeded(workspace, "test");
    let mut known = seeded(workspace, "run");
    known.args(["--", "--file", "sim/seeds.txt"]);
    let mut fresh = seeded(workspace, "run");
    let first = first_fresh_seed(workspace)?;
    fresh.args(["--", "--seeds", &format!("{first}..{}", first + FRESH)]);
    for command in [&mut tests, &mut known, &mut fresh] {
        if !command.status().context("cannot start cargo")?.success() {
            bail!("the simulator found something");
        }
    }
    Ok(String::new())
}

/// Every commit has fresh seeds of its own: what fails in CI fails everywhere on that commit.
fn first_fresh_seed(workspace: &Workspace) -> Result<u64> {
    let mut git = Command::new("git");
    let asked = git.args(["rev-parse", "HEAD"]).current_dir(&workspace.root).output();
    let commit = String::from_utf8(asked.context("cannot start git")?.stdout)?;
    let digits = commit.get(..10).context("git does not say which commit this is")?;
    Ok(u64::from_str_radix(digits, 16)?)
}

fn seeded(workspace: &Workspace, what: &str) -> Command {
    let mut command = cargo();
    command.args([what, "--quiet", "--locked", "--profile", "sim", "--package", "cinclus-sim"]);
    command.args(["--features", "mutations"]);
    command.arg("--target-dir").arg(workspace.target.join("sim"));
    command.env("RUSTFLAGS", "--cfg tokio_unstable").current_dir(&workspace.root);
    command
}
