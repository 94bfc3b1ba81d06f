//! Many writers of 1 KiB in one process, against one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cinclus_types::VChannel;
use cinclus_wal::Wal;

use super::args::WalArgs;
use super::files::Files;
use super::served::{Serving, insert};
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::{median, median_ratio};
use crate::outside::rows::Noise;

const BYTES: usize = 1 << 10;
const SPAN: Duration = Duration::from_secs(2);

/// Appends a second of many, and of one.
pub(super) async fn writers(args: &WalArgs) -> anyhow::Result<Report> {
    let columns = [
        ("one", Unit::PerSecond),
        ("all", Unit::PerSecond),
        ("syncs of all", Unit::PerSecond),
        ("appends a sync", Unit::Count),
    ];
    let mut report = Report::new("wal: files, many writers", &columns);
    report.setting("bytes", BYTES);
    report.setting("writers", args.writers);
    report.setting("seconds of each side", SPAN.as_secs());
    let files = Files::create(&args.place.dir).await?;
    let serving = Serving::of(&files).await?;
    let (wal, vchannel) = serving.open_with_collection().await?;
    let row = Bytes::from(Noise::new(2).bytes(BYTES));
    for _ in 0..args.show.rounds {
        let one = for_a_while(&wal, &vchannel, &row, 1).await?;
        let before = files.syncs(wal.channel());
        let all = for_a_while(&wal, &vchannel, &row, args.writers).await?;
        let syncs = (files.syncs(wal.channel()) - before) as f64 / SPAN.as_secs_f64();
        report.round(&[one, all, syncs, all / syncs]);
    }
    let ratio = median_ratio(&report.column("all"), &report.column("one"));
    let goal = Some(Reach::AtLeast(40.0));
    report.outcome(
        format!("files: appends/s of {} writers ÷ of one", args.writers),
        ratio,
        Unit::Ratio,
        goal,
    );
    report.outcome("appends of all", median(&report.column("all")), Unit::PerSecond, None);
    wal.close().await;
    Ok(report)
}

async fn for_a_while(wal: &Wal, vchannel: &VChannel, row: &Bytes, writers: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let writing: Vec<_> = (0..writers)
        .map(|_| {
            let (wal, vchannel, row) = (wal.clone(), vchannel.clone(), row.clone());
            tokio::spawn(async move {
                let mut count = 0_u64;
                while start.elapsed() < SPAN {
                    wal.append(vec![insert(&vchannel, row.clone())]).await?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        })
        .collect();
    let mut appends = 0;
    for writer in writing {
        appends += writer.await??;
    }
    Ok(appends as f64 / start.elapsed().as_secs_f64())
}
