//! Recovery is bounded: what a start replays stays below twice the configured bytes, and a request.
//!
//! The bytes are counted in the logs themselves: from where the checkpoint that a life found is resumed, which is the
//! begin of the oldest transaction that was open there.

use std::collections::BTreeMap;

use cinclus_types::{MessageId, PChannel, Term};

use super::{Evidence, Finding};

/// What one request, and what is stored beside rows and deletes, may add.
const SLACK_BYTES: u64 = 12 << 10;

/// A log that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The life in which it was.
    pub life: u64,
    /// The log.
    pub channel: PChannel,
    /// Under which term.
    pub term: Term,
    /// From where on it was replayed.
    pub resume: MessageId,
}

/// Adds up what each life had to replay, of all logs of its process together.
#[must_use]
pub fn check(evidence: &Evidence, opened: &[Opened], bound: u64) -> Vec<Finding> {
    let mut lives: BTreeMap<u64, BTreeMap<&PChannel, &Opened>> = BTreeMap::new();
    for one in opened {
        // A log that is opened again in the same life replays nothing.
        lives.entry(one.life).or_default().entry(&one.channel).or_insert(one);
    }
    let mut findings = Vec::new();
    for (life, logs) in lives {
        evidence.tally.count("checked: recovery bound");
        let of_log = |opened: &&Opened| {
            let log = evidence.bytes.get(&opened.channel).map_or(&[][..], Vec::as_slice);
            let replayed = log.iter().filter(|(id, term, _)| *id >= opened.resume && *term < opened.term);
            replayed.map(|(.., bytes)| bytes).sum::<u64>()
        };
        let bytes: u64 = logs.values().map(of_log).sum();
        evidence.tally.most("most bytes replayed", bytes);
        if bytes > 2 * bound + SLACK_BYTES {
            let text = format!("life {life} replayed {bytes} bytes, the bound is {bound}");
            findings.push(Finding::new("recovery bound", text));
        }
    }
    findings
}
