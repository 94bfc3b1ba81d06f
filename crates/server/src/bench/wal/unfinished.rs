//! Opening a log whose last segment has a thousand blocks and no footer.

use std::time::Instant;

use cinclus_log_storage::Record;

use super::args::WalArgs;
use super::objects::Objects;
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median;

const BLOCKS: usize = 1000;
const LATENCY: u64 = 20;

/// A log that is left without a word, and opened by another process.
pub(super) async fn unfinished(args: &WalArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("wal: objects, an unfinished segment", &[("open", Unit::Seconds)]);
    report.setting("blocks", BLOCKS);
    report.setting("milliseconds a call", LATENCY);
    for _ in 0..args.show.rounds {
        // Each append is a block of its own, and all are in one segment.
        let objects = Objects::new(true, |config| config.roll_blocks_max = 2 * BLOCKS as u64);
        let first = objects.process().await?;
        let mut writer = objects.writer(&first).await?;
        for number in 0..BLOCKS {
            let ids = writer.append(vec![Record::new(vec![7; 1024], Vec::new())]).await?;
            let at = ids.first().map(|id| (id.segment(), id.entry()));
            anyhow::ensure!(at == Some((0, number as u64)), "{at:?} instead of entry {number}");
        }
        drop((writer, first));
        let second = objects.process().await?;
        objects.store.set_latency(LATENCY);
        let start = Instant::now();
        let mut writer = objects.writer(&second).await?;
        report.round(&[start.elapsed().as_secs_f64()]);
        let ids = writer.append(vec![Record::new(vec![7; 1024], Vec::new())]).await?;
        anyhow::ensure!(ids.iter().all(|id| id.segment() == 1), "the segment was not completed");
    }
    let name = format!("objects, {LATENCY} ms: opening over {BLOCKS} unfinished blocks");
    let took = median(&report.column("open"));
    report.outcome(name, took, Unit::Seconds, Some(Reach::AtMost(1.0)));
    Ok(report)
}
