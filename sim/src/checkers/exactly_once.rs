//! A write that was acknowledged is in the log once, one that was refused is not there, and one whose answer is
//! missing is there once or not.

use std::collections::BTreeMap;

use super::{Evidence, Finding};
use crate::history::{By, Change, Outcome, Wish};

/// Counts the messages of every write.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for effect in evidence.effects.values().flatten() {
        if let Some(operation) = effect.operation {
            *counts.entry(operation).or_default() += 1;
        }
    }
    let mut findings = Vec::new();
    for operation in &evidence.operations {
        let Wish::Append { vchannel, changes, by, .. } = &operation.wish else { continue };
        if *by == By::Proxy && changes.iter().all(|change| matches!(change, Change::Delete { .. })) {
            continue;
        }
        evidence.tally.count("checked: exactly once");
        let found = counts.get(&operation.number).copied().unwrap_or_default();
        let whole = changes.len();
        let right = match &operation.outcome {
            Outcome::Appended(_) | Outcome::Answered(_) | Outcome::Done => found == whole,
            Outcome::Refused(_) => found == 0,
            Outcome::Unknown(_) => found == 0 || found == whole,
        };
        if !right {
            let outcome = &operation.outcome;
            let text = format!(
                "operation {} in {vchannel} of {whole} changes has {found} in the log after {outcome:?}",
                operation.number
            );
            findings.push(Finding::new("W2", text));
        }
    }
    findings
}
