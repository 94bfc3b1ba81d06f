//! `cinclus bench idle`: what a server costs that has nothing to do.

use super::args::IdleArgs;
use super::report::{Reach, Report, Unit};
use super::statistics::median;
use super::usage::Process;
use crate::outside::client::Client;
use crate::outside::progress::Progress;
use crate::outside::spawned::{Home, SpawnedServer};

/// Starts empty servers; the last one gets empty collections and is watched.
pub(super) async fn idle(args: &IdleArgs) -> anyhow::Result<Report> {
    let columns = [("ready", Unit::Seconds), ("answers", Unit::Seconds), ("resident", Unit::Mebibytes)];
    let mut report = Report::new("idle: start, memory, CPU", &columns);
    report.setting("collections", args.collections);
    report.setting("seconds watched", args.watch.as_secs());
    for _ in 0..args.show.rounds {
        let home = Home::create(&args.place.dir, "bench-idle")?;
        let server = SpawnedServer::start(&home, args.config.as_deref()).await?;
        Client::connect(&server.address).await?.version().await?;
        let answers = server.started.elapsed().as_secs_f64();
        let resident = Process::of(&server).snapshot()?.memory().resident as f64 / f64::from(1 << 20);
        report.round(&[server.ready_after.as_secs_f64(), answers, resident]);
    }
    let (ready, resident) = (median(&report.column("answers")), median(&report.column("resident")));
    report.outcome("start to first answer, empty", ready, Unit::Seconds, Some(Reach::AtMost(0.5)));
    report.outcome("resident, empty", resident, Unit::Mebibytes, Some(Reach::AtMost(30.0)));

    let home = Home::create(&args.place.dir, "bench-idle")?;
    let server = SpawnedServer::start(&home, args.config.as_deref()).await?;
    let mut client = Client::connect(&server.address).await?;
    let progress = Progress::new("empty collections", args.collections as u64);
    for number in 0..args.collections {
        client.create_loaded(&format!("cinclus_bench_idle_{number}"), 8).await?;
        progress.advance(1);
    }
    let start = Process::of(&server).snapshot()?;
    tokio::time::sleep(args.watch).await;
    let usage = Process::of(&server).since(&start)?;
    let cpu = usage.cores() * 100.0;
    report.outcome("idle CPU with the collections", cpu, Unit::PercentOfCore, Some(Reach::AtMost(0.5)));
    let resident = usage.memory.resident as f64 / f64::from(1 << 20);
    report.outcome("resident with the collections", resident, Unit::Mebibytes, None);
    report.usage("server", Some(usage));
    Ok(report)
}
