//! Round after round: load, a fault, until all is answered again, rest, and a look at every row.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use futures::future::join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::args::DrillArgs;
use super::calls::Calls;
use super::compare::compare;
use super::instance::Instance;
use super::plan::{Fault, Plan};
use super::reader::Reader;
use super::report::{Report, Round, Still};
use super::scene::Scene;
use super::server_config::ServerFile;
use super::writer::Writer;
use crate::outside::rows::Noise;
use crate::shutdown::Stop;

/// Clients that read.
const READERS: usize = 2;
/// Clients whose requests have names: a log remembers the last 4,096 names only.
const NAMED_MAX: usize = 4;
/// After so long everything is answered again, or the drill ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the load goes on after everything was answered again.
const AFTERWARDS: Duration = Duration::from_millis(200);

/// Runs `cinclus drill`.
///
/// # Errors
/// Why it cannot start, or what the server did wrong.
pub(crate) fn run(args: &DrillArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            biased;
            stopped = asked_to_stop() => {
                stopped.context("signals cannot be listened for")?;
                Err(anyhow!("asked to stop"))
            }
            report = drill(args) => report,
        }
    })?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report.json())?;
    } else {
        write!(out, "\n{}", report.text())?;
    }
    out.flush()?;
    if report.is_good() {
        return Ok(());
    }
    let first = report.violations.first().map(|violation| format!("; first {violation}")).unwrap_or_default();
    bail!("{}{first}", report.verdict())
}

