//! One write of a client.

/// What a write does with its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Write {
    /// Rows with new keys.
    Insert,
    /// New rows for keys that have one.
    Upsert,
    /// No rows any more.
    Delete,
}

/// A write: each key belongs to one client, which has one write under way at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// What.
    pub(super) write: Write,
    /// The keys that it names.
    pub(super) keys: Vec<i64>,
    /// Which of its client; the rows that it writes carry it as their version. It grows.
    pub(super) version: i64,
}

/// What a key shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    /// The write after which it shows that.
    pub(super) version: i64,
    /// Whether there is a row.
    pub(super) there: bool,
}

impl Request {
    /// What its keys show when it has happened.
    pub(super) fn fact(&self) -> Fact {
        Fact { version: self.version, there: self.write != Write::Delete }
    }
}
