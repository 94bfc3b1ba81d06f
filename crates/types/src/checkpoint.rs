//! From where a reader goes on.

use serde::{Deserialize, Serialize};

use crate::{MessageId, Tick};

/// Where a reader resumes: read from `resume`, drop effective ticks ≤ `tick` (invariant W10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Lies before the begin of every transaction that was open at `tick`.
    pub resume: MessageId,
    /// Everything with an effective tick up to here was delivered.
    pub tick: Tick,
}
