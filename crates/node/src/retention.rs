//! How much log is kept for readers beyond what recovery needs.

use std::collections::VecDeque;
use std::time::Duration;

use cinclus_types::{Checkpoint, MessageId, Tick};

/// Positions that are remembered, at most; among more, those close to another one are forgotten.
const POINTS_MAX: usize = 1024;

/// Says how far a log may be truncated. It knows the positions of the rounds of persisting of this process, so
/// after a restart it keeps a little more than asked.
#[derive(Debug)]
pub(crate) struct Retention {
    /// So many of the newest bytes stay.
    bytes_min: u64,
    /// What is younger stays.
    age_min: Duration,
    points: VecDeque<Point>,
    /// Bytes of log up to the last point, counted from the first.
    log_bytes: u64,
    below: MessageId,
}

/// The position of a round.
#[derive(Debug)]
struct Point {
    checkpoint: Checkpoint,
    log_bytes: u64,
}

impl Retention {
    /// Of a log that is read from `start` on.
    pub(crate) fn new(bytes_min: u64, age_min: Duration, start: Checkpoint) -> Retention {
        let points = VecDeque::from([Point { checkpoint: start, log_bytes: 0 }]);
        Retention { bytes_min, age_min, points, log_bytes: 0, below: MessageId::EARLIEST }
    }

    /// Notes the position of a round, `bytes` of log behind the one before. Answers the point below which
    /// neither recovery nor a reader within the bounds needs anything, once the round is committed.
    pub(crate) fn note(&mut self, checkpoint: Checkpoint, bytes: u64, now: Tick) -> MessageId {
        self.log_bytes += bytes;
        self.points.push_back(Point { checkpoint, log_bytes: self.log_bytes });
        while let Some(point) = self.points.front()
            && self.log_bytes - point.log_bytes >= self.bytes_min
            && (self.age_min.is_zero() || point.checkpoint.tick.plus(self.age_min) <= now)
        {
            self.below = point.checkpoint.resume;
            self.points.pop_front();
        }
        if self.points.len() > POINTS_MAX {
            self.thin_out();
        }
        self.below
    }

    /// Forgets points that lie close behind another one.
    fn thin_out(&mut self) {
        let first = self.points.front().map_or(0, |point| point.log_bytes);
        let apart = (self.log_bytes - first).div_ceil(POINTS_MAX as u64 / 2).max(1);
        let mut next = 0;
        self.points.retain(|point| {
            let far = point.log_bytes >= next;
            if far {
                next = point.log_bytes + apart;
            }
            far
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_700_000_000_000;

    fn at(entry: u32, seconds: u64) -> Checkpoint {
        Checkpoint {
            resume: MessageId::from_parts(0, 0, u64::from(entry)),
            tick: Tick::from_unix_ms(START_MS + seconds * 1_000),
        }
    }

    /// A round each second, with 10 bytes of log; the entries below which the log may go.
    fn rounds(bytes_min: u64, age_min_s: u64, count: u32) -> Vec<u64> {
        let mut retention = Retention::new(bytes_min, Duration::from_secs(age_min_s), at(0, 0));
        let round = |n: u32| {
            let point = at(n, u64::from(n));
            retention.note(point, 10, point.tick).entry()
        };
        (1..=count).map(round).collect()
    }

    #[test]
    fn without_bounds_only_recovery_counts() {
        assert_eq!(rounds(0, 0, 4), [1, 2, 3, 4]);
    }

    #[test]
    fn the_newest_bytes_stay() {
        assert_eq!(rounds(25, 0, 6), [0, 0, 0, 1, 2, 3]);
    }

    #[test]
    fn what_is_young_stays() {
        assert_eq!(rounds(0, 3, 6), [0, 0, 0, 1, 2, 3]);
        assert_eq!(rounds(45, 3, 6), [0, 0, 0, 0, 0, 1], "both bounds hold");
    }

    #[test]
    fn many_rounds_are_remembered_coarsely() {
        let mut retention = Retention::new(u64::MAX, Duration::ZERO, at(0, 0));
        for n in 1..10_000 {
            retention.note(at(n, u64::from(n)), 10, at(n, 0).tick);
        }
        assert!(retention.points.len() <= POINTS_MAX);
        retention.bytes_min = 50_000;
        let below = retention.note(at(10_000, 10_000), 10, at(10_000, 0).tick).entry();
        assert!((4_900..=5_000).contains(&below), "{below}");
    }
}
