//! Q3 and W4 as clients see them: a Strong read covers every write that was acknowledged before it, a read that
//! names a tick covers it, and a snapshot is of its tick.

use std::collections::BTreeMap;

use cinclus_rpc::Freshness;
use cinclus_types::{Tick, VChannel};

use super::{Evidence, Finding};
use crate::history::{Operation, Outcome, Wish};

/// Goes through all beginnings and ends in their order.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut moments: BTreeMap<u64, (&Operation, bool)> = BTreeMap::new();
    for operation in &evidence.operations {
        moments.insert(operation.invoked, (operation, true));
        if let Some(ended) = operation.ended {
            moments.insert(ended, (operation, false));
        }
    }
    let mut written: BTreeMap<&VChannel, Tick> = BTreeMap::new();
    let mut findings = Vec::new();
    for (operation, begins) in moments.into_values() {
        match (&operation.wish, &operation.outcome) {
            (Wish::Append { vchannel, .. }, Outcome::Appended(appended)) if !begins => {
                let newest = written.entry(vchannel).or_default();
                *newest = (*newest).max(appended.tick);
            }
            (Wish::Read { vchannel, freshness, .. }, Outcome::Answered(answer)) if begins => {
                evidence.tally.count("checked: freshness");
                let newest = written.get(vchannel).copied().unwrap_or_default();
                let wrong = match freshness {
                    Freshness::Strong => answer.at < newest,
                    Freshness::AtLeast(tick) => answer.at < *tick,
                    Freshness::Snapshot(tick) => answer.at != *tick,
                };
                if wrong {
                    let text = format!(
                        "operation {}, a read of {vchannel} with {freshness:?}, answered at {}; \
                         {newest} was acknowledged before",
                        operation.number, answer.at
                    );
                    findings.push(Finding::new("Q3", text));
                }
            }
            _ => {}
        }
    }
    findings
}
