//! Full blocks that go out beside each other, against plain parallel puts of the same size.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use cinclus_log_storage::{AppendAck, Record};
use futures::{StreamExt, TryStreamExt, stream};

use super::args::WalArgs;
use super::objects::Objects;
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median_ratio;
use crate::outside::rows::Noise;

const DEPTH: usize = 32;
const BLOCK: usize = 4 << 20;
/// So many batches fill a block.
const BATCHES: usize = 4;
const TOTAL: usize = 4 << 30;

/// A report for a latency.
pub(super) async fn uploads(args: &WalArgs, latency: u64) -> anyhow::Result<Report> {
    let unit = Unit::MegabytesPerSecond;
    let mut report = Report::new("wal: objects, parallel uploads", &[("puts", unit), ("appends", unit)]);
    report.setting("milliseconds a call", latency);
    report.setting("uploads at once", DEPTH);
    report.setting("bytes of each", BLOCK);
    report.setting("bytes a round", TOTAL);
    let content = Bytes::from(Noise::new(6).bytes(BLOCK));
    for _ in 0..args.show.rounds {
        // An empty store for each round: only names of objects are kept, but those are.
        let objects = Objects::new(false, |config| {
            (config.block_bytes_max, config.uploads_max) = (BLOCK as u64, DEPTH);
        });
        let plain = puts(&objects, &content, latency).await?;
        let ours = appends(&objects, &content, latency).await?;
        report.round(&[plain / 1e6, ours / 1e6]);
    }
    let ratio = median_ratio(&report.column("appends"), &report.column("puts"));
    let name = format!("objects, {latency} ms: {DEPTH} uploads at once, bytes/s ÷ plain puts");
    report.outcome(name, ratio, Unit::Ratio, Some(Reach::AtLeast(0.9)));
    Ok(report)
}

async fn puts(objects: &Objects, content: &Bytes, latency: u64) -> anyhow::Result<f64> {
    objects.store.set_latency(latency);
    let start = Instant::now();
    let puts = (0..TOTAL / BLOCK).map(|number| {
        let (store, content) = (objects.store.clone(), content.clone());
        let put = tokio::spawn(async move { store.create(format!("plain/{number}"), content).await });
        async move { anyhow::Ok(put.await??) }
    });
    stream::iter(puts).buffer_unordered(DEPTH).try_collect::<()>().await?;
    Ok(TOTAL as f64 / start.elapsed().as_secs_f64())
}

async fn appends(objects: &Objects, content: &Bytes, latency: u64) -> anyhow::Result<f64> {
    objects.store.set_latency(0);
    let process = objects.process().await?;
    let mut writer = objects.writer(&process).await?;
    objects.store.set_latency(latency);
    // A little is left for what stands around a record.
    let batch = vec![Record::new(content.slice(..BLOCK / BATCHES - 64), Vec::new())];
    let start = Instant::now();
    let mut waiting: VecDeque<AppendAck> = VecDeque::new();
    for _ in 0..TOTAL / BLOCK * BATCHES {
        // Twice as many wait as are under way, so that there always is a full block.
        if waiting.len() == 2 * DEPTH * BATCHES
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await?;
        }
        waiting.push_back(writer.append(batch.clone()));
    }
    for ack in waiting {
        ack.await?;
    }
    Ok(TOTAL as f64 / start.elapsed().as_secs_f64())
}
