//! What the benches can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::wal::args::WalArgs;
use crate::config::values;

/// `cinclus bench`.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// Which.
    #[command(subcommand)]
    pub(super) bench: Bench,
}

/// The benches.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Bench {
    /// What the disk can do: synced appends of a few bytes, and bandwidth. The base of the other benches.
    Disk(DiskArgs),
    /// Inserts: one row at a time, many clients, large batches.
    Insert(InsertArgs),
    /// How long after an insert was sent a Strong search finds the row.
    Freshness(FreshnessArgs),
    /// Search over growing rows, against one core that sums the same bytes.
    Search(SearchArgs),
    /// kill -9 of a server of its own, and how long until a Strong count(*) has all rows again.
    Recovery(RecoveryArgs),
    /// An idle server of its own: start, memory, CPU with many empty collections.
    Idle(IdleArgs),
    /// The log by itself, without a server: appends, reading, delivery, recovery, on files and on objects.
    Wal(WalArgs),
}

/// How results are shown.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    /// Rounds; each measures the base and the server, one after the other.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rounds: u64,
    /// One JSON object a line instead of text.
    #[arg(long)]
    pub(super) json: bool,
}

/// Where the base is measured.
#[derive(Clone, Debug, Args)]
pub(super) struct PlaceArgs {
    /// Where the base is measured and servers of its own keep their data, in a folder that is removed in
    /// the end: on the same disk as the data of the server.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
}

/// Which server is measured.
#[derive(Clone, Debug, Args)]
pub(super) struct TargetArgs {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19530", conflicts_with = "spawn")]
    pub(super) address: String,
    /// Start a server of its own, on free ports and an empty data directory, and end it afterwards.
    #[arg(long)]
    pub(super) spawn: bool,
    /// Configuration of the server of its own.
    #[arg(long, value_name = "FILE", requires = "spawn")]
    pub(super) config: Option<PathBuf>,
    /// The process of a server on this machine: then its CPU and memory are reported.
    #[arg(long, value_name = "PID", conflicts_with = "spawn")]
    pub(super) server_pid: Option<u32>,
    #[command(flatten)]
    /// Where the base is measured.
    pub(super) place: PlaceArgs,
}

/// `cinclus bench disk`.
#[derive(Clone, Debug, Args)]
pub(super) struct DiskArgs {
    /// Sizes of the synced appends.
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', value_parser = bytes, default_values = ["512", "4k", "64k"])]
    pub(super) sizes: Vec<u64>,
    /// Appends of each size a round.
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(super) appends: u64,
    /// Bytes written with each chunk size a round.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "128m")]
    pub(super) total: u64,
    #[command(flatten)]
    /// Where.
    pub(super) place: PlaceArgs,
    #[command(flatten)]
    /// How results are shown.
    pub(super) show: ShowArgs,
}

/// What `cinclus bench insert` can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Case {
    /// One row at a time, one client, against a synced append of the same bytes.
    One,
    /// One row at a time, many clients, against one.
    Clients,
    /// One row at a time, one client, while others search and persist, against nobody else.
    Busy,
    /// Large batches, a few hundred MiB, against the disk's bandwidth.
    Burst,
    /// Large batches for minutes, with persisting, against the disk's bandwidth.
    Steady,
}

/// `cinclus bench insert`.
#[derive(Clone, Debug, Args)]
pub(super) struct InsertArgs {
    /// What is measured.
    #[arg(long = "case", value_name = "CASE,…", value_delimiter = ',', value_enum, default_values_t = [Case::One, Case::Clients, Case::Burst])]
    pub(super) cases: Vec<Case>,
    /// Also the case `steady`, for so long in all.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(super) steady: Option<Duration>,
    /// Floats in a vector.
    #[arg(long, value_name = "N", default_value_t = 768)]
    pub(super) dim: usize,
    /// Rows that one client sends one at a time in a round.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) rows: u64,
    /// Concurrent clients, each with a connection.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) clients: usize,
    /// How long each side of `clients` runs in a round.
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "2s")]
    pub(super) clients_time: Duration,
    /// Rows of a large batch.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) batch: usize,
    /// Bytes of vectors of a burst.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "512m")]
    pub(super) burst: u64,
    /// Large batches that are under way at once, each on a connection.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(super) in_flight: usize,
    #[command(flatten)]
    /// The server.
    pub(super) target: TargetArgs,
    #[command(flatten)]
    /// How results are shown.
    pub(super) show: ShowArgs,
}

