//! Runs the cases.

use clap::ValueEnum;

use super::args::{WalArgs, WalCase};
use super::{catch_up, deliver, gets, idle, large, lone, lone_put, tail, unfinished, uploads, writers};
use crate::bench::report::Report;

/// The cases that are wanted, in order.
pub(in crate::bench) fn cases(args: &WalArgs) -> Vec<WalCase> {
    let mut cases = args.cases.clone();
    if cases.is_empty() {
        cases = WalCase::value_variants().to_vec();
    }
    cases.sort_unstable();
    cases.dedup();
    cases
}

/// One case. It runs on a thread of the runtime, where the tasks of a server are too.
///
/// # Errors
/// Whatever ends it early: a failed append, a wrong answer.
pub(in crate::bench) async fn run(args: &WalArgs, case: WalCase) -> anyhow::Result<Vec<Report>> {
    let args = args.clone();
    tokio::spawn(async move { reports(args, case).await }).await?
}

async fn reports(args: WalArgs, case: WalCase) -> anyhow::Result<Vec<Report>> {
    let (args, one) = (&args, |report| vec![report]);
    let mut each = Vec::new();
    match case {
        WalCase::Idle => return idle::idle(args).await.map(one),
        WalCase::Lone => return lone::lone(args).await.map(one),
        WalCase::Writers => return writers::writers(args).await.map(one),
        WalCase::Large => return large::large(args).await,
        WalCase::CatchUp => return catch_up::catch_up(args).await.map(one),
        WalCase::Tail => return tail::tail(args).await.map(one),
        WalCase::Unfinished => return unfinished::unfinished(args).await.map(one),
        WalCase::Deliver => {
            for bytes in &args.message {
                each.push(deliver::deliver(args, (*bytes).max(512) as usize).await?);
            }
        }
        WalCase::Put => {
            for latency in &args.latency {
                each.push(lone_put::lone_put(args, *latency).await?);
            }
        }
        WalCase::Uploads => {
            for latency in &args.latency {
                each.push(uploads::uploads(args, *latency).await?);
            }
        }
        WalCase::Gets => {
            for latency in &args.latency {
                each.push(gets::gets(args, *latency).await?);
            }
        }
    }
    Ok(each)
}
