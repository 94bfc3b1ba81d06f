//! `cinclus bench insert`: large batches.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::args::InsertArgs;
use super::base;
use super::insert::{Collection, Loaded};
use super::load::insert_all;
use super::report::{Reach, Report, Unit};
use super::statistics::{median, median_ratio};
use super::target::Target;
use super::usage::Process;
use crate::outside::pieces::Pieces;
use crate::outside::progress::Progress;
use crate::outside::rows::{self, Noise, Vectors};

/// Bytes with each chunk size for one measurement of the base.
const BASE_BYTES: u64 = 256 << 20;
/// Batches of different vectors; they are sent in turn under new keys.
const BATCHES: usize = 16;

const KEY_BYTES: usize = 8;
/// The allocator keeps what was freed for a second, and looks once a second.
const GIVEN_BACK_AFTER: Duration = Duration::from_secs(3);
/// What a server may hold besides rows: itself, and the budget of the write-ahead buffer.
const EMPTY_AND_BUFFER_BYTES: f64 = ((30 + 16) << 20) as f64;

/// Large batches for a collection.
struct Batches {
    vectors: Vec<Vectors>,
    sent: Cell<usize>,
}

impl Batches {
    fn new(rows: usize, dim: usize) -> Batches {
        let mut noise = Noise::new(9);
        let vectors = (0..BATCHES).map(|_| Vectors::new(noise.floats(rows * dim), dim)).collect();
        Batches { vectors, sent: Cell::new(0) }
    }

    fn next(&self, collection: &str) -> Pieces {
        let number = self.sent.replace(self.sent.get() + 1);
        let vectors = &self.vectors[number % BATCHES];
        rows::insert(collection, (number * vectors.rows) as i64, vectors)
    }

    fn batch_bytes(&self) -> u64 {
        self.vectors[0].bytes
    }

    fn batch_rows(&self) -> usize {
        self.vectors[0].rows
    }
}

/// A burst, against the disk's bandwidth. Each round has a collection of its own.
pub(super) async fn burst(args: &InsertArgs, target: &Target) -> anyhow::Result<Report> {
    let columns = [
        ("base", Unit::MegabytesPerSecond),
        ("vectors", Unit::MegabytesPerSecond),
        ("rows", Unit::PerSecond),
        ("p50", Unit::Millis),
        ("p99", Unit::Millis),
        ("max", Unit::Millis),
        ("server CPU", Unit::CoreSecondsPerGigabyte),
        ("generator CPU", Unit::CoreSecondsPerGigabyte),
        ("resident", Unit::Mebibytes),
        ("/ base", Unit::Ratio),
    ];
    let mut report = Report::new("insert: a burst of large batches", &columns);
    let batches = Batches::new(args.batch, args.dim);
    let count = args.burst.div_ceil(batches.batch_bytes());
    for (name, value) in [("dim", args.dim), ("rows a batch", args.batch), ("in flight", args.in_flight)] {
        report.setting(name, value);
    }
    report.setting("bytes", count * batches.batch_bytes());
    let clients = target.clients(args.in_flight).await?;
    let progress = Progress::new("a burst of large batches", count * args.show.rounds);
    for _ in 0..args.show.rounds {
        target.quiet().await?;
        let base = base::best_bandwidth(target.dir(), BASE_BYTES)?;
        let collection = Collection::create(target, "burst", args.dim, Loaded::Yes).await?;
        let (start, own) = (target.snapshot()?, Process::own().snapshot()?);
        let left = Cell::new(count);
        let next = || {
            left.set(left.get().checked_sub(1)?);
            Some(batches.next(&collection.name))
        };
        let load = insert_all(&clients, next, &progress).await?;
        let (server, own) = (target.since(start.as_ref())?, Process::own().since(&own)?);
        // What is only under way is given back first.
        target.quiet().await?;
        tokio::time::sleep(GIVEN_BACK_AFTER).await;
        let held = target.since(start.as_ref())?.map_or(f64::NAN, |usage| usage.memory.resident as f64);
        let bytes = (count * batches.batch_bytes()) as f64;
        let rate = bytes / load.took.as_secs_f64();
        let rows_per_second = rate / batches.batch_bytes() as f64 * batches.batch_rows() as f64;
        let took = &load.latencies;
        report.round(&[
            base / 1e6,
            rate / 1e6,
            rows_per_second,
            took.p50(),
            took.p99(),
            took.max(),
            server.map_or(f64::NAN, |usage| usage.cpu_seconds) / (bytes / 1e9),
            own.cpu_seconds / (bytes / 1e9),
            held / f64::from(1 << 20),
            rate / base,
        ]);
        collection.verify_and_drop(count as i64 * batches.batch_rows() as i64).await?;
    }
    let ratio = median_ratio(&report.column("vectors"), &report.column("base"));
    report.outcome("bytes of vectors/s / base", ratio, Unit::Ratio, Some(Reach::AtLeast(0.6)));
    cpu_outcome(&mut report, 5.0);
    let raw = count as f64 * (batches.batch_bytes() as f64 + (batches.batch_rows() * KEY_BYTES) as f64);
    if let Some(held) = report.column("resident").first().filter(|held| held.is_finite()) {
        let rows = held * f64::from(1 << 20) - EMPTY_AND_BUFFER_BYTES;
        report.outcome(
            "resident for the rows / their bytes",
            rows / raw,
            Unit::Ratio,
            Some(Reach::AtMost(1.3)),
        );
    }
    Ok(report)
}

