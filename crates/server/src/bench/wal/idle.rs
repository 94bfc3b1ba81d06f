//! VChannels of which nobody wants anything.

use std::time::{Duration, Instant};

use cinclus_types::{CollectionId, PChannel};
use futures::{StreamExt, TryStreamExt, stream};

use super::args::WalArgs;
use super::files::Files;
use super::served::{Serving, create_collection};
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::usage::Process;

const PCHANNELS: u64 = 16;
/// Appends in flight while they are made.
const AT_ONCE: usize = 256;
const WATCH: Duration = Duration::from_secs(4);
/// After so long no TimeTick is due any more, and nothing is left in the write-ahead buffers.
const SETTLE: Duration = Duration::from_secs(31);

/// Opens logs, makes collections in them, and watches this process. Each VChannel is one of a collection with
/// a partition; its state is there twice, at the writer and at the feed.
pub(super) async fn idle(args: &WalArgs) -> anyhow::Result<Report> {
    let columns = [("CPU", Unit::PercentOfCore)];
    let mut report = Report::new("wal: files, idle VChannels", &columns);
    report.setting("PChannels", PCHANNELS);
    report.setting("VChannels", args.vchannels);
    report.setting("seconds of a round", WATCH.as_secs());
    let files = Files::create(&args.place.dir).await?;
    let serving = Serving::of(&files).await?;
    let mut wals = Vec::new();
    for number in 0..PCHANNELS {
        wals.push(serving.open(PChannel::numbered("idle", u32::try_from(number)?)).await?);
    }
    let own = Process::own();
    let before = own.snapshot()?.memory().resident;
    let made = Instant::now();
    let creating = wals.clone().into_iter().cycle().zip(1..=args.vchannels).map(|(wal, number)| async move {
        let collection = CollectionId(i64::try_from(number)?);
        let vchannel = wal.channel().shard(collection, 0);
        wal.append(vec![create_collection(&vchannel, collection)]).await?;
        anyhow::Ok(())
    });
    stream::iter(creating).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let most = own.snapshot()?.memory().resident.saturating_sub(before);
    tokio::time::sleep(SETTLE.saturating_sub(made.elapsed())).await;
    for _ in 0..args.show.rounds {
        let start = own.snapshot()?;
        tokio::time::sleep(WATCH).await;
        report.round(&[own.since(&start)?.cores() * 100.0]);
    }
    let each = |bytes: u64| bytes as f64 / 1024.0 / args.vchannels as f64;
    let after = own.snapshot()?.memory().resident.saturating_sub(before);
    let name = format!("files: {} idle VChannels", args.vchannels);
    // CPU time is counted in hundredths of a second: of few of them the mean says more than the median.
    let cpu = report.column("CPU").iter().sum::<f64>() / args.show.rounds as f64;
    report.outcome(format!("{name}, CPU"), cpu, Unit::PercentOfCore, Some(Reach::AtMost(0.5)));
    let goal = Some(Reach::AtMost(10.0));
    report.outcome(format!("{name}, memory of each, at most"), each(most), Unit::Kibibytes, goal);
    report.outcome(format!("{name}, memory of each, when it is quiet"), each(after), Unit::Kibibytes, goal);
    for wal in wals {
        wal.close().await;
    }
    Ok(report)
}