/// Ends when somebody wants the drill to end, or closes its terminal: the server is not left behind.
async fn asked_to_stop() -> std::io::Result<()> {
    let (mut stop, mut hangup) = (Stop::listen()?, signal(SignalKind::hangup())?);
    tokio::select! {
        biased;
        () = stop.asked() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

async fn drill(args: &DrillArgs) -> anyhow::Result<Report> {
    let start = Instant::now();
    let kinds = args.kinds()?;
    let file = ServerFile::read(args.config.as_deref())?;
    let seed = args.seed.unwrap_or_else(new_seed);
    let mut plan = Plan::new(seed, &kinds);
    say(&format!("seed {seed}; the server starts"));
    let instance = Instance::start(args, &file).await.context("the drill cannot start")?;
    let mut stage = Stage::set(args, &file, instance, seed).await.context("the drill cannot start")?;
    let mut report = Report {
        seed,
        clients: args.clients,
        named: file.config.proxy.idempotent_requests,
        took: Duration::ZERO,
        rounds: Vec::new(),
        counts: stage.scene.with(|moving| moving.counts),
        violations: Vec::new(),
        ended: None,
        kept: Vec::new(),
    };
    let planned: Vec<Fault> = match args.time {
        Some(_) => Vec::new(),
        None => (0..args.rounds).map(|_| plan.next()).collect(),
    };
    for (number, fault) in planned.iter().enumerate() {
        say(&format!("plan {:>3}: {fault}", number + 1));
    }
    let mut planned = planned.into_iter();
    loop {
        let fault = match args.time {
            Some(time) => (start.elapsed() < time).then(|| plan.next()),
            None => planned.next(),
        };
        let Some(fault) = fault else { break };
        let done = stage.round(&fault).await;
        let number = report.rounds.len() + 1;
        match done {
            Ok(round) => {
                say(&stage.progress(number, &round));
                report.rounds.push(round);
            }
            Err(error) => {
                let error = stage.explain(error).await;
                report.ended = Some(format!("round {number} ({fault}): {error:#}"));
            }
        }
        if report.ended.is_some() || stage.is_broken() {
            break;
        }
    }
    stage.finish(args, &mut report).await;
    report.took = start.elapsed();
    Ok(report)
}

fn new_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed again.
    Noise::new(now.as_nanos() as u64).below(1_000_000)
}

/// Progress, on standard error.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The server, its clients, and what they were told.
struct Stage {
    instance: Instance,
    scene: Scene,
    writers: Vec<Writer>,
    readers: Vec<Reader>,
    calls: Calls,
}

impl Stage {
    async fn set(
        args: &DrillArgs,
        file: &ServerFile,
        instance: Instance,
        seed: u64,
    ) -> anyhow::Result<Stage> {
        let collection = format!("cinclus_drill_{}_{seed}", std::process::id());
        let address = instance.address().borrow().clone();
        Calls::create(&collection, &address).await?;
        let clients = args.clients as usize;
        let calls = || Calls::new(&collection, instance.address().subscribe());
        let mut chance = Noise::new(seed ^ 0x5eed);
        let writer = |number: usize| {
            let named =
                file.config.proxy.idempotent_requests && number.is_multiple_of(2) && number < 2 * NAMED_MAX;
            Writer::new(number, calls(), Noise::new(chance.next()), named)
        };
        let writers = (0..clients).map(writer).collect();
        let readers = (0..READERS).map(|number| Reader::new(clients + number, calls())).collect();
        let calls = calls();
        let scene = Scene::new(collection, clients + READERS);
        Ok(Stage { instance, scene, writers, readers, calls })
    }

    /// One round; in the end all rows are compared.
    async fn round(&mut self, fault: &Fault) -> anyhow::Result<Round> {
        let Stage { instance, scene, writers, readers, calls } = self;
        let (scene, rest) = (&*scene, CancellationToken::new());
        let writers = join_all(writers.iter_mut().map(|writer| writer.run(scene, &rest)));
        let readers = join_all(readers.iter_mut().map(|reader| reader.run(scene, &rest)));
        let mut clients = std::pin::pin!(futures::future::join(writers, readers));
        let round = tokio::select! {
            biased;
            round = happen(instance, scene, fault) => round?,
            _ = &mut clients => bail!("the clients ended"),
        };
        // What was begun is carried through.
        rest.cancel();
        if tokio::time::timeout(PATIENCE, clients).await.is_err() {
            let last = scene.with(|moving| moving.last_error.clone());
            bail!("a request is without an answer for {PATIENCE:?}; the last error: {last}");
        }
        compare(scene, calls, PATIENCE).await?;
        Ok(round)
    }

    fn is_broken(&self) -> bool {
        self.scene.with(|moving| !moving.violations.is_empty())
    }

    fn progress(&self, number: usize, round: &Round) -> String {
        let (counts, open, broken) =
            self.scene.with(|moving| (moving.counts, moving.history.open(), moving.violations.len()));
        format!(
            "round {number:>3}: {}: no write for {:.3} s, no read for {:.3} s; {} rows acknowledged, {} compared, {open} \
             without an answer, {broken} wrong",
            round.fault,
            round.hit.writes.as_secs_f64(),
            round.hit.reads.as_secs_f64(),
            counts.acknowledged_rows,
            counts.compared,
        )
    }

    /// What went wrong, with the last words of a server that has ended by itself.
    async fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        match self.instance.last_words().await {
            Some(words) => error.context(words),
            None => error,
        }
    }

    async fn finish(mut self, args: &DrillArgs, report: &mut Report) {
        self.scene.with(|moving| {
            report.counts = moving.counts;
            report.violations = std::mem::take(&mut moving.violations);
        });
        if !report.is_good() || args.keep {
            report.kept = self.instance.keep();
        } else {
            // On a data directory of its own it goes anyway.
            let address = self.instance.address().borrow().clone();
            if let Err(error) = Calls::drop(&self.scene.collection, &address).await {
                say(&format!("the collection was not dropped: {error:#}"));
            }
        }
    }
}

/// Load, the fault, and load until every client had an answer again.
async fn happen(instance: &mut Instance, scene: &Scene, fault: &Fault) -> anyhow::Result<Round> {
    scene.watch();
    tokio::time::sleep(fault.after).await;
    let (writes, reads) = scene.interruptions();
    let calm = Still { writes, reads };
    scene.watch();
    instance.suffer(fault).await?;
    if tokio::time::timeout(PATIENCE, scene.all_answered()).await.is_err() {
        let last = scene.with(|moving| moving.last_error.clone());
        bail!("not every client has an answer {PATIENCE:?} after the fault; the last error: {last}");
    }
    tokio::time::sleep(AFTERWARDS).await;
    let (writes, reads) = scene.interruptions();
    Ok(Round { fault: *fault, calm, hit: Still { writes, reads } })
}