/// `cinclus bench freshness`.
#[derive(Clone, Debug, Args)]
pub(super) struct FreshnessArgs {
    /// Rows, over all rounds.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) rows: u64,
    /// Floats in a vector.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(super) dim: usize,
    #[command(flatten)]
    /// The server.
    pub(super) target: TargetArgs,
    #[command(flatten)]
    /// How results are shown.
    pub(super) show: ShowArgs,
}

/// `cinclus bench search`.
#[derive(Clone, Debug, Args)]
pub(super) struct SearchArgs {
    /// Rows to search.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(super) rows: usize,
    /// Floats in a vector.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(super) dim: usize,
    /// Neighbours to find.
    #[arg(long = "k", value_name = "N", default_value_t = 10)]
    pub(super) top: usize,
    /// Searches a round.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) searches: u64,
    #[command(flatten)]
    /// The server.
    pub(super) target: TargetArgs,
    #[command(flatten)]
    /// How results are shown.
    pub(super) show: ShowArgs,
}

/// `cinclus bench recovery`.
#[derive(Clone, Debug, Args)]
pub(super) struct RecoveryArgs {
    /// Rows that are in the log only.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(super) rows: usize,
    /// Floats in a vector.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(super) dim: usize,
    /// Configuration of the server; without one, a configuration that persists none of the rows.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    /// Where the server's data is.
    pub(super) place: PlaceArgs,
    #[command(flatten)]
    /// How results are shown.
    pub(super) show: ShowArgs,
}

/// `cinclus bench idle`.
#[derive(Clone, Debug, Args)]
pub(super) struct IdleArgs {
    /// Empty collections.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) collections: usize,
    /// How long it is watched.
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "20s")]
    pub(super) watch: Duration,
    /// Configuration of the server.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    /// Where the server's data is.
    pub(super) place: PlaceArgs,
    #[command(flatten)]
    /// How results are shown.
    pub(super) show: ShowArgs,
}

fn bytes(text: &str) -> anyhow::Result<u64> {
    values::bytes(&Value::String(text.to_owned()))
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
        bench: BenchArgs,
    }

    fn parse(line: &str) -> Result<Bench, clap::Error> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        Program::try_parse_from(words).map(|program| program.bench.bench)
    }

    #[test]
    fn sizes_and_spans_are_read() {
        let Ok(Bench::Disk(disk)) = parse("disk --sizes 100,4k,1m --total 1g --rounds 7") else { panic!() };
        assert_eq!((disk.sizes.as_slice(), disk.total), (&[100, 4096, 1 << 20][..], 1 << 30));
        assert_eq!(disk.show.rounds, 7);
        let Ok(Bench::Insert(insert)) = parse("insert --steady 120s --case burst,one --spawn") else {
            panic!()
        };
        assert_eq!((insert.steady, insert.burst), (Some(Duration::from_secs(120)), 512 << 20));
        assert_eq!(insert.cases, [Case::Burst, Case::One]);
    }

    #[test]
    fn the_defaults_are_those_of_the_figures_that_count() {
        let Ok(Bench::Search(search)) = parse("search") else { panic!() };
        assert_eq!((search.rows, search.dim, search.top), (100_000, 128, 10));
        assert_eq!(search.target.address, "http://127.0.0.1:19530");
        let Ok(Bench::Recovery(recovery)) = parse("recovery") else { panic!() };
        assert_eq!((recovery.rows, recovery.dim, recovery.show.rounds), (200_000, 128, 5));
        let Ok(Bench::Freshness(freshness)) = parse("freshness") else { panic!() };
        assert_eq!((freshness.rows, freshness.dim), (10_000, 128));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(parse("search --spawn --server-pid 1").is_err());
        assert!(parse("search --config x.yaml").is_err());
        assert!(parse("insert --burst many").is_err());
        assert!(parse("disk --rounds 0").is_err());
        assert!(parse("").is_err());
    }
}
