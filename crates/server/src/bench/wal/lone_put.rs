//! One append of 1 KiB after the other, against one put.

use std::time::Instant;

use bytes::Bytes;
use cinclus_log_storage::Record;

use super::args::WalArgs;
use super::objects::Objects;
use crate::bench::latencies::Latencies;
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median_ratio;
use crate::outside::rows::Noise;

const BYTES: usize = 1 << 10;
const APPENDS: usize = 15;

/// A report for a latency.
pub(super) async fn lone_put(args: &WalArgs, latency: u64) -> anyhow::Result<Report> {
    let columns = ["put p50", "put max", "append p50", "append max"];
    let mut report =
        Report::new("wal: objects, one append at a time", &columns.map(|name| (name, Unit::Millis)));
    report.setting("milliseconds a call", latency);
    report.setting("bytes", BYTES);
    report.setting("appends a round", APPENDS);
    let objects = Objects::new(false, |_| {});
    let process = objects.process().await?;
    let mut writer = objects.writer(&process).await?;
    objects.store.set_latency(latency);
    let row = Bytes::from(Noise::new(5).bytes(BYTES));
    for round in 0..args.show.rounds {
        let (mut plain, mut ours) = (Latencies::new(), Latencies::new());
        for number in 0..APPENDS {
            let start = Instant::now();
            objects.store.create(format!("plain/{round}/{number}"), row.clone()).await?;
            plain.record(start.elapsed());
            let start = Instant::now();
            writer.append(vec![Record::new(row.clone(), Vec::new())]).await?;
            ours.record(start.elapsed());
        }
        report.round(&[plain.p50(), plain.max(), ours.p50(), ours.max()]);
    }
    let ratio = median_ratio(&report.column("append p50"), &report.column("put p50"));
    let name = format!("objects, {latency} ms: lone append, p50 ÷ put");
    report.outcome(name, ratio, Unit::Ratio, Some(Reach::AtMost(1.2)));
    Ok(report)
}
