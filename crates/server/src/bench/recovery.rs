//! `cinclus bench recovery`: kill -9, start, Strong count(*).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;

use super::args::RecoveryArgs;
use super::base;
use super::report::{Reach, Report, Unit};
use super::search::fill;
use super::statistics::median;
use super::usage::Process;
use crate::outside::client::Client;
use crate::outside::progress::Progress;
use crate::outside::rows::Noise;
use crate::outside::spawned::{Home, SpawnedServer};

const COLLECTION: &str = "cinclus_bench_recovery";
/// Nothing is persisted: the log alone holds the rows.
const NOTHING_PERSISTED: &str = "cinclus:\n  recovery:\n    logBytesMax: 64g\n    persistAge: 24h\n";

/// Fills a server, then kills and starts it again and again. The base is one that is killed with the same
/// collection, empty: what it takes longer than that is the replay.
pub(super) async fn recovery(args: &RecoveryArgs) -> anyhow::Result<Report> {
    let columns = [
        ("log", Unit::Mebibytes),
        ("log read", Unit::MegabytesPerSecond),
        ("empty", Unit::Seconds),
        ("serving", Unit::Seconds),
        ("count(*)", Unit::Seconds),
        ("replay", Unit::MegabytesPerSecond),
        ("resident", Unit::Mebibytes),
    ];
    let mut report = Report::new("recovery: kill -9, start, Strong count(*) of all", &columns);
    report.setting("rows", args.rows);
    report.setting("dim", args.dim);
    let mut empty = Victim::start(args, "empty", 0).await?;
    let mut full = Victim::start(args, "full", args.rows).await?;
    let progress = Progress::new("kill -9, start, count(*)", args.show.rounds);
    for _ in 0..args.show.rounds {
        let base = empty.die_and_recover().await?;
        let (log_bytes, read) = full.die_and_read_log(args.config.is_some())?;
        let counted = full.recover().await?;
        let resident = Process::of(&full.server).snapshot()?.memory().resident as f64;
        let replay = counted.saturating_sub(base).max(Duration::from_millis(1));
        report.round(&[
            log_bytes as f64 / f64::from(1 << 20),
            log_bytes as f64 / read.as_secs_f64() / 1e6,
            base.as_secs_f64(),
            full.server.ready_after.as_secs_f64(),
            counted.as_secs_f64(),
            log_bytes as f64 / replay.as_secs_f64() / 1e6,
            resident / f64::from(1 << 20),
        ]);
        progress.advance(1);
    }
    let counted = median(&report.column("count(*)"));
    report.outcome("process start to count(*)", counted, Unit::Seconds, Some(Reach::AtMost(1.5)));
    let replay = median(&report.column("replay"));
    let (unit, reach) = (Unit::MegabytesPerSecond, Some(Reach::AtLeast(500.0)));
    report.outcome("log bytes / (that time − an empty server's)", replay, unit, reach);
    Ok(report)
}

/// A server that is killed again and again.
struct Victim {
    server: SpawnedServer,
    home: Home,
    config: PathBuf,
    rows: usize,
}

impl Victim {
    /// Starts it and gives it rows.
    async fn start(args: &RecoveryArgs, what: &str, rows: usize) -> anyhow::Result<Victim> {
        let home = Home::create(&args.place.dir, &format!("bench-{what}"))?;
        let config = config(args, &home)?;
        let server = SpawnedServer::start(&home, Some(&config)).await?;
        let mut client = Client::connect(&server.address).await?;
        client.create_loaded(COLLECTION, args.dim).await?;
        fill(&mut client, COLLECTION, &Noise::new(23).floats(rows * args.dim), args.dim).await?;
        Ok(Victim { server, home, config, rows })
    }

    /// Kills it, and reads its log: as many bytes, as fast as they can be read.
    fn die_and_read_log(&mut self, may_persist: bool) -> anyhow::Result<(u64, Duration)> {
        self.server.kill()?;
        let persisted = base::bytes_under(&self.home.data().join("objects"));
        ensure!(may_persist || persisted == 0, "{persisted} bytes of rows are persisted");
        base::read_files(&self.home.data().join("wal"))
    }

    /// Starts it again: how long until a Strong count(*) found all rows.
    async fn recover(&mut self) -> anyhow::Result<Duration> {
        self.server = SpawnedServer::start(&self.home, Some(&self.config)).await?;
        let count = Client::connect(&self.server.address).await?.count(COLLECTION).await?;
        let took = self.server.started.elapsed();
        ensure!(count == self.rows as u64, "{} rows were acknowledged, {count} are there", self.rows);
        Ok(took)
    }

    async fn die_and_recover(&mut self) -> anyhow::Result<Duration> {
        self.server.kill()?;
        self.recover().await
    }
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
        assert_eq!(config.node.recovery_log_bytes_max, 64 << 30);
    }
}
