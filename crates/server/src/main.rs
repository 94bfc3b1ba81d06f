//! Cinclus: a streaming service for vector data. One binary, every role.

mod assemble;
mod bench;
mod claim;
mod cli;
mod config;
mod data_dir;
mod drill;
mod give_back;
mod listen;
mod outside;
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
            cli::complain(&in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes. Some errors tell their causes themselves; nothing is said twice.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for text in error.chain().map(ToString::to_string) {
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    #[test]
    fn no_cause_is_told_twice() {
        let error = anyhow!("refused").context("cannot connect: refused").context("starting");
        assert_eq!(super::in_one_line(&error), "starting: cannot connect: refused");
        let plain = Err::<(), _>(anyhow!("b")).context("a").unwrap_err();
        assert_eq!(super::in_one_line(&plain), "a: b");
    }
}
