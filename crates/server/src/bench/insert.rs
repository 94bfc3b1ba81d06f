//! `cinclus bench insert`: one row at a time.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use cinclus_proxy::proto::milvus::SearchRequest;

use super::args::InsertArgs;
use super::base;
use super::latencies::Latencies;
use super::load::{Load, insert_all};
use super::report::{Reach, Report, Unit};
use super::statistics::{median, median_ratio};
use super::target::Target;
use super::usage::Process;
use crate::outside::client::Client;
use crate::outside::pieces::Pieces;
use crate::outside::progress::Progress;
use crate::outside::rows::{self, Noise, Vectors};

/// Rows with a vector each, of which a client sends one at a time.
pub(super) struct SingleRows {
    collection: String,
    vectors: Vec<Vectors>,
    next: Cell<i64>,
}

impl SingleRows {
    /// Rows for a collection.
    pub(super) fn new(collection: &str, dim: usize) -> SingleRows {
        let mut noise = Noise::new(3);
        let vectors = (0..256).map(|_| Vectors::new(noise.floats(dim), dim)).collect();
        SingleRows { collection: collection.to_owned(), vectors, next: Cell::new(0) }
    }

    /// An insert of the next row.
    pub(super) fn next(&self) -> Pieces {
        let key = self.next.replace(self.next.get() + 1);
        rows::insert(&self.collection, key, &self.vectors[key as usize % self.vectors.len()])
    }

    async fn send(&self, client: &Client, count: u64, progress: &Progress) -> anyhow::Result<Load> {
        let left = Cell::new(count);
        let next = || {
            left.set(left.get().checked_sub(1)?);
            Some(self.next())
        };
        insert_all(std::slice::from_ref(client), next, progress).await
    }
}

/// Bytes of log for one row: measured if the log can be seen, else those of the request. Warms up, too.
async fn bytes_per_row(target: &Target, client: &Client, rows: &SingleRows) -> anyhow::Result<usize> {
    const ROWS: u64 = 200;
    let request = rows.next();
    let bytes = request.len();
    client.clone().insert(request).await?;
    let before = target.log_bytes();
    rows.send(client, ROWS, &Progress::new("warming up", ROWS)).await?;
    let grown = before.zip(target.log_bytes()).map(|(before, after)| (after - before) / ROWS);
    Ok(grown.map_or(bytes, |grown| grown as usize))
}

/// Rounds are cut into stretches, base and server in turn: what disturbs the machine for a second disturbs both.
const STRETCH: u64 = 50;

/// The lengths of the stretches of `count`.
pub(super) fn stretches(count: u64) -> impl Iterator<Item = u64> {
    (0..count).step_by(STRETCH as usize).map(move |start| (count - start).min(STRETCH))
}

/// How long the way to the server and back takes when there is nothing to do there.
async fn empty_call(client: &mut Client) -> anyhow::Result<Duration> {
    let start = Instant::now();
    client.version().await?;
    Ok(start.elapsed())
}

