//! One append of 1 KiB after the other, against a synced append of the same bytes.

use std::time::Instant;

use bytes::Bytes;
use cinclus_log_storage::{LogWriter, Record};
use cinclus_types::{PChannel, VChannel};
use cinclus_wal::Wal;

use super::args::WalArgs;
use super::files::Files;
use super::served::{Serving, insert};
use crate::bench::base::SyncedAppends;
use crate::bench::latencies::Latencies;
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median_ratio;
use crate::outside::rows::Noise;

const BYTES: usize = 1 << 10;
/// The sides take turns after so many appends: what happens on the disk meanwhile happens to all of them.
const TURN: u64 = 50;

/// The storage's writer and `Wal::append`, each against the base.
pub(super) async fn lone(args: &WalArgs) -> anyhow::Result<Report> {
    let columns = ["base p50", "base p99", "storage p50", "storage p99", "wal p50", "wal p99"];
    let mut report =
        Report::new("wal: files, one append at a time", &columns.map(|name| (name, Unit::Millis)));
    report.setting("bytes", BYTES);
    report.setting("appends a round", args.appends);
    let files = Files::create(&args.place.dir).await?;
    let mut writer = files.writer(&PChannel::numbered("storage", 0)).await?;
    let serving = Serving::of(&files).await?;
    let (wal, vchannel) = serving.open_with_collection().await?;
    let mut base = SyncedAppends::create(&args.place.dir, BYTES)?;
    let row = Bytes::from(Noise::new(1).bytes(BYTES));
    for _ in 0..args.show.rounds {
        let (mut plain, mut storage, mut whole) = (Latencies::new(), Latencies::new(), Latencies::new());
        for _ in 0..args.appends.div_ceil(TURN) {
            base.run(TURN, &mut plain)?;
            to_storage(&mut *writer, &row, &mut storage).await?;
            to_wal((&wal, &vchannel), &row, &mut whole).await?;
        }
        let both = |latencies: &Latencies| [latencies.p50(), latencies.p99()];
        report.round(&[both(&plain), both(&storage), both(&whole)].concat());
    }
    let goal = Some(Reach::AtMost(1.2));
    let ratio = |name| median_ratio(&report.column(name), &report.column("base p50"));
    let (storage, whole) = (ratio("storage p50"), ratio("wal p50"));
    report.outcome("files: lone append to the storage, p50 ÷ synced append", storage, Unit::Ratio, goal);
    report.outcome("files: lone Wal::append, p50 ÷ synced append", whole, Unit::Ratio, goal);
    wal.close().await;
    writer.close().await?;
    Ok(report)
}

async fn to_storage(writer: &mut dyn LogWriter, row: &Bytes, took: &mut Latencies) -> anyhow::Result<()> {
    for _ in 0..TURN {
        let start = Instant::now();
        writer.append(vec![Record::new(row.clone(), Vec::new())]).await?;
        took.record(start.elapsed());
    }
    Ok(())
}

async fn to_wal((wal, vchannel): (&Wal, &VChannel), row: &Bytes, took: &mut Latencies) -> anyhow::Result<()> {
    for _ in 0..TURN {
        let start = Instant::now();
        wal.append(vec![insert(vchannel, row.clone())]).await?;
        took.record(start.elapsed());
    }
    Ok(())
}
