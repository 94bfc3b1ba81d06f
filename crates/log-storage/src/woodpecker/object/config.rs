//! The settings of the storage on objects.

use std::time::Duration;

use crate::woodpecker::roll::RollPolicy;

/// Settings of [`WoodpeckerObjects`](super::WoodpeckerObjects).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsConfig {
    /// What the names of all objects start with; not empty, without a slash at either end.
    pub root: String,
    /// The prefix of the keys in the metadata store.
    pub metadata_prefix: String,
    /// Whether the object storage is tested for conditional puts at the opening. Not needed if the same process
    /// has just done that.
    pub probe: bool,
    /// When segments end.
    pub roll: RollPolicy,
    /// A segment of this many blocks ends too.
    pub roll_blocks_max: u64,
    /// Bytes of one block and thus of one put at most; a larger batch is a block of its own. While puts
    /// are in flight, appends wait for each other until they are as many.
    pub block_bytes_max: u64,
    /// Bytes of one batch at most.
    pub batch_bytes_max: u64,
    /// Puts of one log that are in flight at once.
    pub uploads_max: usize,
    /// How often a call is tried before its error counts.
    pub tries: u32,
    /// The pause before the second try; each later one is twice as long.
    pub retry_pause: Duration,
    /// Gets that are in flight at once for a recovery, and for one reader.
    pub reads_max: usize,
    /// Bytes that a reader reads ahead.
    pub read_ahead_bytes: u64,
    /// Completed segments are merged into blocks of less than this, if that at least halves their number;
    /// 0 leaves them as they are. All processes that may own a log must have the same value.
    pub compact_bytes_max: u64,
    /// The storage generation in the ids.
    pub generation: u16,
}

impl ObjectsConfig {
    /// The defaults, for objects whose names start with `root`.
    #[must_use]
    pub fn new(root: impl Into<String>) -> ObjectsConfig {
        ObjectsConfig {
            root: root.into(),
            metadata_prefix: "by-dev/woodpecker".to_owned(),
            probe: true,
            roll: RollPolicy { bytes_max: 256_000_000, age_max: Duration::from_secs(600) },
            roll_blocks_max: 1000,
            block_bytes_max: 4 << 20,
            batch_bytes_max: 1 << 30,
            uploads_max: 32,
            tries: 6,
            retry_pause: Duration::from_millis(50),
            reads_max: 64,
            read_ahead_bytes: 32 << 20,
            compact_bytes_max: 16 << 20,
            generation: 0,
        }
    }
}
