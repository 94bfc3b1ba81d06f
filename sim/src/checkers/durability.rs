//! W2: who was told "appended" finds the message, with the ids and the tick that were told.

use std::collections::BTreeMap;

use cinclus_types::{MessageId, VChannel};

use super::effects::Effect;
use super::{Evidence, Finding};
use crate::history::{By, Outcome, Wish};

/// Looks at every acknowledged append.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let by_id: BTreeMap<(&VChannel, MessageId), &Effect> = evidence
        .effects
        .iter()
        .flat_map(|(vchannel, effects)| effects.iter().map(move |effect| ((vchannel, effect.id), effect)))
        .collect();
    let mut findings = Vec::new();
    for operation in &evidence.operations {
        let (Wish::Append { vchannel, changes, by, .. }, Outcome::Appended(appended)) =
            (&operation.wish, &operation.outcome)
        else {
            continue;
        };
        evidence.tally.count("checked: durability");
        if *by != By::Call {
            // That it is there is the business of those who count.
            let at_once = |effect: &&Effect| effect.operation == Some(operation.number);
            let found = evidence.effects.get(vchannel).into_iter().flatten().filter(at_once);
            for effect in found.filter(|effect| effect.tick != appended.tick) {
                let (number, told) = (operation.number, appended.tick);
                let text = format!("operation {number} was told tick {told}, {effect:?} takes effect");
                findings.push(Finding::new("W2", text));
            }
            continue;
        }
        let mut say = |text: String| {
            findings
                .push(Finding::new("W2", format!("operation {} in {vchannel}: {text}", operation.number)));
        };
        if appended.ids.len() != changes.len() {
            say(format!("{} changes have the ids {:?}", changes.len(), appended.ids));
        }
        for id in &appended.ids {
            match by_id.get(&(vchannel, *id)) {
                None => say(format!("acknowledged record {id} is not in the log")),
                Some(effect) if effect.operation != Some(operation.number) => {
                    say(format!("record {id} is of operation {:?}", effect.operation));
                }
                Some(effect) if effect.tick != appended.tick => {
                    say(format!(
                        "it was told tick {}, record {id} takes effect at {}",
                        appended.tick, effect.tick
                    ));
                }
                Some(_) => {}
            }
        }
    }
    findings
}