/// Minutes of large batches with persisting, cut into rounds between which the base is measured.
pub(super) async fn steady(args: &InsertArgs, target: &Target, time: Duration) -> anyhow::Result<Report> {
    let columns = [
        ("base", Unit::MegabytesPerSecond),
        ("written", Unit::MegabytesPerSecond),
        ("vectors", Unit::MegabytesPerSecond),
        ("rows", Unit::PerSecond),
        ("p50", Unit::Millis),
        ("p99", Unit::Millis),
        ("max", Unit::Millis),
        ("server CPU", Unit::CoreSecondsPerGigabyte),
        ("resident", Unit::Mebibytes),
        ("written / base", Unit::Ratio),
    ];
    let process =
        target.process().context("the server's process must be known: use --spawn or --server-pid")?;
    let mut report = Report::new("insert: large batches without an end", &columns);
    let batches = Batches::new(args.batch, args.dim);
    for (name, value) in [("dim", args.dim), ("rows a batch", args.batch), ("in flight", args.in_flight)] {
        report.setting(name, value);
    }
    report.setting("seconds", time.as_secs());
    // Not loaded: sealed rows go to files and leave memory.
    let collection = Collection::create(target, "steady", args.dim, Loaded::No).await?;
    let clients = target.clients(args.in_flight).await?;
    let progress = Progress::new("large batches without an end", 0);
    let round_time = time / args.show.rounds as u32;
    for _ in 0..args.show.rounds {
        target.quiet().await?;
        let base = base::best_bandwidth(target.dir(), BASE_BYTES)?;
        let (begin, start) = (Instant::now(), process.snapshot()?);
        let next = || (begin.elapsed() < round_time).then(|| batches.next(&collection.name));
        let load = insert_all(&clients, next, &progress).await?;
        let server = process.since(&start)?;
        let bytes = (load.latencies.count() * batches.batch_bytes()) as f64;
        let written = server.written_bytes as f64 / server.seconds;
        let rate = bytes / load.took.as_secs_f64();
        let took = &load.latencies;
        report.round(&[
            base / 1e6,
            written / 1e6,
            rate / 1e6,
            load.per_second() * batches.batch_rows() as f64,
            took.p50(),
            took.p99(),
            took.max(),
            server.cpu_seconds / (bytes / 1e9),
            server.memory.resident as f64 / f64::from(1 << 20),
            written / base,
        ]);
    }
    let ratio = median_ratio(&report.column("written"), &report.column("base"));
    report.outcome("bytes written/s / base", ratio, Unit::Ratio, Some(Reach::AtLeast(0.6)));
    cpu_outcome(&mut report, 12.0);
    let resident = report.column("resident");
    if let [first, .., last] = resident.as_slice() {
        report.outcome(
            "resident after the last round / the first",
            last / first,
            Unit::Ratio,
            Some(Reach::AtMost(1.1)),
        );
    }
    collection.verify_and_drop(0).await?;
    Ok(report)
}

fn cpu_outcome(report: &mut Report, limit: f64) {
    let cpu = median(&report.column("server CPU"));
    if cpu.is_finite() {
        let (unit, reach) = (Unit::CoreSecondsPerGigabyte, Some(Reach::AtMost(limit)));
        report.outcome("server CPU a gigabyte of vectors", cpu, unit, reach);
    }
}
