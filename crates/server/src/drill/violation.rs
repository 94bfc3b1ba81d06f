//! What must not be.

use std::fmt;

use serde::Serialize;

/// How a server broke its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Broken {
    /// An acknowledged write is gone: its row is missing or older, or a deleted row is back.
    Lost,
    /// Something is there more than once, or a write that came again happened again.
    Repeated,
    /// A row is there that nobody wrote.
    Stray,
    /// A write without an answer happened to some of its rows in a shard and not to others.
    Torn,
    /// A Strong read missed a write that was acknowledged before the read was sent.
    Stale,
}

/// One row with which a server broke its word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Violation {
    /// How.
    pub(super) broken: Broken,
    /// The row's key.
    pub(super) key: i64,
    /// What was due and what is there.
    pub(super) said: String,
}

impl Violation {
    /// A violation.
    pub(super) fn new(broken: Broken, key: i64, said: impl Into<String>) -> Violation {
        Violation { broken, key, said: said.into() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broken::Lost => "lost",
            Broken::Repeated => "repeated",
            Broken::Stray => "stray",
            Broken::Torn => "torn",
            Broken::Stale => "stale",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { broken, key, said } = self;
        write!(f, "{broken}: the row with key {key}: {said}")
    }
}
