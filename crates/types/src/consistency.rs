//! Consistency levels of reads.

use serde::{Deserialize, Serialize};

/// How fresh a read must be (Milvus' levels, numbered as on the wire).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsistencyLevel {
    /// Sees every write that was acknowledged before the read began.
    Strong,
    /// Sees the caller's own writes.
    Session,
    /// May lag behind by a few seconds.
    #[default]
    Bounded,
    /// Sees what is there.
    Eventually,
    /// At a timestamp that the caller names.
    Customized,
}

impl ConsistencyLevel {
    const ALL: [ConsistencyLevel; 5] = [
        ConsistencyLevel::Strong,
        ConsistencyLevel::Session,
        ConsistencyLevel::Bounded,
        ConsistencyLevel::Eventually,
        ConsistencyLevel::Customized,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The level of a number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<ConsistencyLevel> {
        ConsistencyLevel::ALL.into_iter().find(|level| level.number() == number)
    }
}
