//! The command line.

mod standalone;
mod wal;

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::{bench, drill};

/// A streaming service for vector data: a write-ahead log that is the database. Milvus clients connect to it.
///
/// Without a command it runs standalone: everything in one process, data in ./cinclus-data.
#[derive(Debug, Parser)]
#[command(name = "cinclus", version, about, long_about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    standalone: standalone::StandaloneArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: coordinator, streaming node, query node and proxy.
    Standalone(standalone::StandaloneArgs),
    /// Measure this machine, and a server against it.
    Bench(bench::args::BenchArgs),
    /// Break a throw-away server of its own under load, and look whether anything was lost.
    Drill(drill::args::DrillArgs),
    /// Look into the logs of a data directory, check them, repair them; follow those of a server.
    Wal(wal::WalArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever ends it early.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            None => standalone::run(&self.standalone),
            Some(Command::Standalone(args)) => standalone::run(&args),
            Some(Command::Bench(args)) => bench::run::run(&args),
            Some(Command::Drill(args)) => drill::run::run(&args),
            Some(Command::Wal(args)) => wal::run(&args),
        }
    }
}

/// Says on standard error why the program ends.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "cinclus: {text}");
}
