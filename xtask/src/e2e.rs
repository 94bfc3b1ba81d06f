//! `cargo xtask e2e`: the real binary under real clients.
//!
//! The tests are Python because the clients that matter are. They run in an environment of their own, made once
//! under cargo's target folder from the pinned `e2e/requirements.txt` and made again when that file changes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ci::build_release;
use crate::services;
use crate::step::{StepResult, call, shown};
use crate::workspace::Workspace;

/// Builds the release binary, then runs pytest with the caller's arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let workspace = Workspace::load()?;
    build_release(&workspace)?;
    pytest(&workspace, arguments)?;
    Ok(())
}

/// Runs pytest on `e2e/`; the note is pytest's own summary line.
pub(crate) fn pytest(workspace: &Workspace, arguments: &[String]) -> StepResult {
    let folder = workspace.root.join("e2e");
    let requirements = folder.join("requirements.txt");
    if !requirements.exists() {
        bail!("e2e/requirements.txt is missing");
    }
    let binary = workspace.release_binary();
    if !binary.exists() {
        bail!("the release binary is missing: run `cargo build --release` first");
    }
    require_strace()?;
    let python = environment(&workspace.target.join("e2e-venv"), &requirements)?;
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-c"])
        .arg(folder.join("pytest.ini"))
        .arg("--rootdir")
        .arg(&folder)
        .args(arguments)
        .env("CINCLUS_BIN", &binary)
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&folder);
    services::with_all(|variables| pass_through(command.envs(variables.iter().cloned())))
}

/// Runs a program, shows its output as it comes, and gives back the last line of it.
fn pass_through(command: &mut Command) -> StepResult {
    let shown = shown(command);
    println!("    {shown}");
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let mut last = String::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            if !line.trim().is_empty() {
                last = line.trim().trim_matches('=').trim().to_owned();
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{last} ({status})");
    }
    Ok(last)
}

/// The Python of an environment that holds exactly the pinned packages.
fn environment(folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let python = folder.join("bin").join("python");
    let wanted = std::fs::read(requirements)?;
    // Written last: an environment that was not finished has no such file and is made again.
    let stamp = folder.join("installed-requirements.txt");
    if python.exists() && std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    make_environment(folder)?;
    call(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(requirements),
    )?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}

fn make_environment(folder: &Path) -> Result<()> {
    let make = || call(Command::new("python3").args(["-m", "venv"]).arg(folder));
    if make().is_ok() {
        return Ok(());
    }
    if !is_root() {
        bail!("python3 cannot make environments: install the package python3-venv and run this again");
    }
    apt_install("python3-venv")?;
    make()
}

/// The test of sync order traces system calls.
fn require_strace() -> Result<()> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok() {
        return Ok(());
    }
    if !is_root() {
        bail!("strace is missing: install the package strace and run this again");
    }
    apt_install("strace")
}

fn apt_install(package: &str) -> Result<()> {
    call(Command::new("apt-get").args(["update", "--quiet"]))?;
    call(
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--no-install-recommends", package])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_program_is_its_note() {
        let note = pass_through(Command::new("printf").arg("one\\n== 3 passed in 1s ==\\n\\n")).unwrap();
        assert_eq!(note, "3 passed in 1s");
    }

    #[test]
    fn a_failed_program_is_an_error_with_its_last_line() {
        let error =
            pass_through(Command::new("sh").args(["-c", "echo '== 1 failed =='; exit 1"])).unwrap_err();
        assert_eq!(error.to_string(), "1 failed (exit status: 1)");
    }
}
