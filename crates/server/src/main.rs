//! Cinclus: a streaming service for vector data. One binary, every role.

mod assemble;
mod bench;
mod claim;
mod cli;
mod config;
mod data_dir;
mod give_back;
mod listen;
mod remote;
mod shutdown;
mod stores;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Many threads take and give back buffers of every size; see the decision on dependencies.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // One implementation of TLS for every client in here. It fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
