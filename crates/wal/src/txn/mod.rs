//! Transactions in one VChannel: begin, bodies, then commit or rollback.
//!
//! Whether a transaction is open is decided by ticks alone: it expires when a message of the log has a
//! tick of [`expiry`] or more. Writer and readers use the same arithmetic, so they never disagree, and
//! no clock is asked.

pub mod assembler;
pub mod ended;
pub mod table;

pub use assembler::{Assembled, Assembler, Held};
pub use ended::EndedTxns;
pub use table::{OpenTxn, TxnTable};

use std::time::Duration;

use cinclus_types::Tick;

/// The first tick at which a transaction is over whose last message had the tick `last`; [`Tick::MAX`]
/// for one that never expires.
#[must_use]
pub fn expiry(last: Tick, keepalive: Duration) -> Tick {
    // Longer than a tick can say: no limit.
    if keepalive >= Duration::from_secs(100 * 365 * 86_400) { Tick::MAX } else { last.plus(keepalive) }
}
