//! The settings of the stores of this process.

/// Settings of the memory store and the embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many bytes of the newest changes are kept for watches, at most. A watch that falls further behind
    /// scans again. Default 4 MiB.
    pub history_bytes_max: usize,
    /// How many bytes of the embedded store's file are cached in memory, at most. Default 8 MiB.
    pub cache_bytes_max: usize,
    /// How many transactions may wait for the embedded store's writer; further callers wait for a place.
    /// Default 1024.
    pub queue_max: usize,
    /// How many waiting transactions the embedded store writes with one sync, at most. Default 256.
    pub group_max: usize,
    /// Whether the embedded store's writer has a thread of its own. Default `true`; if not, its work is a task of
    /// the runtime that opened the store, and holds that up for every sync: so that a simulation has no second
    /// thread.
    pub writer_thread: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            history_bytes_max: 4 << 20,
            cache_bytes_max: 8 << 20,
            queue_max: 1024,
            group_max: 256,
            writer_thread: true,
        }
    }
}
