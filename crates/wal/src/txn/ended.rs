//! Transactions that were rolled back: what a client is told that asks for one of them.

use std::collections::VecDeque;

use cinclus_rpc::{AppendError, RollbackCause};
use cinclus_types::{Tick, TxnId};
use rustc_hash::FxHashMap;

/// So many are remembered: a client that asks hears of it with its next call.
const REMEMBERED_MAX: usize = 1024;

/// The newest rollbacks of a writer.
#[derive(Debug, Default)]
pub struct EndedTxns {
    rollbacks: FxHashMap<TxnId, Rollback>,
    order: VecDeque<TxnId>,
}

#[derive(Clone, Copy, Debug)]
struct Rollback {
    tick: Tick,
    /// `None` if the client asked for it.
    cause: Option<RollbackCause>,
}

impl EndedTxns {
    /// A rollback was stamped with `tick`. Those up to `frontier` are stored.
    pub fn note(&mut self, txn: TxnId, tick: Tick, cause: Option<RollbackCause>, frontier: Tick) {
        if self.rollbacks.insert(txn, Rollback { tick, cause }).is_none() {
            self.order.push_back(txn);
        }
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.front().copied()
            && self.is_certain(oldest, frontier)
        {
            self.order.pop_front();
            self.rollbacks.remove(&oldest);
        }
    }

    /// Whether a transaction that is not open stays so: a rollback that was not stored may be lost with its writer,
    /// and the next writer finds the transaction open.
    #[must_use]
    pub fn is_certain(&self, txn: TxnId, frontier: Tick) -> bool {
        self.rollbacks.get(&txn).is_none_or(|rollback| rollback.tick <= frontier)
    }

    /// What its client is told of a transaction that is not open.
    #[must_use]
    pub fn error(&self, txn: TxnId) -> AppendError {
        match self.rollbacks.get(&txn).and_then(|rollback| rollback.cause) {
            Some(cause) => AppendError::TxnRolledBack(txn, cause),
            None => AppendError::TxnExpired(txn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSE: Option<RollbackCause> = Some(RollbackCause::HoldsLog);

    #[test]
    fn a_rollback_is_certain_when_it_is_stored() {
        let mut ended = EndedTxns::default();
        ended.note(TxnId(1), Tick(10), CAUSE, Tick(5));
        ended.note(TxnId(2), Tick(11), None, Tick(5));
        assert!(!ended.is_certain(TxnId(1), Tick(9)) && ended.is_certain(TxnId(1), Tick(10)));
        assert!(ended.is_certain(TxnId(3), Tick(5)), "it is not known");
        assert_eq!(ended.error(TxnId(1)), AppendError::TxnRolledBack(TxnId(1), RollbackCause::HoldsLog));
        assert_eq!(ended.error(TxnId(2)), AppendError::TxnExpired(TxnId(2)));
    }

    #[test]
    fn the_newest_are_remembered_and_all_that_are_not_stored() {
        let mut ended = EndedTxns::default();
        let all = REMEMBERED_MAX as i64 + 2;
        for id in 0..all {
            ended.note(TxnId(id), Tick(id as u64), CAUSE, Tick(0));
        }
        assert_eq!(ended.error(TxnId(0)), AppendError::TxnExpired(TxnId(0)), "it is stored");
        assert!(!ended.is_certain(TxnId(1), Tick(0)));
        assert_eq!((ended.rollbacks.len(), ended.order.len()), (REMEMBERED_MAX + 1, REMEMBERED_MAX + 1));
    }
}
