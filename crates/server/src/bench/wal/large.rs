//! Appends of 1 MiB, against the disk with as many bytes a sync.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use cinclus_log_storage::{AppendAck, LogWriter, Record};
use cinclus_types::PChannel;

use super::args::WalArgs;
use super::files::Files;
use crate::bench::base;
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median_ratio;
use crate::outside::rows::Noise;

const BYTES: usize = 1 << 20;
const DEPTHS: [usize; 2] = [1, 16];
const TOTAL: u64 = 256 << 20;
/// The sides take turns after so many bytes, and the other one begins each time: a disk may be faster for a while
/// after a rest.
const TURN: u64 = 64 << 20;

/// One at a time and sixteen at a time: a report for each.
pub(super) async fn large(args: &WalArgs) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for depth in DEPTHS {
        reports.push(at_depth(args, depth).await?);
    }
    Ok(reports)
}

/// One sync is in flight at a time, on both sides. The log says how many bytes each carries; the base then
/// writes pieces of that size.
async fn at_depth(args: &WalArgs, depth: usize) -> anyhow::Result<Report> {
    let unit = Unit::MegabytesPerSecond;
    let columns = [("log", unit), ("MB a sync", Unit::Count), ("base", unit)];
    let mut report = Report::new("wal: files, appends of 1 MiB", &columns);
    report.setting("in flight", depth);
    report.setting("bytes a round", TOTAL);
    let files = Files::create(&args.place.dir).await?;
    let channel = PChannel::numbered("large", 0);
    let mut writer = files.writer(&channel).await?;
    let payload = Bytes::from(Noise::new(3).bytes(BYTES));
    for _ in 0..args.show.rounds {
        let before = files.syncs(&channel);
        let (mut log, mut plain, mut chunk) = (0.0, 0.0, BYTES as u64);
        for turn in 1..=TOTAL / TURN {
            if turn % 2 == 0 {
                plain += TURN as f64 / base::bandwidth(&args.place.dir, usize::try_from(chunk)?, TURN)?;
            }
            log += TURN as f64 / append(&mut *writer, &payload, depth).await?;
            chunk = turn * TURN / (files.syncs(&channel) - before).max(1);
            if turn % 2 == 1 {
                plain += TURN as f64 / base::bandwidth(&args.place.dir, usize::try_from(chunk)?, TURN)?;
            }
        }
        let speed = |seconds: f64| TOTAL as f64 / 1e6 / seconds;
        report.round(&[speed(log), chunk as f64 / 1e6, speed(plain)]);
    }
    writer.close().await?;
    let ratio = median_ratio(&report.column("log"), &report.column("base"));
    let name = format!("files: appends of 1 MiB, {depth} in flight, bytes/s ÷ base");
    report.outcome(name, ratio, Unit::Ratio, Some(Reach::AtLeast(0.9)));
    Ok(report)
}

async fn append(writer: &mut dyn LogWriter, payload: &Bytes, depth: usize) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut waiting: VecDeque<AppendAck> = VecDeque::with_capacity(depth);
    for _ in 0..TURN / payload.len() as u64 {
        if waiting.len() == depth
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await?;
        }
        waiting.push_back(writer.append(vec![Record::new(payload.clone(), Vec::new())]));
    }
    for ack in waiting {
        ack.await?;
    }
    Ok(TURN as f64 / start.elapsed().as_secs_f64())
}
