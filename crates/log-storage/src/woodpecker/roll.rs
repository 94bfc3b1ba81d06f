//! When a segment ends.

use std::time::Duration;

/// Segments of local logs end by bytes and age only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollPolicy {
    /// A segment of this many bytes or more ends with the block that made it so.
    pub bytes_max: u64,
    /// A segment whose first block is this old or older ends with the next block. An idle one stays.
    pub age_max: Duration,
}

impl RollPolicy {
    /// Whether a segment of these bytes and this age ends.
    #[must_use]
    pub fn ends(&self, bytes: u64, age: Duration) -> bool {
        bytes >= self.bytes_max || age >= self.age_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_ends_by_bytes_or_by_age() {
        let policy = RollPolicy { bytes_max: 100, age_max: Duration::from_secs(10) };
        assert!(!policy.ends(99, Duration::from_secs(9)));
        assert!(policy.ends(100, Duration::ZERO) && policy.ends(1, Duration::from_secs(10)));
    }
}
