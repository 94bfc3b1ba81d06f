//! W6, W7, W10: a log's checkpoint never goes back behind the state that is stored with it, nobody resumes behind
//! something that he still needs, and a log keeps what a resumption needs.
//!
//! A checkpoint of a reader or of a log is looked at together with the log as it became: all that takes effect
//! after the checkpoint's tick, with the begins of its transactions, stands at `resume` or behind it.

use std::collections::BTreeMap;

use cinclus_meta::Revision;
use cinclus_types::message::{Header, Message};
use cinclus_types::{Checkpoint, MessageId, PChannel, Tick, TxnId, VChannel};

use super::readers::Read;
use super::{Evidence, Finding};
use crate::archive::Log;
use crate::stores::checkpoints::Committed;

/// Of each effective tick the first record that is needed for it, and for all later ones.
struct Needs(Vec<(Tick, MessageId)>);

impl Needs {
    fn of(log: &Log) -> Needs {
        let mut begins: BTreeMap<(&VChannel, TxnId), MessageId> = BTreeMap::new();
        let mut needs = Vec::new();
        for message in log {
            let of_txn = message.vchannel().zip(message.txn().map(|txn| txn.txn));
            match (message.header(), of_txn) {
                (Header::BeginTxn { .. }, Some(txn)) => {
                    begins.entry(txn).or_insert(message.id());
                }
                (Header::CommitTxn, Some(txn)) => {
                    needs.push((message.tick(), begins.remove(&txn).unwrap_or(message.id())));
                }
                (_, Some(_)) => {}
                (_, None) => needs.push((message.tick(), Message::id(message))),
            }
        }
        needs.sort_unstable();
        let mut first = MessageId(u128::MAX);
        for (_, id) in needs.iter_mut().rev() {
            first = first.min(*id);
            *id = first;
        }
        Needs(needs)
    }

    /// The first record that somebody needs who was given everything up to a tick.
    fn after(&self, tick: Tick) -> Option<MessageId> {
        let at = self.0.partition_point(|(effective, _)| *effective <= tick);
        self.0.get(at).map(|(_, first)| *first)
    }

    fn lost_by(&self, checkpoint: Checkpoint) -> Option<MessageId> {
        self.after(checkpoint.tick).filter(|first| *first < checkpoint.resume)
    }
}

/// Looks at every checkpoint that was committed for a log, and at every one that a reader of a log was given.
#[must_use]
pub fn check(
    evidence: &Evidence,
    committed: &BTreeMap<PChannel, Vec<Committed>>,
    reads: &[Read],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (channel, log) in &evidence.logs {
        let needs = Needs::of(log);
        findings.extend(goes_back(channel, committed.get(channel).map_or(&[][..], Vec::as_slice)));
        for Committed { checkpoint, truncate_below, .. } in committed.get(channel).into_iter().flatten() {
            evidence.tally.count("checked: checkpoints");
            if let Some(lost) = needs.lost_by(*checkpoint) {
                findings.push(Finding::new("W10", format!("{channel}: {checkpoint:?} leaves {lost} behind")));
            }
            if *truncate_below > checkpoint.resume {
                let text = format!("{channel}: {truncate_below} is forgotten, {checkpoint:?} is resumed at");
                findings.push(Finding::new("W7", text));
            }
        }
        for read in reads.iter().filter(|read| read.channel.as_ref().is_none_or(|of| of == channel)) {
            for checkpoint in &read.checkpoints {
                evidence.tally.count("checked: checkpoints of readers");
                if let Some(lost) = needs.lost_by(*checkpoint) {
                    let text = format!("reader {}: {checkpoint:?} leaves {lost} behind", read.number);
                    findings.push(Finding::new("W10", text));
                }
            }
        }
    }
    findings.truncate(20);
    findings
}

/// Looks for a checkpoint that lies before the one that it replaced: what is replayed from it is in files already.
fn goes_back(channel: &PChannel, committed: &[Committed]) -> Option<Finding> {
    let mut known: Vec<(Revision, Tick)> =
        committed.iter().filter_map(|one| Some((one.revision?, one.checkpoint.tick))).collect();
    known.sort_unstable();
    let back = known.windows(2).find(|pair| pair[1].1 < pair[0].1)?;
    let text = format!("the checkpoint of {channel} goes back from {} to {}", back[0].1, back[1].1);
    Some(Finding::new("W6", text))
}
