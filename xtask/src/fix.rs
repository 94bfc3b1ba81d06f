//! `cargo xtask fix`: repairs what machines can repair.

use anyhow::Result;

use crate::step::call;
use crate::workspace::{Workspace, cargo};

/// Applies clippy's own suggestions, then formats.
pub(crate) fn run() -> Result<()> {
    let root = Workspace::load()?.root;
    let clippy = ["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"];
    call(cargo().args(clippy).current_dir(&root))?;
    call(cargo().args(["fmt", "--all"]).current_dir(&root))
}