/// One client against synced appends of the same bytes.
pub(super) async fn one(args: &InsertArgs, target: &Target) -> anyhow::Result<Report> {
    let ms = Unit::Millis;
    let columns = [
        ("base p50", ms),
        ("base p99", ms),
        ("base max", ms),
        ("p50", ms),
        ("p99", ms),
        ("max", ms),
        ("rows", Unit::PerSecond),
        ("empty call p50", ms),
        ("p50 / base", Unit::Ratio),
        ("p99 / base", Unit::Ratio),
    ];
    let mut report = Report::new("insert: one row at a time, one client", &columns);
    let collection = Collection::create(target, "one", args.dim, Loaded::Yes).await?;
    let mut client = target.client().await?;
    let rows = SingleRows::new(&collection.name, args.dim);
    let bytes = bytes_per_row(target, &client, &rows).await?;
    let mut appends = base::SyncedAppends::create(target.dir(), bytes)?;
    report.setting("dim", args.dim);
    report.setting("bytes of log a row", bytes);
    report.setting("rows a round", args.rows);
    let progress = Progress::new("one row at a time", args.show.rounds * args.rows);
    let (start, own) = (target.snapshot()?, Process::own().snapshot()?);
    for _ in 0..args.show.rounds {
        let (mut base, mut took, mut calls) = (Latencies::new(), Latencies::new(), Latencies::new());
        let mut sending = Duration::ZERO;
        for count in stretches(args.rows) {
            appends.run(count, &mut base)?;
            let load = rows.send(&client, count, &progress).await?;
            took.add(&load.latencies);
            sending += load.took;
            calls.record(empty_call(&mut client).await?);
        }
        report.round(&[
            base.p50(),
            base.p99(),
            base.max(),
            took.p50(),
            took.p99(),
            took.max(),
            args.rows as f64 / sending.as_secs_f64(),
            calls.p50(),
            took.p50() / base.p50(),
            took.p99() / base.p99(),
        ]);
    }
    report.usage("server", target.since(start.as_ref())?);
    report.usage("generator", Some(Process::own().since(&own)?));
    let reach = Some(Reach::AtMost(1.5));
    report.outcome("p50 / base p50", median(&report.column("p50 / base")), Unit::Ratio, reach);
    report.outcome("p99 / base p99", median(&report.column("p99 / base")), Unit::Ratio, None);
    collection.verify_and_drop(rows.next.get()).await?;
    Ok(report)
}

/// Many clients against one.
pub(super) async fn clients(args: &InsertArgs, target: &Target) -> anyhow::Result<Report> {
    let columns = [
        ("one", Unit::PerSecond),
        ("all", Unit::PerSecond),
        ("p50", Unit::Millis),
        ("p99", Unit::Millis),
        ("max", Unit::Millis),
        ("all / one", Unit::Ratio),
    ];
    let mut report = Report::new("insert: one row at a time, concurrent clients", &columns);
    report.setting("dim", args.dim);
    report.setting("clients", args.clients);
    let collection = Collection::create(target, "clients", args.dim, Loaded::Yes).await?;
    let clients = target.clients(args.clients).await?;
    let rows = SingleRows::new(&collection.name, args.dim);
    bytes_per_row(target, &clients[0], &rows).await?;
    let progress = Progress::new("concurrent clients", 0);
    let (start, own) = (target.snapshot()?, Process::own().snapshot()?);
    for _ in 0..args.show.rounds {
        let timed = |clients| {
            let (begin, rows, progress) = (Instant::now(), &rows, &progress);
            let next = move || (begin.elapsed() < args.clients_time).then(|| rows.next());
            async move { insert_all(clients, next, progress).await }
        };
        let one = timed(&clients[..1]).await?;
        let all = timed(&clients).await?;
        let took = &all.latencies;
        let (one, all) = (one.per_second(), all.per_second());
        report.round(&[one, all, took.p50(), took.p99(), took.max(), all / one]);
    }
    report.usage("server", target.since(start.as_ref())?);
    report.usage("generator", Some(Process::own().since(&own)?));
    let ratio = median_ratio(&report.column("all"), &report.column("one"));
    report.outcome("rows/s of all / rows/s of one", ratio, Unit::Ratio, Some(Reach::AtLeast(20.0)));
    collection.verify_and_drop(rows.next.get()).await?;
    Ok(report)
}

