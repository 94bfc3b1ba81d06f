//! `cargo xtask sim`: the simulator, built so that a seed decides everything, and that it is quick.
//!
//! The order in which tokio wakes those who wait for one thing can be seeded only with a flag that all crates are
//! built with. Nothing else is built with it, so the simulator has a target folder of its own. Nothing else is built with the
//! lines that break on purpose either.

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

/// The tests, the seeds that once failed, and fresh ones.
pub(crate) fn ci(workspace: &Workspace) -> StepResult {
    let mut tests = seeded(workspace, "test");
    let mut seeds = seeded(workspace, "run");
    seeds.args(["--", "--file", "sim/seeds.txt", "--minutes", "1"]);
    for command in [&mut tests, &mut seeds] {
        if !command.status().context("cannot start cargo")?.success() {
            bail!("the simulator found something");
        }
    }
    Ok(String::new())
}

fn seeded(workspace: &Workspace, what: &str) -> Command {
    let mut command = cargo();
    command.args([what, "--quiet", "--locked", "--profile", "sim", "--package", "cinclus-sim"]);
    command.args(["--features", "mutations"]);
    command.arg("--target-dir").arg(workspace.target.join("sim"));
    command.env("RUSTFLAGS", "--cfg tokio_unstable").current_dir(&workspace.root);
    command
}
