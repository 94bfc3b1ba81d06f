//! `cargo xtask sim`: the simulator, built so that it is quick.

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, cargo};

/// Runs it with these arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut command = cargo();
    command.args(["run", "--quiet", "--locked", "--package", "cinclus-sim", "--"]).args(arguments);
    let status = command.current_dir(&workspace.root).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the simulator found something");
    }
    Ok(())
}
