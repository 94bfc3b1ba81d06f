//! Which transaction a message belongs to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::TxnId;

/// Carried by every message of a transaction, its begin and commit included (property `_tx`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnContext {
    /// The transaction.
    pub txn: TxnId,
    /// Without a message for this long, by ticks, the transaction is over. In whole milliseconds on the
    /// wire; [`Duration::MAX`] is no limit.
    pub keepalive: Duration,
}
