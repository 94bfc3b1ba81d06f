//! `cinclus bench disk`.

use super::args::DiskArgs;
use super::base;
use super::latencies::Latencies;
use super::report::{Report, Unit};
use super::statistics::median;
use crate::outside::progress::Progress;

/// Synced appends of each size: a report for each.
pub(super) fn appends(args: &DiskArgs) -> anyhow::Result<Vec<Report>> {
    let progress = Progress::new("synced appends", args.show.rounds * args.sizes.len() as u64);
    let columns =
        [("p50", Unit::Millis), ("p99", Unit::Millis), ("max", Unit::Millis), ("at p50", Unit::PerSecond)];
    let report = |size: &u64| {
        let mut report = Report::new("disk: append and fdatasync, one thread", &columns);
        report.setting("bytes", size);
        report.setting("appends a round", args.appends);
        report
    };
    let mut reports: Vec<Report> = args.sizes.iter().map(report).collect();
    for _ in 0..args.show.rounds {
        for (report, size) in reports.iter_mut().zip(&args.sizes) {
            let size = usize::try_from(*size)?;
            let mut took = Latencies::new();
            base::SyncedAppends::create(&args.place.dir, size)?.run(args.appends, &mut took)?;
            report.round(&[took.p50(), took.p99(), took.max(), 1000.0 / took.p50()]);
            progress.advance(1);
        }
    }
    for report in &mut reports {
        report.outcome("p50", median(&report.column("p50")), Unit::Millis, None);
        report.outcome("p99", median(&report.column("p99")), Unit::Millis, None);
    }
    Ok(reports)
}

/// The bandwidth with each chunk size.
pub(super) fn bandwidth(args: &DiskArgs) -> anyhow::Result<Report> {
    let progress = Progress::new("bandwidth", args.show.rounds * base::CHUNKS.len() as u64);
    let unit = Unit::MegabytesPerSecond;
    let columns = [("1 MiB", unit), ("4 MiB", unit), ("16 MiB", unit), ("best", unit)];
    let mut report = Report::new("disk: bandwidth, one fdatasync a chunk", &columns);
    report.setting("bytes with each chunk size", args.total);
    for _ in 0..args.show.rounds {
        let mut row = Vec::with_capacity(columns.len());
        for chunk in base::CHUNKS {
            row.push(base::bandwidth(&args.place.dir, chunk, args.total)? / 1e6);
            progress.advance(1);
        }
        row.push(row.iter().copied().fold(0.0, f64::max));
        report.round(&row);
    }
    report.outcome("bandwidth", median(&report.column("best")), unit, None);
    Ok(report)
}
