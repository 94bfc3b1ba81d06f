//! When a growing segment is closed.

use std::time::Duration;

use cinclus_types::Tick;

use super::state::GrowingSegment;
use crate::config::WalConfig;

/// Why a segment is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealReason {
    /// It holds enough rows.
    Rows,
    /// It holds enough bytes.
    Bytes,
    /// It is old.
    Age,
    /// It got no rows for long, and holds some.
    Idle,
    /// All growing segments together are too large, and it is one of the largest.
    GrowingBytes,
}

/// The bounds of growing segments. Pure; none of them looks at the length of the log to replay
/// (DESIGN §1.12).
#[derive(Clone, Debug)]
pub struct SealPolicy {
    /// Rows at which a segment is full.
    pub rows_max: u64,
    /// Bytes at which a segment is full.
    pub bytes_max: u64,
    /// Age at which a segment is closed.
    pub age_max: Duration,
    /// Span without rows after which a segment is closed, if it is not too small.
    pub idle: Duration,
    /// Bytes below which an idle segment stays open.
    pub idle_bytes_min: u64,
    /// Bytes of all growing segments above which the largest are closed.
    pub growing_bytes_max: u64,
}

impl SealPolicy {
    /// The policy of a configuration.
    #[must_use]
    pub fn new(config: &WalConfig) -> SealPolicy {
        SealPolicy {
            rows_max: config.segment_rows_max,
            bytes_max: config.segment_bytes_max,
            age_max: config.segment_age_max,
            idle: config.segment_idle,
            idle_bytes_min: config.idle_bytes_min,
            growing_bytes_max: config.growing_bytes_max,
        }
    }

    /// Whether the segment takes no more rows. Its own bounds count, those that it was created with.
    #[must_use]
    pub fn full(&self, segment: &GrowingSegment) -> Option<SealReason> {
        if segment.rows_max > 0 && segment.rows >= segment.rows_max {
            Some(SealReason::Rows)
        } else if segment.bytes_max > 0 && segment.bytes >= segment.bytes_max {
            Some(SealReason::Bytes)
        } else {
            None
        }
    }

    /// Whether so many more rows and bytes still fit. A segment without rows takes any one message.
    #[must_use]
    pub fn fits(&self, segment: &GrowingSegment, rows: u64, bytes: u64) -> bool {
        let within = |used: u64, more: u64, max: u64| max == 0 || used.saturating_add(more) <= max;
        segment.rows == 0
            || (within(segment.rows, rows, segment.rows_max)
                && within(segment.bytes, bytes, segment.bytes_max))
    }

    /// Whether time closes the segment at `now`.
    #[must_use]
    pub fn timed_out(&self, segment: &GrowingSegment, now: Tick) -> Option<SealReason> {
        if segment.created.plus(self.age_max) <= now {
            Some(SealReason::Age)
        } else if segment.bytes >= self.idle_bytes_min && segment.last_write.plus(self.idle) <= now {
            Some(SealReason::Idle)
        } else {
            None
        }
    }

    /// The earliest tick at which [`SealPolicy::timed_out`] may say something new, seen from `now`.
    #[must_use]
    pub fn next_check(&self, segment: &GrowingSegment, now: Tick) -> Tick {
        let idle = if segment.bytes >= self.idle_bytes_min {
            segment.last_write.plus(self.idle)
        } else {
            // It may become large enough at any time, and is idle only so long after that.
            now.plus(self.idle)
        };
        idle.min(segment.created.plus(self.age_max))
    }
}

#[cfg(test)]
mod tests {
    use cinclus_types::{CollectionId, PartitionId, VChannel};

    use super::*;

    fn policy() -> SealPolicy {
        SealPolicy::new(&WalConfig::default())
    }

    fn segment(rows: u64, bytes: u64) -> GrowingSegment {
        GrowingSegment {
            collection: CollectionId(1),
            partition: PartitionId(2),
            vchannel: VChannel::new("log_0_1v0"),
            created: Tick::from_unix_ms(1_000),
            last_write: Tick::from_unix_ms(5_000),
            rows,
            bytes,
            rows_max: 100,
            bytes_max: 1_000,
        }
    }

    #[test]
    fn rows_and_bytes_fill_a_segment() {
        assert_eq!(policy().full(&segment(99, 999)), None);
        assert_eq!(policy().full(&segment(100, 10)), Some(SealReason::Rows));
        assert_eq!(policy().full(&segment(10, 1_000)), Some(SealReason::Bytes));
        assert!(policy().fits(&segment(90, 900), 10, 100));
        assert!(!policy().fits(&segment(90, 900), 11, 100) && !policy().fits(&segment(90, 900), 10, 101));
        assert!(policy().fits(&segment(0, 0), 5_000, 50_000), "an empty segment takes any one message");
    }

    #[test]
    fn age_and_idleness_close_a_segment() {
        let policy = SealPolicy {
            age_max: Duration::from_secs(100),
            idle: Duration::from_secs(10),
            idle_bytes_min: 500,
            ..policy()
        };
        let at = |seconds: u64| Tick::from_unix_ms(seconds * 1_000);
        assert_eq!(policy.timed_out(&segment(1, 500), at(14)), None);
        assert_eq!(policy.timed_out(&segment(1, 500), at(15)), Some(SealReason::Idle));
        assert_eq!(policy.timed_out(&segment(1, 499), at(100)), None);
        assert_eq!(policy.timed_out(&segment(1, 499), at(101)), Some(SealReason::Age));
        assert_eq!(policy.next_check(&segment(1, 500), at(6)), at(15));
        assert_eq!(policy.next_check(&segment(1, 499), at(6)), at(16));
        assert_eq!(policy.next_check(&segment(1, 499), at(95)), at(101));
    }
}
