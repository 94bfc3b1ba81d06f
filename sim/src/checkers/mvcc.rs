//! Q1, Q2, W8: a read at a tick answers from exactly the rows that are visible there. The rows of growing, sealed
//! and persisted segments are compared with what the log says, whatever became of them since.

use std::collections::BTreeMap;

use cinclus_types::{PartitionId, Tick, VChannel};

use super::effects::{Effect, EffectKind};
use super::{Evidence, Finding};
use crate::history::{Answer, Operation, Outcome, Wish};

/// Compares every read with the log up to its tick.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut reads: BTreeMap<&VChannel, Vec<(&Operation, &Answer)>> = BTreeMap::new();
    for operation in &evidence.operations {
        if let (Wish::Read { vchannel, .. }, Outcome::Answered(answer)) =
            (&operation.wish, &operation.outcome)
        {
            reads.entry(vchannel).or_default().push((operation, answer));
        }
    }
    let mut findings = Vec::new();
    for (vchannel, mut reads) in reads {
        reads.sort_by_key(|(_, answer)| answer.at);
        let mut model = Model::default();
        let mut effects = evidence.effects.get(vchannel).map_or(&[][..], Vec::as_slice).iter().peekable();
        for (operation, answer) in reads {
            while let Some(effect) = effects.next_if(|effect| effect.tick <= answer.at) {
                model.apply(effect);
            }
            evidence.tally.count("checked: reads");
            if let Some(text) = model.differs(operation, answer) {
                let text = format!("operation {} in {vchannel} at {}: {text}", operation.number, answer.at);
                findings.push(Finding::new("Q1", text));
            }
        }
    }
    findings
}

#[derive(Clone, Copy, Debug)]
struct Row {
    partition: PartitionId,
    value: i64,
    inserted: Tick,
}

/// The visible rows of each key.
#[derive(Default)]
struct Model {
    rows: BTreeMap<i64, Vec<Row>>,
}

impl Model {
    fn apply(&mut self, effect: &Effect) {
        match &effect.kind {
            EffectKind::Insert(partition, rows) => {
                for (key, value) in rows {
                    let row = Row { partition: *partition, value: *value, inserted: effect.tick };
                    self.rows.entry(*key).or_default().push(row);
                }
            }
            EffectKind::Delete(partition, keys) => {
                // Invariant Q2: what came at the same tick stays.
                let stays = |row: &Row| {
                    row.inserted >= effect.tick || partition.is_some_and(|only| only != row.partition)
                };
                for key in keys {
                    if let Some(rows) = self.rows.get_mut(key) {
                        rows.retain(stays);
                    }
                }
            }
            EffectKind::DropPartition(partition) => {
                self.rows.values_mut().for_each(|rows| rows.retain(|row| row.partition != *partition));
            }
            EffectKind::Truncate => self.rows.clear(),
            EffectKind::Nothing => {}
        }
    }

    fn differs(&self, operation: &Operation, answer: &Answer) -> Option<String> {
        let Wish::Read { keys, count_only, .. } = &operation.wish else { return None };
        let wanted = |key: &i64| keys.as_ref().is_none_or(|keys| keys.contains(key));
        let visible = || self.rows.iter().filter(|(key, _)| wanted(key));
        if *count_only {
            let count: usize = visible().map(|(_, rows)| rows.len()).sum();
            return (count as u64 != answer.count)
                .then(|| format!("{} rows were counted, there are {count}", answer.count));
        }
        // An answer of the proxy says nothing of the ticks of rows.
        let untold = answer.rows.values().all(|(_, tick)| *tick == Tick::ZERO);
        let newest = |(key, rows): (&i64, &Vec<Row>)| {
            let row = rows.iter().max_by_key(|row| row.inserted)?;
            Some((*key, (row.value, if untold { Tick::ZERO } else { row.inserted })))
        };
        let expected: BTreeMap<i64, (i64, Tick)> = visible().filter_map(newest).collect();
        if expected == answer.rows {
            return None;
        }
        let of = |rows: &BTreeMap<i64, (i64, Tick)>, others: &BTreeMap<i64, (i64, Tick)>| {
            rows.iter()
                .filter(|(key, row)| others.get(key) != Some(row))
                .map(|(key, row)| (*key, *row))
                .collect()
        };
        let (missing, wrong): (Vec<_>, Vec<_>) = (of(&expected, &answer.rows), of(&answer.rows, &expected));
        Some(format!("missing {missing:?}, answered instead {wrong:?}"))
    }
}
