//! Starts the benches and shows what they found.

use std::io::Write;

use super::args::{Bench, BenchArgs, Case, InsertArgs, ShowArgs};
use super::machine::Machine;
use super::report::Report;
use super::target::Target;
use super::{bulk, disk, freshness, idle, insert, recovery, search, wal};

/// Runs `cinclus bench`.
///
/// # Errors
/// Whatever ends the bench early: no server, a refused request, a wrong answer.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let mut runtime = match &args.bench {
        // As in a server.
        Bench::Wal(_) => tokio::runtime::Builder::new_multi_thread(),
        // One thread: for a lone client that is the least way from the answer to the next request.
        Bench::Disk(_)
        | Bench::Insert(_)
        | Bench::Freshness(_)
        | Bench::Search(_)
        | Bench::Recovery(_)
        | Bench::Idle(_) => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(start(&args.bench))
}

async fn start(bench: &Bench) -> anyhow::Result<()> {
    let show = match bench {
        Bench::Disk(args) => &args.show,
        Bench::Insert(args) => &args.show,
        Bench::Freshness(args) => &args.show,
        Bench::Search(args) => &args.show,
        Bench::Recovery(args) => &args.show,
        Bench::Idle(args) => &args.show,
        Bench::Wal(args) => &args.show,
    };
    let mut shown = Shown::begin(show)?;
    match bench {
        Bench::Disk(args) => {
            for report in disk::appends(args)? {
                shown.report(&report)?;
            }
            shown.report(&disk::bandwidth(args)?)
        }
        Bench::Insert(args) => inserts(args, &mut shown).await,
        Bench::Freshness(args) => {
            let mut target = Target::open(&args.target).await?;
            let report = freshness::freshness(args, &target).await;
            shown.outcome(report, &mut target).await
        }
        Bench::Search(args) => {
            let mut target = Target::open(&args.target).await?;
            let report = search::search(args, &target).await;
            shown.outcome(report, &mut target).await
        }
        Bench::Recovery(args) => shown.report(&recovery::recovery(args).await?),
        Bench::Idle(args) => shown.report(&idle::idle(args).await?),
        Bench::Wal(args) => {
            let mut goals = Vec::new();
            for case in wal::run::cases(args) {
                for report in wal::run::run(args, case).await? {
                    shown.report(&report)?;
                    goals.extend(report.goals());
                }
            }
            shown.goals(&goals)
        }
    }
}

async fn inserts(args: &InsertArgs, shown: &mut Shown) -> anyhow::Result<()> {
    let mut target = Target::open(&args.target).await?;
    let steady = args.steady.unwrap_or(std::time::Duration::from_secs(120));
    let mut cases = args.cases.clone();
    if args.steady.is_some() && !cases.contains(&Case::Steady) {
        cases.push(Case::Steady);
    }
    for case in cases {
        let report = match case {
            Case::One => insert::one(args, &target).await,
            Case::Clients => insert::clients(args, &target).await,
            Case::Busy => insert::busy(args, &target).await,
            Case::Burst => bulk::burst(args, &target).await,
            Case::Steady => bulk::steady(args, &target, steady).await,
        };
        shown.outcome(report, &mut target).await?;
    }
    Ok(())
}

/// Standard output.
struct Shown {
    machine: Machine,
    json: bool,
}

impl Shown {
    fn begin(show: &ShowArgs) -> anyhow::Result<Shown> {
        let shown = Shown { machine: Machine::this(), json: show.json };
        if !shown.json {
            writeln!(std::io::stdout(), "{}\n", shown.machine)?;
        }
        Ok(shown)
    }

    async fn outcome(&mut self, report: anyhow::Result<Report>, target: &mut Target) -> anyhow::Result<()> {
        match report {
            Ok(report) => self.report(&report),
            Err(error) => Err(target.explain(error).await),
        }
    }

    /// All goals in one table, for people.
    fn goals(&mut self, goals: &[[String; 4]]) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        let width = |at: usize| goals.iter().map(|goal| goal[at].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        for [name, value, goal, verdict] in goals {
            let [names, values, bounds] = widths;
            writeln!(out, "{name:<names$}  {value:>values$}  {goal:<bounds$}  {verdict}")?;
        }
        Ok(out.flush()?)
    }

    fn report(&mut self, report: &Report) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", report.json(&self.machine))?;
        } else {
            writeln!(out, "{}", report.text())?;
        }
        Ok(out.flush()?)
    }
}
