//! Reading a whole log from the page cache.

use bytes::Bytes;
use cinclus_log_storage::LogStorage;
use cinclus_types::MessageId;
use cinclus_wal::{DeliveryKind, ScanFilter, ScanFrom, Wal};
use futures::{StreamExt, TryStreamExt, stream};

use super::args::WalArgs;
use super::files::Files;
use super::served::{Serving, insert};
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median;
use crate::bench::usage::{Process, Usage};
use crate::outside::rows::Noise;

const MESSAGES: usize = 8192;
const BYTES: usize = 64 << 10;
/// Appends in flight while it is written.
const AT_ONCE: usize = 64;
/// CPU time is counted in hundredths of a second: a round reads this often.
const TIMES: usize = 4;

/// The storage's reader, and a scan of the Wal from the beginning.
pub(super) async fn catch_up(args: &WalArgs) -> anyhow::Result<Report> {
    let unit = Unit::MegabytesPerSecond;
    let columns = [
        ("storage", unit),
        ("storage, MB a core-s", Unit::Count),
        ("scan", unit),
        ("scan, MB a core-s", Unit::Count),
    ];
    let mut report = Report::new("wal: files, reading from the page cache", &columns);
    report.setting("messages", MESSAGES);
    report.setting("bytes of each", BYTES);
    report.setting("times a round", TIMES);
    let files = Files::create(&args.place.dir).await?;
    let serving = Serving::of(&files).await?;
    let (wal, vchannel) = serving.open_with_collection().await?;
    let row = Bytes::from(Noise::new(4).bytes(BYTES));
    let appends = (0..MESSAGES).map(|_| wal.append(vec![insert(&vchannel, row.clone())]));
    stream::iter(appends).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
    for _ in 0..args.show.rounds {
        let (storage, wal) = (files.storage.clone(), wal.clone());
        // On a thread of the runtime, as a node's readers are.
        let round = tokio::spawn(async move {
            let (own, mut bytes) = (Process::own(), 0);
            let start = own.snapshot()?;
            for _ in 0..TIMES {
                bytes += read(&*storage, &wal).await?;
            }
            let by_reader = speeds(bytes, &own.since(&start)?);
            let (start, mut bytes) = (own.snapshot()?, 0);
            for _ in 0..TIMES {
                bytes += scan(&wal).await?;
            }
            let by_scan = speeds(bytes, &own.since(&start)?);
            anyhow::Ok([by_reader, by_scan].concat())
        });
        report.round(&round.await??);
    }
    let goal = Some(Reach::AtLeast(1000.0));
    // On one core: whichever is less, what came in a second and what came for a second of CPU.
    let least = |wall: &str, core: &str| median(&report.column(wall)).min(median(&report.column(core)));
    let (storage, scanned) = (least("storage", "storage, MB a core-s"), least("scan", "scan, MB a core-s"));
    report.outcome("files: catch-up by the storage's reader, on one core", storage, unit, goal);
    report.outcome("files: catch-up by Wal::scan, on one core", scanned, unit, goal);
    wal.close().await;
    Ok(report)
}

/// Millions of bytes a second, and for each second of CPU.
fn speeds(bytes: u64, usage: &Usage) -> [f64; 2] {
    [usage.seconds, usage.cpu_seconds].map(|seconds| bytes as f64 / 1e6 / seconds)
}

async fn read(storage: &dyn LogStorage, wal: &Wal) -> anyhow::Result<u64> {
    let mut reader = storage.read(wal.channel(), MessageId::EARLIEST).await?;
    let mut bytes = 0;
    loop {
        let batch = reader.next_batch().await?;
        if batch.is_empty() {
            anyhow::ensure!(bytes >= (MESSAGES * BYTES) as u64, "{bytes} bytes were read");
            return Ok(bytes);
        }
        bytes += batch.iter().map(|stored| stored.record.payload.len() as u64).sum::<u64>();
    }
}

async fn scan(wal: &Wal) -> anyhow::Result<u64> {
    let mut scanner = wal.scan(ScanFrom::Earliest, ScanFilter::default());
    let (mut bytes, mut rows) = (0, 0);
    while rows < MESSAGES {
        let delivery = scanner.next().await?;
        if delivery.kind == DeliveryKind::TimeTick {
            continue;
        }
        for message in delivery.messages.iter().filter(|message| message.kind().is_dml()) {
            bytes += message.payload().len() as u64;
            rows += 1;
        }
    }
    Ok(bytes)
}
