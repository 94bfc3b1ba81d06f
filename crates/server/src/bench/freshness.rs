//! `cinclus bench freshness`: insert sent → seen by a Strong search.

use std::time::Instant;

use super::args::FreshnessArgs;
use super::base;
use super::insert::{Collection, Loaded, stretches};
use super::latencies::Latencies;
use super::report::{Reach, Report, Unit};
use super::statistics::median;
use super::target::Target;
use super::usage::Process;
use crate::outside::client::{Client, hits};
use crate::outside::progress::Progress;
use crate::outside::rows::{self, Noise, Vectors};

/// One client: inserts a row, searches for exactly this row until it is found, and goes on.
pub(super) async fn freshness(args: &FreshnessArgs, target: &Target) -> anyhow::Result<Report> {
    let ms = Unit::Millis;
    let columns = [
        ("base p50", ms),
        ("base p99", ms),
        ("insert p50", ms),
        ("seen p50", ms),
        ("seen p99", ms),
        ("seen max", ms),
        ("not at once", Unit::Count),
        ("p50 / base", Unit::Ratio),
        ("p99 / base", Unit::Ratio),
    ];
    let mut report = Report::new("freshness: insert sent, seen by a Strong search", &columns);
    report.setting("dim", args.dim);
    report.setting("rows", args.rows);
    let collection = Collection::create(target, "freshness", args.dim, Loaded::Yes).await?;
    let mut client = target.client().await?;
    let mut noise = Noise::new(13);
    let progress = Progress::new("insert sent, seen by search", args.rows);
    let (start, own) = (target.snapshot()?, Process::own().snapshot()?);
    let bytes = rows::insert(&collection.name, 0, &Vectors::new(noise.floats(args.dim), args.dim)).len();
    report.setting("bytes a row", bytes);
    let mut appends = base::SyncedAppends::create(target.dir(), bytes)?;
    let mut key = 0;
    for number in 0..args.show.rounds {
        let rows = args.rows * (number + 1) / args.show.rounds - args.rows * number / args.show.rounds;
        let (mut base, mut round) = (Latencies::new(), Round::default());
        for count in stretches(rows) {
            appends.run(count, &mut base)?;
            for _ in 0..count {
                round.row(&mut client, &collection.name, key, noise.floats(args.dim)).await?;
                key += 1;
                progress.advance(1);
            }
        }
        let Round { inserted, seen, not_at_once } = round;
        report.round(&[
            base.p50(),
            base.p99(),
            inserted.p50(),
            seen.p50(),
            seen.p99(),
            seen.max(),
            f64::from(not_at_once),
            seen.p50() / base.p50(),
            seen.p99() / base.p99(),
        ]);
    }
    report.usage("server", target.since(start.as_ref())?);
    report.usage("generator", Some(Process::own().since(&own)?));
    let (p50, p99) = (median(&report.column("p50 / base")), median(&report.column("p99 / base")));
    report.outcome("p50 / base p50", p50, Unit::Ratio, Some(Reach::AtMost(1.5)));
    report.outcome("p99 / base p99", p99, Unit::Ratio, Some(Reach::AtMost(3.0)));
    let missed = report.column("not at once").iter().sum();
    report.outcome(
        "acknowledged rows that a Strong search missed",
        missed,
        Unit::Count,
        Some(Reach::AtMost(0.0)),
    );
    collection.verify_and_drop(key).await?;
    Ok(report)
}

/// The times of one round.
#[derive(Default)]
struct Round {
    inserted: Latencies,
    seen: Latencies,
    not_at_once: u32,
}

impl Round {
    /// Inserts one row and searches until it is found.
    async fn row(
        &mut self,
        client: &mut Client,
        collection: &str,
        key: i64,
        vector: Vec<f32>,
    ) -> anyhow::Result<()> {
        let dim = vector.len();
        let search = rows::search(collection, &vector, 1);
        let insert = rows::insert(collection, key, &Vectors::new(vector, dim));
        let sent = Instant::now();
        client.insert(insert).await?;
        self.inserted.record(sent.elapsed());
        while hits(&client.search(search.clone()).await?) != [key] {
            self.not_at_once += 1;
        }
        self.seen.record(sent.elapsed());
        Ok(())
    }
}
