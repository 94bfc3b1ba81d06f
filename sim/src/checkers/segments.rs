//! W8, W11: every row names one segment that is there, and a segment is closed only when no transaction that may
//! still commit has rows in it. What the catalog says of a segment is what the log put into it.

use std::collections::{BTreeMap, BTreeSet};

use cinclus_types::message::{Header, Message};
use cinclus_types::{PartitionId, SegmentEntry, SegmentId, SegmentState, TxnId, VChannel};

use super::{Evidence, Finding};

/// What the log says of one segment.
struct Seen {
    vchannel: VChannel,
    partition: PartitionId,
    rows: u64,
    /// The kind and the place of the message that closed it.
    closed: Option<String>,
}

/// The segments of a log, message by message.
#[derive(Default)]
struct Segments {
    seen: BTreeMap<SegmentId, Seen>,
    /// Rows that open transactions placed.
    open: BTreeMap<TxnId, Vec<(SegmentId, u64)>>,
    findings: Vec<Finding>,
}

/// Looks at every row and every closing in the logs, and at every segment in the catalog at the end.
#[must_use]
pub fn check(evidence: &Evidence, catalog: &[SegmentEntry]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for log in evidence.logs.values() {
        let mut segments = Segments::default();
        for message in log {
            segments.take(message, evidence);
        }
        let of_log = catalog.iter().filter_map(|entry| Some((entry, segments.seen.get(&entry.id)?)));
        for (entry, seen) in of_log {
            evidence.tally.count("checked: segments in the catalog");
            let sealed = entry.state == SegmentState::Sealed;
            if entry.rows() > seen.rows || sealed && entry.rows() < seen.rows {
                let text = format!(
                    "{:?} segment {} of {} has {} rows in the catalog, {} in the log",
                    entry.state,
                    entry.id,
                    seen.vchannel,
                    entry.rows(),
                    seen.rows
                );
                findings.push(Finding::new("W8", text));
            }
        }
        findings.append(&mut segments.findings);
    }
    findings
}

impl Segments {
    fn take(&mut self, message: &Message, evidence: &Evidence) {
        let Some(vchannel) = message.vchannel() else { return };
        let txn = message.txn().map(|txn| txn.txn);
        #[allow(clippy::wildcard_enum_match_arm, reason = "the others say nothing of segments")]
        match message.header() {
            Header::CreateSegment { segment, partition, .. } => {
                let (vchannel, partition) = (vchannel.clone(), *partition);
                self.seen.insert(*segment, Seen { vchannel, partition, rows: 0, closed: None });
            }
            Header::Insert { segment, partition, rows, .. } => {
                evidence.tally.count("checked: placements");
                let Some(segment) = *segment else {
                    return self.say("W8", message, "names no segment".to_owned());
                };
                self.place(message, segment, *partition);
                match txn {
                    Some(txn) => self.open.entry(txn).or_default().push((segment, *rows)),
                    None => self.add(segment, *rows),
                }
            }
            Header::CommitTxn => self.commit(message, txn, evidence),
            Header::RollbackTxn => {
                txn.map(|txn| self.open.remove(&txn));
            }
            Header::Flush { segment, .. } => self.close(message, &[*segment]),
            Header::ManualFlush { segments, .. }
            | Header::AlterCollection { segments, .. }
            | Header::TruncateCollection { segments, .. } => self.close(message, segments),
            _ => {}
        }
    }

    fn add(&mut self, segment: SegmentId, rows: u64) {
        if let Some(seen) = self.seen.get_mut(&segment) {
            seen.rows += rows;
        }
    }

    fn place(&mut self, message: &Message, segment: SegmentId, partition: PartitionId) {
        let wrong = match self.seen.get(&segment) {
            None => Some("that was never created".to_owned()),
            Some(Seen { closed: Some(by), .. }) => Some(format!("that was closed by the {by}")),
            Some(seen) if Some(&seen.vchannel) != message.vchannel() || seen.partition != partition => {
                Some(format!("of {} and partition {}", seen.vchannel, seen.partition))
            }
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            self.say("W8", message, format!("goes into segment {segment} {wrong}"));
        }
    }

    fn close(&mut self, message: &Message, segments: &[SegmentId]) {
        for segment in segments {
            if let Some(seen) = self.seen.get_mut(segment) {
                seen.closed = Some(format!("{} at {}", message.kind(), message.id()));
            }
        }
    }

    /// Invariant W11 as it can be seen: what commits did not lose a segment on the way.
    fn commit(&mut self, message: &Message, txn: Option<TxnId>, evidence: &Evidence) {
        let placed = txn.and_then(|txn| self.open.remove(&txn)).unwrap_or_default();
        let mut told = BTreeSet::new();
        for (segment, rows) in placed {
            evidence.tally.count("checked: segments of transactions");
            let closed = self.seen.get(&segment).and_then(|seen| seen.closed.clone());
            if let Some(by) = closed.filter(|_| told.insert(segment)) {
                self.say("W11", message, format!("has rows in segment {segment}, closed by the {by}"));
            }
            self.add(segment, rows);
        }
    }

    fn say(&mut self, invariant: &'static str, message: &Message, text: String) {
        let text = format!("the {} at {} {text}", message.kind(), message.id());
        self.findings.push(Finding::new(invariant, text));
    }
}
