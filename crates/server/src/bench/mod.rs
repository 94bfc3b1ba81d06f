//! `cinclus bench`: a load generator that measures a server through its public service, and its log by itself.
//!
//! Every figure that depends on the disk or on memory is measured in rounds A B A B: A is what this machine
//! can do at best (the *base*), B is the server. All rounds are printed; the median of the ratios counts,
//! because a shared machine is slow for both or for none.
//!
//! | file | what |
//! | --- | --- |
//! | [`args`], [`run`] | the command line, and what starts which bench |
//! | [`disk`], [`base`] | `bench disk`; synced appends, bandwidth, a sum over memory |
//! | [`insert`], [`bulk`], [`freshness`], [`search`], [`recovery`], [`idle`] | the other benches |
//! | [`wal`] | the log by itself, without a server |
//! | [`load`] | clients that insert as fast as they can; clients and rows are those of [`crate::outside`] |
//! | [`target`] | a server of our own, or one that runs |
//! | [`machine`], [`usage`] | what `/proc` says of this machine and of a process |
//! | [`latencies`], [`statistics`], [`report`] | numbers, and how they are shown |
#![expect(
    clippy::disallowed_methods,
    reason = "it measures this machine: its clock, its files, its processes; nothing here runs in a server"
)]

pub(crate) mod args;
mod base;
mod bulk;
mod disk;
mod freshness;
mod idle;
mod insert;
mod latencies;
mod load;
mod machine;
mod recovery;
mod report;
pub(crate) mod run;
mod search;
mod statistics;
mod target;
mod usage;
mod wal;
