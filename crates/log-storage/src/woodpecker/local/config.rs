//! The settings of the local storage.

use std::path::PathBuf;
use std::time::Duration;

use crate::woodpecker::roll::RollPolicy;

/// Settings of [`WoodpeckerLocal`](super::WoodpeckerLocal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// The directory of all logs.
    pub root: PathBuf,
    /// The prefix of the keys in the metadata store.
    pub metadata_prefix: String,
    /// When segments end.
    pub roll: RollPolicy,
    /// Bytes of one block and thus of one sync at most; a larger batch is a block of its own.
    pub block_bytes_max: u64,
    /// Bytes of one batch at most.
    pub batch_bytes_max: u64,
    /// Bytes that a reader reads ahead.
    pub read_ahead_bytes: usize,
    /// The storage generation in the ids.
    pub generation: u16,
}

impl LocalConfig {
    /// The defaults, for logs under `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> LocalConfig {
        LocalConfig {
            root: root.into(),
            metadata_prefix: "by-dev/woodpecker".to_owned(),
            roll: RollPolicy { bytes_max: 256_000_000, age_max: Duration::from_secs(600) },
            block_bytes_max: 16 << 20,
            batch_bytes_max: 1 << 30,
            read_ahead_bytes: 2 << 20,
            generation: 0,
        }
    }
}
