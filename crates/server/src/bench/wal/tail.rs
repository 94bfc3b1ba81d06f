//! From the answer to an append until many subscribers have the message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cinclus_wal::{ScanFilter, ScanFrom, Scanner};

use super::args::WalArgs;
use super::files::Files;
use super::served::{Serving, insert};
use crate::bench::latencies::Latencies;
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median;

const MESSAGES: usize = 500;
const PAUSE: Duration = Duration::from_millis(4);
const BYTES: usize = 1 << 10;

/// Appends now and then; all subscribers wait at the end of the log.
pub(super) async fn tail(args: &WalArgs) -> anyhow::Result<Report> {
    let columns = ["p50", "p99", "max", "last p50", "last p99"];
    let mut report =
        Report::new("wal: files, from answer to delivery", &columns.map(|name| (name, Unit::Millis)));
    report.setting("subscribers", args.subscribers);
    report.setting("messages a round", MESSAGES);
    report.setting("milliseconds between them", PAUSE.as_millis());
    let files = Files::create(&args.place.dir).await?;
    let serving = Serving::of(&files).await?;
    let (wal, vchannel) = serving.open_with_collection().await?;
    for _ in 0..args.show.rounds {
        let start = Instant::now();
        let subscribers: Vec<_> = (0..args.subscribers)
            .map(|_| tokio::spawn(deliveries(wal.scan(ScanFrom::Latest, ScanFilter::default()), start)))
            .collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (wal, vchannel) = (wal.clone(), vchannel.clone());
        let appends = tokio::spawn(async move {
            let mut acked = Vec::with_capacity(MESSAGES);
            for number in 0..MESSAGES as u64 {
                let mut row = vec![0; BYTES];
                row[..8].copy_from_slice(&number.to_le_bytes());
                wal.append(vec![insert(&vchannel, Bytes::from(row))]).await?;
                acked.push(start.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(Arc::new(acked))
        });
        let acked = appends.await??;
        let (mut each, mut last) = (Latencies::new(), vec![Duration::ZERO; MESSAGES]);
        for subscriber in subscribers {
            let delivered = subscriber.await??;
            for ((acked, delivered), last) in acked.iter().zip(delivered).zip(&mut last) {
                let took = delivered.saturating_sub(*acked);
                each.record(took);
                *last = took.max(*last);
            }
        }
        let mut slowest = Latencies::new();
        last.into_iter().for_each(|took| slowest.record(took));
        report.round(&[each.p50(), each.p99(), each.max(), slowest.p50(), slowest.p99()]);
    }
    let p99 = median(&report.column("p99"));
    let name = format!("files: answer to delivery to {} subscribers, p99", args.subscribers);
    report.outcome(name, p99, Unit::Millis, Some(Reach::AtMost(1.0)));
    wal.close().await;
    Ok(report)
}

/// When each message came.
async fn deliveries(mut scanner: Scanner, start: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut delivered = Vec::with_capacity(MESSAGES);
    while delivered.len() < MESSAGES {
        let delivery = scanner.next().await?;
        let at = start.elapsed();
        for message in delivery.messages.iter().filter(|message| message.kind().is_dml()) {
            let number = message.payload().first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            anyhow::ensure!(number == Some(delivered.len() as u64), "{number:?} came out of order");
            delivered.push(at);
        }
    }
    Ok(delivered)
}
