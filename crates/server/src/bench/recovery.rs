//! `cinclus bench recovery`: kill -9, start, Strong count(*).

use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::args::RecoveryArgs;
use super::base;
use super::client::Client;
use super::progress::Progress;
use super::report::{Reach, Report, Unit};
use super::rows::Noise;
use super::search::fill;
use super::spawned::{Home, SpawnedServer};
use super::statistics::median;

const COLLECTION: &str = "cinclus_bench_recovery";
/// Nothing is persisted: the log alone holds the rows.
const NOTHING_PERSISTED: &str = "cinclus:\n  recovery:\n    logBytesMax: 64g\n    persistAge: 24h\n";

/// Fills a server, then kills and starts it again and again.
pub(super) async fn recovery(args: &RecoveryArgs) -> anyhow::Result<Report> {
    let columns = [
        ("log", Unit::Mebibytes),
        ("log read", Unit::MegabytesPerSecond),
        ("serving", Unit::Seconds),
        ("count(*)", Unit::Seconds),
        ("replay", Unit::MegabytesPerSecond),
        ("resident", Unit::Mebibytes),
    ];
    let mut report = Report::new("recovery: kill -9, start, Strong count(*) of all", &columns);
    report.setting("rows", args.rows);
    report.setting("dim", args.dim);
    let home = Home::create(&args.place.dir)?;
    let config = config(args, &home)?;
    let mut server = SpawnedServer::start(&home, Some(&config)).await?;
    let mut client = Client::connect(&server.address).await?;
    client.create_loaded(COLLECTION, args.dim).await?;
    fill(&mut client, COLLECTION, &Noise::new(23).floats(args.rows * args.dim), args.dim).await?;
    let progress = Progress::new("kill -9, start, count(*)", args.show.rounds);
    for _ in 0..args.show.rounds {
        server.kill()?;
        let persisted = base::bytes_under(&home.data().join("objects"));
        ensure!(args.config.is_some() || persisted == 0, "{persisted} bytes of rows are persisted");
        let (log_bytes, took) = base::read_files(&home.data().join("wal"))?;
        server = SpawnedServer::start(&home, Some(&config)).await?;
        let count = Client::connect(&server.address).await?.count(COLLECTION).await?;
        let counted = server.started.elapsed();
        ensure!(count == args.rows as u64, "{} rows were acknowledged, {count} are there", args.rows);
        let serving = server.ready_after.as_secs_f64();
        let resident = server.process().snapshot()?.memory().resident as f64;
        report.round(&[
            log_bytes as f64 / f64::from(1 << 20),
            log_bytes as f64 / took.as_secs_f64() / 1e6,
            serving,
            counted.as_secs_f64(),
            log_bytes as f64 / counted.as_secs_f64() / 1e6,
            resident / f64::from(1 << 20),
        ]);
        progress.advance(1);
    }
    let counted = median(&report.column("count(*)"));
    report.outcome("process start to count(*)", counted, Unit::Seconds, Some(Reach::AtMost(1.5)));
    let replay = median(&report.column("replay"));
    let (unit, reach) = (Unit::MegabytesPerSecond, Some(Reach::AtLeast(500.0)));
    report.outcome("log bytes / that time (a lower bound of the replay)", replay, unit, reach);
    Ok(report)
}

fn config(args: &RecoveryArgs, home: &Home) -> anyhow::Result<PathBuf> {
    if let Some(config) = &args.config {
        return Ok(config.clone());
    }
    let file = home.file("config.yaml");
    std::fs::write(Path::new(&file), NOTHING_PERSISTED)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    #[test]
    fn the_configuration_that_persists_nothing_is_valid() {
        let config = ServerConfig::parse(NOTHING_PERSISTED).unwrap();
        assert!(config.validate().is_ok());
        assert_eq!(config.node.persist_log_bytes, 32 << 30);
    }
}
