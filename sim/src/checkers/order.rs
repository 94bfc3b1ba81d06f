//! W1: stored records stand in strictly increasing order of TimeTicks, across terms; terms do not go back.

use super::{Evidence, Finding};

/// Looks at every two records that stand side by side.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (channel, log) in &evidence.logs {
        evidence.tally.add("checked: order", log.len() as u64);
        for pair in log.windows(2) {
            let [one, other] = pair else { continue };
            let describe = |say: &str| {
                let at = |message: &cinclus_types::message::Message| {
                    format!(
                        "{} {} at {} under {}",
                        message.kind(),
                        message.id(),
                        message.tick(),
                        message.term()
                    )
                };
                Finding::new("W1", format!("{channel}: {say}: {}, then {}", at(one), at(other)))
            };
            if one.tick() >= other.tick() {
                findings.push(describe("ticks do not grow"));
            }
            if one.term() > other.term() {
                findings.push(describe("terms go back"));
            }
        }
    }
    findings
}
