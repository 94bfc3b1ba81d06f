//! What `cinclus bench wal` can be told.

use clap::{Args, ValueEnum};

use crate::bench::args::{PlaceArgs, ShowArgs};

/// The parts of `cinclus bench wal`, in the order in which they run: what is idle is measured before anything
/// else has used memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in crate::bench) enum WalCase {
    /// Files: CPU and memory of VChannels of which nobody wants anything.
    Idle,
    /// Files: one append after the other, against a synced append of the same bytes.
    Lone,
    /// Files: many writers, against one.
    Writers,
    /// Files: large appends, against the disk with as many bytes a sync.
    Large,
    /// Files: reading it all, from the page cache.
    CatchUp,
    /// Files: reading it all over gRPC, from the page cache.
    Deliver,
    /// Files: from an append's answer to its delivery to many subscribers.
    Tail,
    /// Objects: one append after the other, against one put.
    Put,
    /// Objects: full blocks beside each other, against plain parallel puts.
    Uploads,
    /// Objects: reading it all, against plain parallel gets.
    Gets,
    /// Objects: opening a log whose last segment is unfinished.
    Unfinished,
}

/// `cinclus bench wal`.
#[derive(Clone, Debug, Args)]
pub(in crate::bench) struct WalArgs {
    /// What is measured; everything if none is named.
    #[arg(long = "case", value_name = "CASE,…", value_delimiter = ',', value_enum)]
    pub(super) cases: Vec<WalCase>,
    /// Appends a round of each side of `lone`.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) appends: u64,
    /// Writers of `writers`.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) writers: u64,
    /// Bytes of a message of `deliver`, with its row.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1 << 10, 16 << 10, 64 << 10])]
    pub(super) message: Vec<u64>,
    /// Subscribers of `tail`.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) subscribers: u64,
    /// Milliseconds that each call to the object store takes.
    #[arg(long, value_name = "MS,…", value_delimiter = ',', default_values_t = [10, 50, 100])]
    pub(super) latency: Vec<u64>,
    /// Idle VChannels of `idle`.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) vchannels: u64,
    /// Where files are.
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// How results are shown.
    #[command(flatten)]
    pub(in crate::bench) show: ShowArgs,
}
