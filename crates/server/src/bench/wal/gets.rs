//! Reading a whole log from objects, against plain parallel gets of the same objects.

use std::time::Instant;

use cinclus_log_storage::woodpecker::ObjectsConfig;
use cinclus_log_storage::{DynLogStorage, Record};
use cinclus_types::MessageId;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::args::WalArgs;
use super::objects::{Objects, ROOT};
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median_ratio;
use crate::outside::rows::Noise;

const BLOCK: usize = 1 << 20;
const RECORDS: usize = 16;
const BLOCKS: usize = 512;
const TOTAL: f64 = (BLOCK * BLOCKS) as f64;

/// A report for a latency.
pub(super) async fn gets(args: &WalArgs, latency: u64) -> anyhow::Result<Report> {
    let unit = Unit::MegabytesPerSecond;
    let mut report = Report::new("wal: objects, reading", &[("gets", unit), ("log", unit)]);
    let objects = Objects::new(true, |_| {});
    let process = objects.process().await?;
    let mut writer = objects.writer(&process).await?;
    let record = Record::new(Noise::new(7).bytes(BLOCK / RECORDS - 64), Vec::new());
    for _ in 0..BLOCKS {
        writer.append(vec![record.clone(); RECORDS]).await?;
    }
    writer.close().await?;
    let paths = blocks(&objects).await?;
    // What the reader has under way as a rule.
    let at_once = usize::try_from(ObjectsConfig::new(ROOT).read_ahead_bytes)? / BLOCK;
    report.setting("milliseconds a call", latency);
    report.setting("blocks of 1 MiB", paths.len());
    report.setting("gets at once", at_once);
    objects.store.set_latency(latency);
    for _ in 0..args.show.rounds {
        let plain = plain_gets(&objects, &paths, at_once).await?;
        let ours = read(&process, &objects).await?;
        report.round(&[plain / 1e6, ours / 1e6]);
    }
    let ratio = median_ratio(&report.column("log"), &report.column("gets"));
    let name = format!("objects, {latency} ms: catch-up, bytes/s ÷ plain gets");
    report.outcome(name, ratio, Unit::Ratio, Some(Reach::AtLeast(0.8)));
    Ok(report)
}

async fn blocks(objects: &Objects) -> anyhow::Result<Vec<Path>> {
    let folder = Path::from(ROOT);
    let found: Vec<_> = objects.store.list(Some(&folder)).try_collect().await?;
    let large = found.into_iter().filter(|meta| meta.size > BLOCK as u64 / 2);
    Ok(large.map(|meta| meta.location).collect())
}

async fn plain_gets(objects: &Objects, paths: &[Path], at_once: usize) -> anyhow::Result<f64> {
    let start = Instant::now();
    let gets = paths.iter().cloned().map(|path| {
        let store = objects.store.clone();
        let get = tokio::spawn(async move { store.get(&path).await?.bytes().await });
        async move { anyhow::Ok(get.await??.len()) }
    });
    let lengths: Vec<usize> = stream::iter(gets).buffer_unordered(at_once).try_collect().await?;
    anyhow::ensure!(lengths.len() == BLOCKS, "{} blocks instead of {BLOCKS}", lengths.len());
    Ok(TOTAL / start.elapsed().as_secs_f64())
}

async fn read(process: &DynLogStorage, objects: &Objects) -> anyhow::Result<f64> {
    let start = Instant::now();
    let (process, channel) = (process.clone(), objects.channel.clone());
    let reading = tokio::spawn(async move {
        let mut reader = process.read(&channel, MessageId::EARLIEST).await?;
        let mut records = 0;
        loop {
            let batch = reader.next_batch().await?;
            if batch.is_empty() {
                return anyhow::Ok(records);
            }
            records += batch.len();
        }
    });
    let records = reading.await??;
    anyhow::ensure!(records == BLOCKS * RECORDS, "{records} records were read");
    Ok(TOTAL / start.elapsed().as_secs_f64())
}