/// One client while others search and persist without pause, against nobody else.
pub(super) async fn busy(args: &InsertArgs, target: &Target) -> anyhow::Result<Report> {
    let ms = Unit::Millis;
    let columns = [
        ("quiet p50", ms),
        ("quiet p99", ms),
        ("busy p50", ms),
        ("busy p99", ms),
        ("busy max", ms),
        ("searches", Unit::PerSecond),
        ("p50 ratio", Unit::Ratio),
        ("p99 ratio", Unit::Ratio),
    ];
    let mut report = Report::new("insert: one row at a time, during searches and persisting", &columns);
    report.setting("dim", args.dim);
    report.setting("rows a round", args.rows);
    let collection = Collection::create(target, "busy", args.dim, Loaded::Yes).await?;
    let client = target.client().await?;
    let rows = SingleRows::new(&collection.name, args.dim);
    bytes_per_row(target, &client, &rows).await?;
    let progress = Progress::new("during searches and persisting", 2 * args.show.rounds * args.rows);
    let start = target.snapshot()?;
    for _ in 0..args.show.rounds {
        target.quiet().await?;
        let quiet = rows.send(&client, args.rows, &progress).await?;
        let searches = Cell::new(0);
        let background = disturb(target, &collection.name, args.dim, &searches);
        let busy = alongside(rows.send(&client, args.rows, &progress), background).await?;
        let (quiet, took) = (&quiet.latencies, &busy.latencies);
        report.round(&[
            quiet.p50(),
            quiet.p99(),
            took.p50(),
            took.p99(),
            took.max(),
            f64::from(searches.get()) / busy.took.as_secs_f64(),
            took.p50() / quiet.p50(),
            took.p99() / quiet.p99(),
        ]);
    }
    report.usage("server", target.since(start.as_ref())?);
    let ratio = median(&report.column("p99 ratio"));
    report.outcome("busy p99 / quiet p99", ratio, Unit::Ratio, Some(Reach::AtMost(2.0)));
    collection.verify_and_drop(rows.next.get()).await?;
    Ok(report)
}

/// Runs `work` while `background` runs; an error of either ends both.
async fn alongside<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    background: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        ended = background => match ended {
            Ok(()) => anyhow::bail!("the background work ended"),
            Err(error) => Err(error),
        },
    }
}

/// Searches one after the other, and has the server persist one flush after the other, without an end.
async fn disturb(target: &Target, collection: &str, dim: usize, searches: &Cell<u32>) -> anyhow::Result<()> {
    let (mut searching, mut flushing) = (target.client().await?, target.client().await?);
    let request: SearchRequest = rows::search(collection, &Noise::new(5).floats(dim), 10);
    let search = async {
        loop {
            if let Err(error) = searching.search(request.clone()).await {
                return error;
            }
            searches.set(searches.get() + 1);
        }
    };
    let flush = async {
        loop {
            if let Err(error) = flushing.flush(collection).await {
                return error;
            }
        }
    };
    tokio::select! {
        biased;
        error = search => Err(error),
        error = flush => Err(error),
    }
}

/// Whether a collection can be searched; then its sealed rows are in memory, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// It can.
    Yes,
    /// It cannot.
    No,
}

/// A collection of the bench.
pub(super) struct Collection {
    /// Its name.
    pub(super) name: String,
    client: Client,
    loaded: Loaded,
}

impl Collection {
    /// Makes it, under a name of this process.
    pub(super) async fn create(
        target: &Target,
        what: &str,
        dim: usize,
        loaded: Loaded,
    ) -> anyhow::Result<Collection> {
        let mut client = target.client().await?;
        let name = format!("cinclus_bench_{what}_{}", std::process::id());
        match loaded {
            Loaded::Yes => client.create_loaded(&name, dim).await?,
            Loaded::No => client.create(&name, dim).await?,
        }
        Ok(Collection { name, client, loaded })
    }

    /// Checks that a Strong count(*) finds every acknowledged row (if it can be read), and drops it.
    pub(super) async fn verify_and_drop(mut self, rows: i64) -> anyhow::Result<()> {
        if self.loaded == Loaded::Yes {
            let count = self.client.count(&self.name).await?;
            anyhow::ensure!(
                count == rows.cast_unsigned(),
                "{rows} rows were acknowledged, a Strong count(*) finds {count}"
            );
        }
        self.client.drop_collection(&self.name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_add_up() {
        assert_eq!(stretches(120).collect::<Vec<_>>(), [50, 50, 20]);
        assert_eq!(stretches(50).collect::<Vec<_>>(), [50]);
        assert_eq!(stretches(0).count(), 0);
    }
}
