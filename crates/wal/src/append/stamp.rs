//! Stamp: tick, term and last confirmed id.

use std::time::Duration;

use cinclus_types::message::{Draft, LastConfirmed, Stamped};
use cinclus_types::{MessageId, Term, Tick};

use crate::tick::Ticks;
use crate::txn::TxnTable;

/// Gives messages their place in time.
pub struct Stamper {
    /// The ticks that can still be given.
    pub ticks: Ticks,
    /// The writer's term.
    pub term: Term,
    /// The last acknowledged id, if the log has one.
    pub last_acked: Option<MessageId>,
}

impl Stamper {
    /// The tick that the next message gets, if one is in hand.
    #[must_use]
    pub fn peek(&self) -> Option<Tick> {
        self.ticks.peek()
    }

    /// Stamps a draft with the tick that [`Stamper::peek`] says.
    ///
    /// # Panics
    /// If no tick is in hand: the caller prepared them.
    pub fn stamp(&mut self, draft: Draft, txns: &TxnTable, now: Duration) -> Stamped {
        // Invariant W1. Ticks are taken in the order in which messages go to the storage.
        let tick = self.ticks.take(now).expect("ticks were prepared before the batch was begun");
        draft.stamp(tick, self.term, self.last_confirmed(txns))
    }

    /// From where a reader gets everything with a greater tick than the message stamped now: the last
    /// acknowledged record, or the first begin of an open transaction. A begin that is not acknowledged
    /// yet stands above the last acknowledged record.
    fn last_confirmed(&self, txns: &TxnTable) -> LastConfirmed {
        match self.last_acked {
            Some(acked) => LastConfirmed::Id(txns.first_begin().map_or(acked, |begin| begin.min(acked))),
            // Nothing stands before this message.
            None => LastConfirmed::Own,
        }
    }
}
