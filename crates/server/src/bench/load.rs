//! Clients that insert as fast as they get answers.

use std::time::{Duration, Instant};

use super::latencies::Latencies;
use crate::outside::client::Client;
use crate::outside::pieces::Pieces;
use crate::outside::progress::Progress;

/// What clients did together.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// The time of each request.
    pub(super) latencies: Latencies,
    /// From the first request sent to the last answer.
    pub(super) took: Duration,
}

impl Load {
    /// Requests a second.
    pub(super) fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.took.as_secs_f64()
    }
}

/// Lets every client send what `next` gives, one after the other, until it gives nothing.
///
/// # Errors
/// The first that any request meets.
pub(super) async fn insert_all(
    clients: &[Client],
    next: impl Fn() -> Option<Pieces>,
    progress: &Progress,
) -> anyhow::Result<Load> {
    let next = &next;
    let start = Instant::now();
    let each = clients.iter().cloned().map(|mut client| async move {
        let mut latencies = Latencies::new();
        while let Some(request) = next() {
            let sent = Instant::now();
            client.insert(request).await?;
            latencies.record(sent.elapsed());
            progress.advance(1);
        }
        anyhow::Ok(latencies)
    });
    let all = futures::future::try_join_all(each).await?;
    let took = start.elapsed();
    let mut latencies = Latencies::new();
    for each in &all {
        latencies.add(each);
    }
    Ok(Load { latencies, took })
}
