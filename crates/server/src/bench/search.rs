//! `cinclus bench search`: the growing rows, against one core that sums the same bytes.

use std::time::Instant;

use anyhow::ensure;

use super::args::SearchArgs;
use super::base;
use super::insert::{Collection, Loaded};
use super::latencies::Latencies;
use super::report::{Reach, Report, Unit};
use super::statistics::median;
use super::target::Target;
use super::usage::Process;
use crate::outside::client::{Client, hits};
use crate::outside::progress::Progress;
use crate::outside::rows::{self, Noise, Vectors};

const BATCH_ROWS: usize = 1000;
/// What a search may take beside the pass over memory: the way there and back.
const ALLOWANCE_MS: f64 = 0.6;
const ALLOWED_RATIO: f64 = 1.25;

/// Fills a collection and searches it.
pub(super) async fn search(args: &SearchArgs, target: &Target) -> anyhow::Result<Report> {
    let ms = Unit::Millis;
    let columns = [
        ("sum p50", ms),
        ("p50", ms),
        ("p99", ms),
        ("max", ms),
        ("searches", Unit::PerSecond),
        ("limit", ms),
        ("p50 / limit", Unit::Ratio),
    ];
    let mut report = Report::new("search: growing rows, one client", &columns);
    for (name, value) in [("rows", args.rows), ("dim", args.dim), ("k", args.top)] {
        report.setting(name, value);
    }
    let collection = Collection::create(target, "search", args.dim, Loaded::Yes).await?;
    let mut client = target.client().await?;
    let floats = Noise::new(17).floats(args.rows * args.dim);
    fill(&mut client, &collection.name, &floats, args.dim).await?;
    let progress = Progress::new("search", args.show.rounds * args.searches);
    let mut noise = Noise::new(19);
    let (start, own) = (target.snapshot()?, Process::own().snapshot()?);
    for _ in 0..args.show.rounds {
        let sums = time_sums(&floats, args.searches);
        let (mut took, begin) = (Latencies::new(), Instant::now());
        for _ in 0..args.searches {
            let vector = noise.floats(args.dim);
            let request = rows::search(&collection.name, &vector, args.top);
            let sent = Instant::now();
            client.search(request).await?;
            took.record(sent.elapsed());
            progress.advance(1);
        }
        let per_second = args.searches as f64 / begin.elapsed().as_secs_f64();
        let limit = ALLOWED_RATIO * sums.p50() + ALLOWANCE_MS;
        report.round(&[
            sums.p50(),
            took.p50(),
            took.p99(),
            took.max(),
            per_second,
            limit,
            took.p50() / limit,
        ]);
        let vector = noise.floats(args.dim);
        let answer = client.search(rows::search(&collection.name, &vector, args.top)).await?;
        check_nearest(&floats, &vector, hits(&answer), args.top)?;
    }
    report.usage("server", target.since(start.as_ref())?);
    report.usage("generator", Some(Process::own().since(&own)?));
    let ratio = median(&report.column("p50 / limit"));
    report.outcome("p50 / (1.25 × sum + 0.6 ms)", ratio, Unit::Ratio, Some(Reach::AtMost(1.0)));
    collection.verify_and_drop(args.rows as i64).await?;
    Ok(report)
}

/// Inserts all vectors with their positions as keys.
pub(super) async fn fill(
    client: &mut Client,
    collection: &str,
    floats: &[f32],
    dim: usize,
) -> anyhow::Result<()> {
    let progress = Progress::new("filling", (floats.len() / dim) as u64);
    for (number, batch) in floats.chunks(BATCH_ROWS * dim).enumerate() {
        let vectors = Vectors::new(batch.to_vec(), dim);
        client.insert(rows::insert(collection, (number * BATCH_ROWS) as i64, &vectors)).await?;
        progress.advance(vectors.rows as u64);
    }
    Ok(())
}

fn time_sums(floats: &[f32], count: u64) -> Latencies {
    let mut took = Latencies::new();
    for _ in 0..count {
        let start = Instant::now();
        std::hint::black_box(base::sum(std::hint::black_box(floats)));
        took.record(start.elapsed());
    }
    took
}

/// A fast answer must be a right one: every hit is as near as the nearest `top` rows are.
fn check_nearest(floats: &[f32], vector: &[f32], hits: &[i64], top: usize) -> anyhow::Result<()> {
    let distance = |row: &[f32]| -> f64 {
        row.iter().zip(vector).map(|(a, b)| f64::from(a - b) * f64::from(a - b)).sum()
    };
    let distances: Vec<f64> = floats.chunks_exact(vector.len()).map(distance).collect();
    let mut sorted = distances.clone();
    sorted.sort_by(f64::total_cmp);
    let expected = top.min(sorted.len());
    ensure!(hits.len() == expected, "{} hits where {expected} are expected", hits.len());
    let farthest = sorted[expected - 1] * (1.0 + 1e-5);
    for &key in hits {
        let found = usize::try_from(key).ok().and_then(|row| distances.get(row));
        ensure!(found.is_some_and(|found| *found <= farthest), "row {key} is not among the {top} nearest");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_noticed() {
        let floats = [0.0, 0.0, 1.0, 0.0, 5.0, 5.0];
        assert!(check_nearest(&floats, &[0.1, 0.0], &[0, 1], 2).is_ok());
        assert!(check_nearest(&floats, &[0.1, 0.0], &[1, 0], 2).is_ok());
        assert!(check_nearest(&floats, &[0.1, 0.0], &[0, 2], 2).is_err());
        assert!(check_nearest(&floats, &[0.1, 0.0], &[0], 2).is_err());
        assert!(check_nearest(&floats, &[0.1, 0.0], &[0, 77], 2).is_err());
        assert!(check_nearest(&floats, &[0.1, 0.0], &[2, 1, 0], 9).is_ok());
    }
}
