//! W4, W10: a reader that was told a tick was given everything up to it, each once and in order, over all the times
//! it resumed and all the owners it read from.

use cinclus_rpc::Delivery;
use cinclus_types::{Checkpoint, MessageId, PChannel, Tick, VChannel};

use super::{Evidence, Finding};

/// What a reader was given.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Which reader.
    pub number: u64,
    /// The log that it reads, if there are several.
    pub channel: Option<PChannel>,
    /// Where it resumes; `None`: at the beginning.
    pub checkpoint: Option<Checkpoint>,
    /// All checkpoints that it was given.
    pub checkpoints: Vec<Checkpoint>,
    /// The effective tick and the place of each message.
    pub given: Vec<(Tick, MessageId)>,
}

impl Read {
    /// Takes what comes next.
    pub fn take(&mut self, delivery: &Delivery) {
        self.given.extend(delivery.messages.iter().map(|message| (delivery.tick, message.id())));
        self.checkpoint = Some(delivery.checkpoint);
        self.checkpoints.push(delivery.checkpoint);
    }

    /// The greatest tick that it was told.
    #[must_use]
    pub fn told(&self) -> Tick {
        self.checkpoint.map_or(Tick::ZERO, |checkpoint| checkpoint.tick)
    }
}

/// Compares every reader with the log.
#[must_use]
pub fn check(evidence: &Evidence, reads: &[Read]) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Of a log that gave nothing nothing is known.
    for read in reads.iter().filter(|read| read.channel.is_none() || !read.given.is_empty()) {
        let its =
            |vchannel: &VChannel| read.channel.as_ref().is_none_or(|channel| vchannel.pchannel() == *channel);
        let effects = evidence.effects.iter().filter(|(vchannel, _)| its(vchannel));
        let mut expected: Vec<(Tick, MessageId)> =
            effects.flat_map(|(_, effects)| effects).map(|effect| (effect.tick, effect.id)).collect();
        expected.sort_unstable();
        // Who reads a log of a cluster begins where the log does by then.
        let first = read.channel.as_ref().and(read.given.first().copied()).unwrap_or_default();
        let upto = expected.iter().filter(|one| **one >= first && one.0 <= read.told());
        evidence.tally.add("checked: deliveries", read.given.len() as u64);
        let before = findings.len();
        let mut given = read.given.iter();
        for wanted in upto {
            let next = given.next();
            if next != Some(wanted) {
                let text = format!(
                    "reader {}, told {}, was given {next:?} where {wanted:?} comes next",
                    read.number,
                    read.told()
                );
                findings.push(Finding::new("W4", text));
                break;
            }
        }
        if let Some(more) = given.next().filter(|_| findings.len() == before) {
            findings.push(Finding::new(
                "W4",
                format!("reader {} was given {more:?} beside the log", read.number),
            ));
        }
    }
    findings
}
