//! What a memory disk can be told to do wrong.

/// What a crash keeps of the changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// None of them: the worst case for data.
    Nothing,
    /// All of them: as if only the process had died.
    Everything,
    /// For each file any subset of its writes, each whole, torn at any byte or with a hole of zeros; for
    /// each directory the first few of its changes. Decided by the disk's seed.
    Random,
    /// As [`Keep::Random`], but a hole shows the durable bytes that were there before, zeros only beyond the
    /// old end: for formats that overwrite in place and rely on a torn write leaving old or new bytes.
    RandomOverOld,
}

/// An operation that a [`Fault`] can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOperation {
    /// Creating a file.
    Create,
    /// Reading.
    Read,
    /// Writing, or changing the length.
    Write,
    /// Making data durable. What was written since the last good sync is then lost from the durable file
    /// for good, although readers still see it.
    Sync,
    /// Making names durable.
    SyncDir,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
}

/// The error that a [`Fault`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// ENOSPC. A write may have left its first bytes.
    OutOfSpace,
    /// EIO.
    Io,
}

/// A planned failure.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What fails.
    pub operation: FaultOperation,
    /// Only on paths that contain this text; empty for all.
    pub path_contains: String,
    /// How it fails.
    pub error: FaultError,
    /// Matching operations that still succeed before.
    pub after: u32,
    /// Matching operations that fail then.
    pub times: u32,
}
