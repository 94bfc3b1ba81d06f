//! Cinclus: a streaming service for vector data. One binary, every role.

mod assemble;
mod bench;
mod cli;
mod config;
mod give_back;
mod listen;
mod shutdown;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Many threads take and give back buffers of every size; see the decision on dependencies.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
