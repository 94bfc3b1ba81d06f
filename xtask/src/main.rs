//! One entry point for the people who build Cinclus: `cargo xtask <command>`.
//!
//! This crate stands beside the house (floor 9): it may look at everything and nothing depends on it.
//! It drives other programs, so it reads files, prints, and asks the clock directly.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask is a tool of the machine, not a part of the product: A1 speaks of the product"
)]

mod ci;
mod e2e;
mod fix;
mod services;
mod sim;
mod step;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask: everything this repository needs, under one name

USAGE
    cargo xtask <command> [arguments]

COMMANDS
    ci [STEP...]       Run what CI runs, in its order: fmt tidy clippy doc test services sim
                       build e2e.
                       With names of steps: only those, in the same order.
    tidy               Check the house rules that compilers do not know (floors, file lengths,
                       invariant ids, dependencies, lints, words, biased selects, links).
    fix                Format everything and apply what clippy can repair by itself.
    e2e [ARG...]       Build the release binary and run the end-to-end tests; arguments go to pytest.
    sim [ARG...]       Run the simulator: `--seed N` runs a seed again, `--minutes N` fresh ones; see
                       `sim --help`.
    services ...       Install, start, stop the real servers that tests use; see `services help`.
    help               This text.

ENVIRONMENT
    CARGO_TARGET_DIR   Where cargo builds; the Python environment of e2e lives there too.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        bail!("a command is missing");
    };
    if rest.first().is_some_and(|first| first == "--help")
        && !["e2e", "services", "sim"].contains(&command.as_str())
    {
        print!("{HELP}");
        return Ok(());
    }
    match (command.as_str(), rest) {
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(())
        }
        ("ci", steps) => ci::run(steps),
        ("tidy", []) => tidy::run(),
        ("fix", []) => fix::run(),
        ("services", arguments) => services::run(arguments),
        ("sim", sim_arguments) => sim::run(sim_arguments),
        ("e2e", pytest_arguments) => e2e::run(pytest_arguments),
        ("tidy" | "fix", extra) => bail!("`{command}` takes no arguments, but got {extra:?}"),
        (unknown, _) => {
            print!("{HELP}");
            bail!("unknown command `{unknown}`")
        }
    }
}
