//! What `cinclus wal` can be told, and what it starts.

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::tail::TailArgs;
use super::{inspect, repair, tail, verify};

/// `cinclus wal`.
#[derive(Clone, Debug, Args)]
pub(crate) struct WalArgs {
    #[command(subcommand)]
    command: WalCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum WalCommand {
    /// List logs and segments, and if asked blocks and messages; beside a running server, too.
    Inspect(InspectArgs),
    /// Check every checksum, every message and the order of ticks; beside a running server, too.
    Verify(VerifyArgs),
    /// Follow the messages of a running server's logs.
    Tail(TailArgs),
    /// Give up a damaged block and everything behind it, so that its log can be opened again.
    Repair(RepairArgs),
}

/// Which logs.
#[derive(Clone, Debug, Args)]
pub(super) struct PlaceArgs {
    /// The data directory.
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// Only the log of this PChannel, or of this number.
    #[arg(long, value_name = "CHANNEL")]
    pub(super) channel: Option<String>,
}

/// `cinclus wal inspect`.
#[derive(Clone, Debug, Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    /// Which logs.
    pub(super) place: PlaceArgs,
    /// Only this segment.
    #[arg(long, value_name = "NUMBER")]
    pub(super) segment: Option<u64>,
    /// Also the blocks of each segment.
    #[arg(long)]
    pub(super) blocks: bool,
    /// Also the blocks of each segment and the messages in each block.
    #[arg(long)]
    pub(super) messages: bool,
}

/// `cinclus wal verify`.
#[derive(Clone, Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    /// Which logs.
    pub(super) place: PlaceArgs,
}

/// `cinclus wal repair`.
#[derive(Clone, Debug, Args)]
pub(super) struct RepairArgs {
    /// The data directory. No server may run on it.
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// The PChannel of the damaged log.
    #[arg(long, value_name = "CHANNEL")]
    pub(super) channel: String,
    /// The first bad block, as `cinclus wal verify` names it: it and everything behind it go.
    #[arg(long, value_name = "SEGMENT/BLOCK")]
    pub(super) drop_after: BlockName,
    /// Do it. Without this, only what would be lost is printed.
    #[arg(long)]
    pub(super) yes: bool,
}

/// The name of a block: `segment/block`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockName {
    pub(super) segment: u64,
    pub(super) block: u64,
}

impl FromStr for BlockName {
    type Err = String;

    fn from_str(text: &str) -> Result<BlockName, String> {
        let parse = || {
            let (segment, block) = text.split_once('/')?;
            Some(BlockName { segment: segment.parse().ok()?, block: block.parse().ok()? })
        };
        parse().ok_or_else(|| format!("a block is named SEGMENT/BLOCK, like 3/17, not {text:?}"))
    }
}

/// Runs `cinclus wal`.
///
/// # Errors
/// What cannot be read; what is damaged.
pub(crate) fn run(args: &WalArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let done = runtime.block_on(async {
        match &args.command {
            WalCommand::Inspect(args) => inspect::inspect(args, &mut out).await,
            WalCommand::Verify(args) => verify::verify(args, &mut out).await,
            WalCommand::Tail(args) => tail::tail(args, &mut out).await,
            WalCommand::Repair(args) => repair::repair(args, &mut out).await,
        }
    });
    // Whoever reads only the first lines closes the pipe: that is no failure of ours.
    match (out.flush(), done) {
        (Err(error), Ok(())) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        (_, Err(error)) if is_broken_pipe(&error) => Ok(()),
        (_, done) => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        wal: WalArgs,
    }

    fn parse(line: &str) -> Result<WalCommand, clap::Error> {
        let words = std::iter::once("wal").chain(line.split_whitespace());
        Program::try_parse_from(words).map(|program| program.wal.command)
    }

    #[test]
    fn a_block_is_named_by_segment_and_number() {
        let Ok(WalCommand::Repair(repair)) = parse("repair data --channel c_0 --drop-after 3/17") else {
            panic!()
        };
        assert_eq!(repair.drop_after, BlockName { segment: 3, block: 17 });
        assert!(!repair.yes);
        assert!("3".parse::<BlockName>().is_err() && "3/x".parse::<BlockName>().is_err());
    }

    #[test]
    fn a_repair_without_a_block_is_refused() {
        assert!(parse("repair data --channel c_0").is_err());
        assert!(parse("repair data --drop-after 0/0").is_err());
        assert!(parse("inspect").is_err());
    }
}
