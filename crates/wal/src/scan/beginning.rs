//! Where a reader begins who wants everything that is still there.

use cinclus_types::message::{Header, Message};
use cinclus_types::{MessageId, Tick, TxnId};
use rustc_hash::FxHashSet;

/// Looks through the first records of a log for commits of transactions that began before them: the log was truncated,
/// and nobody can be given those transactions whole. What takes effect after the last of them is complete.
///
/// A log is truncated at or below the begins of all transactions that are open at some tick, so those that began
/// before its earliest record are over by then: their commits are stored when the log is truncated, and whoever looks
/// finds them. Pure; it needs nothing but the records.
pub(super) struct Beginning {
    earliest: MessageId,
    begun: FxHashSet<TxnId>,
    complete_after: Tick,
}

impl Beginning {
    /// Of a log whose first record stands at this id.
    pub(super) fn new(earliest: MessageId) -> Beginning {
        Beginning { earliest, begun: FxHashSet::default(), complete_after: Tick::ZERO }
    }

    /// Takes in the next record. Whether all those transactions are over by now.
    pub(super) fn take(&mut self, message: &Message) -> bool {
        // No transaction is open that began before the last confirmed id.
        if message.last_confirmed() >= self.earliest {
            return true;
        }
        match (message.header(), message.txn()) {
            (Header::BeginTxn { .. }, Some(txn)) => drop(self.begun.insert(txn.txn)),
            (Header::CommitTxn, Some(txn)) if !self.begun.contains(&txn.txn) => {
                self.complete_after = message.tick();
            }
            (_, _) => {}
        }
        false
    }

    /// Everything that takes effect after this tick is there as a whole.
    pub(super) fn complete_after(&self) -> Tick {
        self.complete_after
    }
}
