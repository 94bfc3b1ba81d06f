//! What the drill can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::plan::FaultKind;
use crate::config::values;

/// `cinclus drill`.
///
/// It starts a server of its own on free ports and an empty data directory, writes and reads through the public
/// service, does to the server what an operator fears, and compares what is there with what was acknowledged. It
/// ends with 0 if nothing is lost and nothing is there twice, with 1 otherwise.
#[derive(Clone, Debug, Args)]
pub(crate) struct DrillArgs {
    /// What is done to the server [default: kill,pause,stop, and disk with --small-disk].
    #[arg(long, value_name = "FAULT,…", value_delimiter = ',', value_enum)]
    pub(super) faults: Vec<FaultKind>,
    /// Faults, one a round; after each all rows are compared.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rounds: u64,
    /// Rounds until so much time is over, instead of a number of them.
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "rounds")]
    pub(super) time: Option<Duration>,
    /// Clients that write. Every other one names its requests and repeats them until they are answered.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) clients: u32,
    /// Decides which faults come when, and what is written [default: another one each time].
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Configuration of the server, for example to have its data in an object storage: name a place there that
    /// nobody else uses, it is not removed in the end.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where the server's data directory is made; it is removed in the end.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// A folder on a small file system of its own, for the fault `disk`: the data directory is made there, and the
    /// file system is filled.
    #[arg(long, value_name = "DIR")]
    pub(super) small_disk: Option<PathBuf>,
    /// Keep the data directory and the server's log, also if all is well.
    #[arg(long)]
    pub(super) keep: bool,
    /// The report as one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl DrillArgs {
    /// The faults that are drawn.
    ///
    /// # Errors
    /// If one needs what is not given.
    pub(super) fn kinds(&self) -> anyhow::Result<Vec<FaultKind>> {
        let disk = self.small_disk.is_some();
        if self.faults.is_empty() {
            let kinds = [FaultKind::Kill, FaultKind::Pause, FaultKind::Stop];
            return Ok(kinds.into_iter().chain(disk.then_some(FaultKind::Disk)).collect());
        }
        anyhow::ensure!(
            disk || !self.faults.contains(&FaultKind::Disk),
            "the fault disk needs --small-disk DIR: a folder on a small file system of its own that may be filled, \
             as `mount -t tmpfs -o size=300m none DIR` makes one"
        );
        Ok(self.faults.clone())
    }
}

fn span(text: &str) -> anyhow::Result<Duration> {
    values::span(&Value::String(text.to_owned()), Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        drill: DrillArgs,
    }

    fn parse(line: &str) -> Result<DrillArgs, clap::Error> {
        let words = std::iter::once("drill").chain(line.split_whitespace());
        Program::try_parse_from(words).map(|program| program.drill)
    }

    #[test]
    fn a_full_disk_needs_a_small_one() {
        let kinds = |line| parse(line).unwrap().kinds();
        assert_eq!(kinds("").unwrap(), [FaultKind::Kill, FaultKind::Pause, FaultKind::Stop]);
        assert_eq!(kinds("--small-disk x").unwrap().last(), Some(&FaultKind::Disk));
        assert_eq!(kinds("--faults pause").unwrap(), [FaultKind::Pause]);
        let error = kinds("--faults kill,disk").unwrap_err().to_string();
        assert!(error.contains("--small-disk"), "{error}");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(parse("--rounds 3 --time 10s").is_err());
        assert!(parse("--rounds 0").is_err() && parse("--clients 0").is_err());
        assert!(parse("--faults flood").is_err() && parse("--time soon").is_err());
        assert_eq!(parse("--time 2m").unwrap().time, Some(Duration::from_secs(120)));
    }
}
