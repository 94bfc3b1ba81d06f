//! Every row that there is against every row that was acknowledged, while nobody writes.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::calls::{CallError, Calls};
use super::scene::Scene;
use super::violation::{Broken, Violation};

/// Reads all rows and compares them; what is wrong goes to the scene.
///
/// # Errors
/// If they cannot be read within `patience`.
pub(super) async fn compare(scene: &Scene, calls: &mut Calls, patience: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + patience;
    loop {
        match look(scene, calls).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= end => bail!("the rows cannot be read: {error}"),
            Err(_) => calls.pause().await,
        }
    }
}

async fn look(scene: &Scene, calls: &mut Calls) -> Result<(), CallError> {
    let mut rows = calls.all_rows().await?;
    rows.sort_unstable();
    let wrong = miscounted(&rows, calls).await?;
    scene.with(|moving| {
        moving.counts.compared += rows.len() as u64;
        let mut violations = moving.history.check(&rows);
        violations.extend(moving.history.once(wrong));
        moving.violations.extend(violations);
    });
    Ok(())
}

/// A Strong count(*) counts rows, a query shows keys: where they differ, a row is there twice. The place is found by
/// halves.
async fn miscounted(rows: &[(i64, i64)], calls: &mut Calls) -> Result<Vec<Violation>, CallError> {
    const FOUND_MAX: usize = 10;
    let mut found = Vec::new();
    // All keys that there can be.
    let mut parts = vec![(0, i64::MAX, rows)];
    while let Some((from, to, rows)) = parts.pop() {
        let counted = calls.count(from, to).await?;
        if counted == rows.len() as u64 {
            continue;
        }
        let (Some(first), true) = (rows.first(), rows.len() <= 1 || found.len() >= FOUND_MAX) else {
            if rows.is_empty() {
                let said = format!("{counted} rows are counted from this key on that no query shows");
                found.push(Violation::new(Broken::Stray, from, said));
                continue;
            }
            let (low, high) = rows.split_at(rows.len() / 2);
            let middle = high[0].0;
            parts.push((middle, to, high));
            parts.push((from, middle - 1, low));
            continue;
        };
        let broken = if counted > rows.len() as u64 { Broken::Repeated } else { Broken::Lost };
        found.push(Violation::new(
            broken,
            first.0,
            format!("count(*) says {counted} where a query shows {}", rows.len()),
        ));
    }
    Ok(found)
}
