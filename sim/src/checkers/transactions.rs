//! W5: the messages of a transaction take effect together, at one tick, or never.

use std::collections::BTreeMap;

use super::{Evidence, Finding};
use crate::history::Wish;

/// Looks at every write of more than one message.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut ticks: BTreeMap<u64, Vec<cinclus_types::Tick>> = BTreeMap::new();
    for effect in evidence.effects.values().flatten() {
        if let Some(operation) = effect.operation {
            ticks.entry(operation).or_default().push(effect.tick);
        }
    }
    let mut findings = Vec::new();
    for operation in &evidence.operations {
        let Wish::Append { vchannel, changes, .. } = &operation.wish else { continue };
        let Some(ticks) = ticks.get(&operation.number).filter(|_| changes.len() > 1) else { continue };
        evidence.tally.count("checked: transactions");
        if ticks.len() != changes.len() || ticks.iter().any(|tick| *tick != ticks[0]) {
            let text = format!(
                "operation {} in {vchannel} of {} changes takes effect at {ticks:?}",
                operation.number,
                changes.len()
            );
            findings.push(Finding::new("W5", text));
        }
    }
    findings
}
