//! `cargo xtask tidy`: the house rules that no compiler knows.
//!
//! Each rule is a pure function from texts to findings, with tests that show it failing on a bad input. This file
//! only reads the tracked files, hands them to the rules, and prints what they found.

mod dependencies;
mod finding;
mod floors;
mod invariants;
mod lengths;
mod links;
mod manifests;
mod selects;
mod source;
mod words;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::StepResult;
use crate::workspace::Workspace;
use finding::TextFile;

/// Checks the whole repository.
pub(crate) fn run() -> Result<()> {
    let note = check(&Workspace::load()?)?;
    println!("tidy: {note}");
    Ok(())
}

/// The same as a step: prints every finding, fails if there is one.
pub(crate) fn check(workspace: &Workspace) -> StepResult {
    let tracked = tracked_paths(&workspace.root)?;
    let files = read(&workspace.root, &tracked)?;
    let crates = floors::crates(workspace);

    let mut findings = floors::findings(&crates);
    findings.extend(dependencies::findings(&files));
    findings.extend(lengths::findings(&files));
    findings.extend(manifests::findings(&files));
    findings.extend(words::findings(&files));
    findings.extend(selects::findings(&files));
    findings.extend(links::findings(&files, &tracked));
    let report = invariants::report(&files, invariants::UNCITED_ALLOWED);
    findings.extend(report.findings);
    for warning in &report.warnings {
        println!("tidy: warning: {warning}");
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} finding(s)", findings.len());
    }
    Ok(format!("{} files, {} crates, {} warning(s)", files.len(), crates.len(), report.warnings.len()))
}

/// Paths relative to the root, as git knows them, of files that are there.
fn tracked_paths(root: &Path) -> Result<Vec<String>> {
    // CI may run as another user than the one who cloned.
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "ls-files", "-z"]).current_dir(root);
    let output = git.output().context("cannot start git")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let paths = String::from_utf8(output.stdout).context("a tracked path is not UTF-8")?;
    Ok(paths.split_terminator('\0').filter(|path| root.join(path).is_file()).map(str::to_owned).collect())
}

/// All tracked text; files that are not UTF-8 are data and none of tidy's business.
fn read(root: &Path, tracked: &[String]) -> Result<Vec<TextFile>> {
    let mut files = Vec::with_capacity(tracked.len());
    for path in tracked {
        let bytes = std::fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(TextFile { path: path.clone(), text });
        }
    }
    Ok(files)
}
