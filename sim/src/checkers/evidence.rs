//! What checkers look at.

use std::collections::BTreeMap;

use cinclus_types::message::Message;
use cinclus_types::{MessageId, PChannel, Term, VChannel};

use super::Finding;
use super::effects::{Effect, effects_of};
use crate::archive::Log;
use crate::history::Operation;
use crate::tally::Tally;

/// A run that is over.
pub struct Evidence {
    /// What clients did, by number.
    pub operations: Vec<Operation>,
    /// What was ever in the logs.
    pub logs: BTreeMap<PChannel, Log>,
    /// The place of each record of the logs, its term, and its bytes.
    pub bytes: BTreeMap<PChannel, Vec<(MessageId, Term, u64)>>,
    /// What takes effect in each VChannel, by effective tick.
    pub effects: BTreeMap<VChannel, Vec<Effect>>,
    /// Where checks are counted.
    pub tally: Tally,
    /// Whether no change of what exists was under way at the end.
    pub drained: bool,
    /// How many keys there are.
    pub keys: u64,
}

impl Evidence {
    /// Puts a run together. Findings: what cannot be read.
    #[must_use]
    pub fn new(
        operations: Vec<Operation>,
        logs: BTreeMap<PChannel, Log>,
        tally: Tally,
    ) -> (Evidence, Vec<Finding>) {
        let mut effects: BTreeMap<VChannel, Vec<Effect>> = BTreeMap::new();
        let mut findings = Vec::new();
        for (channel, log) in &logs {
            match effects_of(log) {
                Ok(of_log) => effects.extend(of_log),
                Err(text) => findings.push(Finding::new("L5", format!("{channel}: {text}"))),
            }
        }
        let bytes = BTreeMap::new();
        (Evidence { operations, logs, bytes, effects, tally, drained: false, keys: 0 }, findings)
    }

    /// Notes how large the records are.
    pub fn weigh(&mut self, bytes: &BTreeMap<PChannel, BTreeMap<MessageId, u64>>) {
        for (channel, log) in &self.logs {
            let Some(bytes) = bytes.get(channel) else { continue };
            let record = |message: &Message| {
                (message.id(), message.term(), bytes.get(&message.id()).copied().unwrap_or_default())
            };
            self.bytes.insert(channel.clone(), log.iter().map(record).collect());
        }
    }
}
